//! An external command keeps running while its listener restarts, which its own switch may cause. The next listener
//! follows it to its end.

use crate::common::{HostBuilder, RawSubscription, eventually, is_running};
use crate::stage::{Stage, marker_commands, phase, phases, text};
use crate::timeout::{all_gone, all_started, with_deaf_children};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;

/// Builds, waits, activates, waits, and exits with the code in `$DIR/code`.
fn program() -> Stage {
    let activates = marker_commands(&[
        json!({"phase": "activate", "generation": 42}),
        json!({"message": "3 units restarted"}),
    ]);
    let script = format!(
        "echo >> $DIR/calls\n{}read _ < $DIR/go\n{activates}read _ < $DIR/go\necho last words\nexit $(cat $DIR/code)",
        phase("build")
    );
    let stage = Stage::with(&script, |host| host.gate("go"));
    fs::write(stage.host.file("code"), "0").unwrap();
    stage
}

/// Deploys and waits for the build phase.
fn building(stage: &Stage, id: &str) -> RawSubscription {
    let reports = stage.deploy(id, json!({}));
    reports.until(|report| report["message"] == "build");
    reports
}

/// Waits until the exit status of the program is on disk.
fn ended(stage: &Stage, id: &str) {
    let file = stage.job_file(id, "command.json");
    let end = || serde_json::from_slice::<Value>(&fs::read(&file).ok()?).ok()?["end"].as_object().cloned();
    eventually("the end of the program on disk", end);
}

#[test]
fn a_program_whose_listener_is_killed_or_stopped_completes() {
    for (id, stop) in [("l-1", Signal::KILL), ("l-2", Signal::TERM)] {
        let mut stage = program();
        let reports = building(&stage, id);
        stage.host.signal(stop);
        stage.host.wait_for_exit();
        stage.restart();
        let log = stage.wire.subscribe(&format!("deploy.responses.{id}.log.web1"));
        stage.host.open("go");
        let report = reports.until(|report| report["message"] == "activate");
        assert_eq!(report["generation"], 42, "{report}");
        stage.host.open("go");
        let report = reports.final_report();
        assert_eq!(
            (&report["status"], &report["message"]),
            (&json!("completed"), &json!("3 units restarted"))
        );
        assert_eq!(phases(&report), ["prepare: done", "build: done", "activate: done"]);
        assert!(report["seq"].as_u64() > Some(2_000_000), "{report}");
        assert_eq!(stage.record(id)["report"], report);
        assert_eq!(stage.calls(), 1);
        // Live lines from before the restart are not published again.
        let received = log.until(|piece| piece["text"] == "last words\n");
        let stored = fs::read_to_string(stage.job_file(id, "log")).unwrap();
        assert_eq!(received["offset"], stored.find("last words").unwrap());
        stage.host.open("go");
        stage.host.open("go");
        stage.completes("l-3");
    }
}

#[test]
fn a_program_that_fails_after_its_listener_was_killed_fails_in_its_phase() {
    let mut stage = program();
    fs::write(stage.host.file("code"), "3").unwrap();
    let reports = building(&stage, "l-4");
    stage.restart();
    stage.host.open("go");
    reports.until(|report| report["message"] == "activate");
    stage.restart();
    stage.host.open("go");
    let report = reports.final_report();
    assert_eq!(
        (&report["status"], &report["error"]),
        (&json!("failed"), &json!("activation_failed")),
        "{report}"
    );
    assert_eq!(phases(&report), ["prepare: done", "build: done", "activate: failed"]);
    let expected = "ended with exit status: 3 in activate: 3 units restarted";
    assert!(text(&report["message"]).ends_with(expected), "{report}");
}

#[test]
fn a_program_that_ends_while_no_listener_runs_is_reported_by_the_next() {
    for (id, code, status) in [("l-5", "0", "completed"), ("l-6", "3", "failed")] {
        let mut stage = program();
        fs::write(stage.host.file("code"), code).unwrap();
        let reports = building(&stage, id);
        stage.host.kill();
        stage.host.open("go");
        stage.host.open("go");
        ended(&stage, id);
        stage.restart();
        let report = reports.final_report();
        assert_eq!((&report["status"], &report["generation"]), (&json!(status), &json!(42)), "{report}");
        let last = if code == "0" { "activate: done" } else { "activate: failed" };
        assert_eq!(phases(&report), ["prepare: done", "build: done", last]);
    }
}

#[test]
fn a_program_that_another_listener_started_can_be_cancelled_until_it_activates() {
    let mut stage = Stage::with(&with_deaf_children(), |host| host.gate("never"));
    let reports = building(&stage, "l-7");
    all_started(&stage);
    stage.restart();
    let reply = stage.cancel("l-8", "l-7");
    assert_eq!(reply["status"], "completed", "{reply}");
    let report = reports.final_report();
    assert_eq!(
        (&report["error"], &report["message"]),
        (&json!("cancelled"), &json!("stopped in build; nothing was changed"))
    );
    all_gone(&stage);

    let mut stage = program();
    let reports = building(&stage, "l-9");
    stage.host.kill();
    stage.host.open("go");
    let log = stage.job_file("l-9", "log");
    eventually("the phase in the log", || {
        fs::read_to_string(&log).unwrap().contains("activate").then_some(())
    });
    stage.host.restart();
    // The program activates, even if the new listener has not read that yet.
    let reply = stage.cancel("l-10", "l-9");
    assert_eq!(reply["error"], "too_late", "{reply}");
    stage.host.open("go");
    assert_eq!(reports.final_report()["status"], "completed");
}

#[test]
fn a_program_that_another_listener_started_keeps_its_time_limit() {
    let mut stage = Stage::with(&format!("{}read _ < $DIR/never", phase("build")), |host| host.gate("never"));
    let reports = stage.deploy("l-11", json!({"timeout_s": 1}));
    reports.until(|report| report["message"] == "build");
    stage.restart();
    let report = reports.final_report();
    assert_eq!(report["error"], "timeout", "{report}");
}

#[test]
fn a_program_killed_with_its_supervisor_is_reported_as_interrupted() {
    let stage =
        Stage::with(&format!("{}echo $$ > $DIR/pid\nread _ < $DIR/never", phase("activate")), |host| {
            host.gate("never")
        });
    let reports = stage.deploy("l-12", json!({}));
    reports.until(|report| report["message"] == "activate");
    let program = stage.host.pid("pid");
    let command: Value =
        serde_json::from_slice(&fs::read(stage.job_file("l-12", "command.json")).unwrap()).unwrap();
    let supervisor = i32::try_from(command["pid"].as_i64().unwrap()).unwrap();
    for pid in [supervisor, i32::try_from(program).unwrap()] {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
    let report = reports.final_report();
    assert_eq!(report["error"], "interrupted", "{report}");
    let expected = "was killed in activate together with its supervisor, so its exit status is unknown; ";
    assert!(text(&report["message"]).contains(expected), "{report}");
    assert!(!is_running(program));
}

#[test]
fn a_job_whose_program_had_not_started_is_restarted_with_the_listener() {
    // This server accepts connections but sends nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git+http://{}/nixos", silent.local_addr().unwrap());
    let mut stage = Stage::with("", |host| host.flake(&url));
    let reports = stage.deploy("l-13", json!({}));
    let _first = silent.accept().unwrap();
    stage.host.kill();
    stage.host.restart();
    let _second = silent.accept().unwrap();
    assert_eq!(stage.cancel("l-14", "l-13")["status"], "completed");
    assert_eq!(reports.final_report()["error"], "cancelled");
}

#[test]
fn a_hung_program_that_may_change_the_host_is_terminated_with_advice() {
    let script = format!("trap 'echo made it; exit 7' TERM\n{}read _ < $DIR/never", phase("activate"));
    let stage =
        Stage::with(&script, |host| host.gate("never").args(&["--timeout", "1", "--rebuild-silence", "2"]));
    let report = stage.deploy("l-15", json!({})).final_report();
    assert_eq!(report["error"], "activation_failed", "{report}");
    let message = text(&report["message"]);
    let expected = "wrote nothing for 2 s in activate and was ended (exit status: 7); the host may be between two systems: the \
                    running one is unknown, the system profile is unknown, and the boot loader may name another; check \
                    these and the log, then deploy again";
    assert!(message.contains(expected), "{message}");
    let log = fs::read_to_string(stage.job_file("l-15", "log")).unwrap();
    let note = format!(
        "no output for 2 s in activate: ending {} with SIGTERM, with SIGKILL after 120 s\nmade it\n",
        stage.host.file("rebuild").display()
    );
    assert!(log.ends_with(&note), "{log}");
}

#[test]
fn a_program_that_writes_from_time_to_time_is_not_considered_hung() {
    let tick = "read _ < $DIR/go; echo tick\n".repeat(4);
    let stage = Stage::with(&format!("{}{tick}", phase("activate")), |host| {
        host.gate("go").args(&["--timeout", "1", "--heartbeat-interval", "1", "--rebuild-silence", "3"])
    });
    let reports = stage.deploy("l-16", json!({}));
    let mut elapsed = 0;
    for _ in 0..4 {
        let report = reports.until(|report| report["elapsed_ms"].as_u64() > Some(elapsed + 1000));
        elapsed = report["elapsed_ms"].as_u64().unwrap();
        stage.host.open("go");
    }
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert!(report["elapsed_ms"].as_u64() > Some(4000), "{report}");
}

#[test]
fn a_program_is_followed_by_a_listener_that_was_configured_without_one() {
    let mut stage = program();
    let reports = building(&stage, "l-17");
    stage.host.kill();
    let next = HostBuilder::new(&stage.nats, "web1", "test", "web")
        .without("--rebuild-command")
        .flag("--state-dir", stage.host.file("state").to_str().unwrap())
        .start();
    stage.host.open("go");
    reports.until(|report| report["message"] == "activate");
    stage.host.open("go");
    let report = reports.final_report();
    assert_eq!((&report["status"], &report["message"]), (&json!("completed"), &json!("3 units restarted")));
    drop(next);
}
