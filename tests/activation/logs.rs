//! The log of a job whose build says more than anybody wants to keep, or whose log cannot be written.

use crate::common::{Gate, eventually, operator, run};
use crate::stage::Stage;
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;

const MIB: usize = 1 << 20;

#[test]
fn of_a_flood_of_output_the_beginning_and_the_end_are_kept_and_what_was_told_live_stays_in_its_place() {
    let stage = Stage::new();
    let flood =
        "echo the first line; yes $(printf %01000d 7) | head -n 30000; echo the last line; mkdir -p $out/bin";
    stage.change_flake("mkdir -p $out/bin", flood);
    let live = stage.wire.listen("deploy.responses.j-1.log.web1");
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(report["status"], "completed", "{report}");
    let log = fs::read_to_string(stage.job_file("j-1", "log")).unwrap();
    assert!((24 * MIB..32 * MIB).contains(&log.len()), "{}", log.len());
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text:?}"));
    assert!(at("the first line\n") < 1000);
    let note = at(
        "[homelab-deploy: this program has written 16 MiB; of what it still writes, the last 8 MiB follow when it ends]\n",
    );
    assert!((16 * MIB - 2000..16 * MIB).contains(&note), "{note}");
    let left_out = at("KiB of its output are left out here]\n");
    let last = at("> the last line\n");
    assert!((left_out + 8 * MIB - 2000..left_out + 8 * MIB + 100).contains(&last), "{left_out} {last}");
    assert!(last < at("handing over to the activation program\n"));

    stage.wire.round_trip();
    let live = live.arrived();
    let seconds = report["elapsed_ms"].as_u64().unwrap() / 1000;
    assert!(live.len() as u64 <= 500 + 100 * (seconds + 2), "{} in {seconds} s", live.len());
    for heard in &live {
        let (offset, text) = (heard.body["offset"].as_u64().unwrap(), heard.body["text"].as_str().unwrap());
        assert!(log[usize::try_from(offset).unwrap()..].starts_with(text), "{}", heard.body);
    }
    // Nobody waits for the end of the log because the last lines were left out.
    let told = |text: &str| live.iter().any(|heard| heard.body["text"].as_str().unwrap().contains(text));
    assert!(told("the first line") && told("completed: switch done"));
    let shown = run(operator(&stage.broker, "tester").args(["logs", "web1"]), 0);
    assert!(shown.out == log, "{} {}", shown.out.len(), log.len());
}

#[test]
fn of_a_flood_of_an_activation_a_part_is_kept_and_what_it_says_within_still_counts() {
    let stage = Stage::new();
    let half = "yes $(printf %01000d 7) | head -n 5000;";
    let script = format!("{half} echo \"Activation script snippet 'secrets' failed (1)\"; {half} status=1");
    stage.fault("v1", "activate", &script);
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(report["error"], "activation_failed", "{report}");
    assert!(report["message"].as_str().unwrap().contains("secrets"), "{report}");
    let log = fs::read_to_string(stage.job_file("j-1", "log")).unwrap();
    assert!((3 * MIB..4 * MIB).contains(&log.len()), "{}", log.len());
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text:?}"));
    let note =
        "this program has written 2 MiB; of what it still writes, the last 1 MiB follow when it ends]\n";
    assert!(at(note) < at("KiB of its output are left out here]\n"));
    assert!(log.contains("Failed to run activate script"), "the end is missing");
}

#[test]
fn a_flood_of_short_lines_holds_up_no_limit() {
    let stage = Stage::with(|host| host.args(&["--activate-timeout", "3", "--health-timeout", "3"]));
    stage.fault("v1", "activate", "exec yes");
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("activation_failed"), &json!(true)),
        "{report}"
    );
    assert!(report["elapsed_ms"].as_u64().unwrap() < 30_000, "{report}");
}

#[test]
fn a_line_without_an_end_hides_no_failure() {
    let stage = Stage::new();
    stage.fault("v1", "activate", "printf 'secrets are there'; status=1");
    // Units that had failed before give the exit code.
    stage.fault("v1", "units", "code=4");
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("activation_failed"), &json!(true)),
        "{report}"
    );
    assert_eq!(stage.runs(), "v0");
}

#[test]
fn a_log_that_cannot_be_written_ends_the_build_at_once() {
    let stage = Stage::new();
    // Written to as long as there is a reader, as a disk is as long as it has room.
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
    let report = reports.verdict();
    assert_eq!((&report["error"], &report["status"]), (&json!("unhealthy"), &json!("failed")), "{report}");
    let expected = format!(
        "could not write the log of the job, {}: Broken pipe (os error 32); nothing was changed: make it writable, or make \
         room on that disk, then deploy again",
        log.display()
    );
    assert_eq!(report["message"], expected);
    fs::remove_file(stage.at("bin/nix")).unwrap();
    stage.change_flake("yes $(printf %01000d 7) | head -n 30000; ", "");
    assert_eq!(stage.deploy("j-2", "switch", "v2").verdict()["status"], "completed");
}

#[test]
fn what_was_preallocated_for_the_log_is_given_back_when_the_job_has_ended() {
    let stage = Stage::new();
    assert_eq!(stage.deploy("j-1", "switch", "v1").verdict()["status"], "completed");
    let log = fs::metadata(stage.job_file("j-1", "log")).unwrap();
    let allocated = log.blocks() * 512;
    assert!(allocated < log.len() + 256 * 1024, "{} bytes take {allocated}", log.len());
}
