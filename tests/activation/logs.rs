//! The log of a job: a build with too much output, and a log that cannot be written.

use crate::common::{Gate, eventually, operator, run};
use crate::stage::Stage;
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;

const MIB: usize = 1 << 20;

#[test]
fn flood_of_output_keeps_its_beginning_and_end_and_published_offsets() {
    let stage = Stage::new();
    let flood =
        "echo the first line; yes $(printf %01000d 7) | head -n 30000; echo the last line; mkdir -p $out/bin";
    stage.change_flake("mkdir -p $out/bin", flood);
    let live = stage.wire.subscribe("deploy.responses.j-1.log.web1");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let log = fs::read_to_string(stage.job_file("j-1", "log")).unwrap();
    assert!((24 * MIB..32 * MIB).contains(&log.len()), "{}", log.len());
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text:?}"));
    assert!(at("the first line\n") < 1000);
    let note = at(
        "[homelab-deploy: the limit of 16 MiB is reached; the last 8 MiB of the remaining output follow when the program ends]\n",
    );
    assert!((16 * MIB - 2000..16 * MIB).contains(&note), "{note}");
    let omitted = at("KiB of output omitted here]\n");
    let last = at("> the last line\n");
    assert!((omitted + 8 * MIB - 2000..omitted + 8 * MIB + 100).contains(&last), "{omitted} {last}");
    assert!(last < at("handing over to the worker\n"));

    stage.wire.round_trip();
    let live = live.received();
    let seconds = report["elapsed_ms"].as_u64().unwrap() / 1000;
    assert!(live.len() as u64 <= 500 + 100 * (seconds + 2), "{} in {seconds} s", live.len());
    for message in &live {
        let (offset, text) =
            (message.body["offset"].as_u64().unwrap(), message.body["text"].as_str().unwrap());
        assert!(log[usize::try_from(offset).unwrap()..].starts_with(text), "{}", message.body);
    }
    // No reader waits for the end of the log because of omitted lines.
    let was_published =
        |text: &str| live.iter().any(|message| message.body["text"].as_str().unwrap().contains(text));
    assert!(was_published("the first line") && was_published("completed: switch done"));
    let shown = run(operator(&stage.nats, "tester").args(["logs", "web1"]), 0);
    assert!(shown.stdout == log, "{} {}", shown.stdout.len(), log.len());
}

#[test]
fn flood_of_activation_output_is_truncated_but_still_evaluated() {
    let stage = Stage::new();
    let half = "yes $(printf %01000d 7) | head -n 5000;";
    let script = format!("{half} echo \"Activation script snippet 'secrets' failed (1)\"; {half} status=1");
    stage.fault("v1", "activate", &script);
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["error"], "activation_failed", "{report}");
    assert!(report["message"].as_str().unwrap().contains("secrets"), "{report}");
    let log = fs::read_to_string(stage.job_file("j-1", "log")).unwrap();
    assert!((3 * MIB..4 * MIB).contains(&log.len()), "{}", log.len());
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text:?}"));
    let note = "the limit of 2 MiB is reached; the last 1 MiB of the remaining output follow when the program ends]\n";
    assert!(at(note) < at("KiB of output omitted here]\n"));
    assert!(log.contains("Failed to run activate script"), "the end is missing");
}

#[test]
fn flood_of_short_lines_does_not_delay_a_timeout() {
    let stage = Stage::with(|host| host.args(&["--activate-timeout", "3", "--health-timeout", "3"]));
    stage.fault("v1", "activate", "exec yes");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("activation_failed"), &json!(true)),
        "{report}"
    );
    assert!(report["elapsed_ms"].as_u64().unwrap() < 30_000, "{report}");
}

#[test]
fn unfinished_line_hides_no_failure() {
    let stage = Stage::new();
    stage.fault("v1", "activate", "printf 'secrets are there'; status=1");
    // The exit code shows only the units that had failed before.
    stage.fault("v1", "units", "code=4");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("activation_failed"), &json!(true)),
        "{report}"
    );
    assert_eq!(stage.runs(), "v0");
}

#[test]
fn unwritable_log_ends_the_build_immediately() {
    let stage = Stage::new();
    // The log is a FIFO: writes succeed while it has a reader, as on a disk with free space.
    let log = stage.job_file("j-1", "log");
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    let reader = Gate::at(log.clone());
    let gate = stage.gate("gate");
    let waits = "echo > $STAGE/waits; read _ < $STAGE/gate; PATH=${PATH#*:} exec nix \"$@\"";
    stage.program_named("nix", waits);
    stage.change_flake("mkdir -p $out/bin", "yes $(printf %01000d 7) | head -n 30000; mkdir -p $out/bin");
    let reports = stage.deploy("j-1", "switch", "v1");
    eventually("nix", || stage.at("waits").exists().then_some(()));
    fs::remove_file(&log).unwrap();
    drop(reader);
    gate.pass();
    let report = reports.final_report();
    assert_eq!((&report["error"], &report["status"]), (&json!("unhealthy"), &json!("failed")), "{report}");
    let expected = format!(
        "could not write the log of the job, {}: Broken pipe (os error 32); nothing was changed: make it writable, or free disk space, then deploy again",
        log.display()
    );
    assert_eq!(report["message"], expected);
    fs::remove_file(stage.at("bin/nix")).unwrap();
    stage.change_flake("yes $(printf %01000d 7) | head -n 30000; ", "");
    assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["status"], "completed");
}

#[test]
fn preallocated_space_of_the_log_is_released_at_the_end() {
    let stage = Stage::new();
    assert_eq!(stage.deploy("j-1", "switch", "v1").final_report()["status"], "completed");
    let log = fs::metadata(stage.job_file("j-1", "log")).unwrap();
    let allocated = log.blocks() * 512;
    assert!(allocated < log.len() + 256 * 1024, "{} bytes take {allocated}", log.len());
}
