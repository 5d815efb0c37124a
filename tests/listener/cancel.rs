//! Cancelling: it ends all processes of a job, unless the activation has started.

use crate::common::processes;
use crate::stage::{Stage, phase, phases, text};
use crate::timeout::{all_gone, all_started, with_deaf_children};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The status, the error and the message of a report.
fn summary(report: &Value) -> (&str, &str, &str) {
    (text(&report["status"]), text(&report["error"]), text(&report["message"]))
}

#[test]
fn a_cancelled_build_ends_with_all_its_processes() {
    let stage = Stage::with(&with_deaf_children(), |host| host.gate("never"));
    let reports = stage.deploy("c-1", json!({}));
    reports.until(|report| report["message"] == "build");
    all_started(&stage);
    let reply = stage.cancel("c-2", "c-1");
    assert_eq!(summary(&reply), ("completed", "", "cancelling in build"));
    assert_eq!((&reply["action"], &reply["id"]), (&json!("cancel"), &json!("c-2")));
    let result = reports.final_report();
    assert_eq!(summary(&result), ("failed", "cancelled", "stopped in build; nothing was changed"));
    assert_eq!(phases(&result), ["prepare: done", "build: failed"]);
    all_gone(&stage);

    let again = stage.cancel("c-3", "c-1");
    assert_eq!(summary(&again), ("completed", "", "job c-1 was already cancelled"));
}

#[test]
fn cancelling_twice_has_the_effect_of_cancelling_once() {
    // The program ends slowly, so that it is still being stopped when the second cancel arrives.
    let script = format!("trap 'read _ < $DIR/go; exit' TERM\n{}read _ < $DIR/never", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("go").gate("never"));
    let reports = stage.deploy("c-4", json!({}));
    reports.until(|report| report["message"] == "build");
    for id in ["c-5", "c-6"] {
        let reply = stage.cancel(id, "c-4");
        assert_eq!(summary(&reply), ("completed", "", "cancelling in build"));
    }
    stage.host.open("go");
    assert_eq!(summary(&reports.final_report()).1, "cancelled");
}

#[test]
fn a_started_activation_is_not_cancelled() {
    let script = "echo '@homelab-deploy {\"phase\":\"'$(cat $DIR/phase)'\"}'\nread _ < $DIR/go";
    let stage = Stage::with(script, |host| host.gate("go"));
    for name in ["activate", "verify", "persist", "rollback"] {
        std::fs::write(stage.host.file("phase"), name).unwrap();
        let job = format!("c-7-{name}");
        let reports = stage.deploy(&job, json!({}));
        reports.until(|report| report["message"] == name);
        let reply = stage.cancel(&format!("c-8-{name}"), &job);
        let message = format!("job {job} is in {name}; an activation that has started is not interrupted");
        assert_eq!(summary(&reply), ("rejected", "too_late", message.as_str()));
        stage.host.open("go");
        assert_eq!(reports.final_report()["status"], "completed");
    }
}

#[test]
fn a_cancel_and_its_job_agree_even_if_activation_started_without_a_report() {
    // The log is read a few times a second, so in most of these rounds the cancel arrives before the phase is read.
    let script =
        format!("{}read _ < $DIR/go\n{}echo > $DIR/on\nread _ < $DIR/go", phase("build"), phase("activate"));
    let stage = Stage::with(&script, |host| host.gate("go").gate("on"));
    for round in 0..5 {
        let (job, id) = (format!("c-9-{round}"), format!("c-10-{round}"));
        let reports = stage.deploy(&job, json!({}));
        reports.until(|report| report["message"] == "build");
        let replies = stage.wire.subscribe(&format!("deploy.responses.{id}"));
        stage.host.open("go");
        stage.host.wait_for_line("on");
        stage.send(&id, json!({"action": "cancel", "job": job}));
        assert_eq!(summary(&replies.final_report()).1, "too_late");
        stage.host.open("go");
        assert_eq!(reports.final_report()["status"], "completed");
    }
}

#[test]
fn a_printed_phase_counts_before_the_supervisor_has_read_it() {
    let script =
        format!("{}read _ < $DIR/go\n{}echo > $DIR/on\nread _ < $DIR/go", phase("build"), phase("activate"));
    let stage = Stage::with(&script, |host| host.gate("go").gate("on"));
    let reports = stage.deploy("c-17", json!({}));
    reports.until(|report| report["message"] == "build");
    let directory = stage.host.file("state").display().to_string();
    let [supervisor] = processes(|line| line.contains("\0supervise\0") && line.contains(&directory))[..]
    else {
        panic!("expected one supervisor");
    };
    let supervisor = Pid::from_raw(supervisor.try_into().unwrap()).unwrap();
    kill_process(supervisor, Signal::STOP).unwrap();
    stage.host.open("go");
    stage.host.wait_for_line("on");
    let replies = stage.wire.subscribe("deploy.responses.c-18");
    stage.send("c-18", json!({"action": "cancel", "job": "c-17"}));
    // The reply shows that the listener has received the cancel, too.
    stage.query(json!({}));
    kill_process(supervisor, Signal::CONT).unwrap();
    assert_eq!(summary(&replies.final_report()).1, "too_late");
    stage.host.open("go");
    assert_eq!(reports.final_report()["status"], "completed");
}

#[test]
fn a_cancel_of_an_unknown_job_is_rejected() {
    let stage = Stage::new("");
    let reply = stage.cancel("c-11", "c-99");
    assert_eq!(summary(&reply), ("rejected", "not_found", "this host has no job c-99"));
    stage.completes("c-12");
    let reply = stage.cancel("c-13", "c-12");
    assert_eq!(summary(&reply), ("rejected", "too_late", "job c-12 has already ended: completed"));
    let reply = stage.deploy("c-14", json!({"action": "cancel", "revision": Value::Null})).final_report();
    let (status, error, message) = summary(&reply);
    assert_eq!((status, error), ("rejected", "invalid_request"));
    assert!(message.contains("`job`"), "{message}");
}

#[test]
fn a_cancel_ends_the_wait_for_a_repository() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git+http://{}/nixos", silent.local_addr().unwrap());
    let stage = Stage::with("", |host| host.flake(&url));
    let reports = stage.deploy("c-15", json!({}));
    // git has connected and waits for a response.
    let _connection = silent.accept().unwrap();
    assert_eq!(summary(&stage.cancel("c-16", "c-15")).0, "completed");
    assert_eq!(
        summary(&reports.final_report()),
        ("failed", "cancelled", "stopped in prepare; nothing was changed")
    );
}

#[test]
fn a_flood_of_output_does_not_delay_a_cancel() {
    let script = format!(
        "{}while [ -d $DIR ]; do echo compiling src/core/module.o from src/core/module.c; done",
        phase("build")
    );
    let stage = Stage::new(&script);
    let reports = stage.deploy("c-17", json!({}));
    reports.until(|report| report["message"] == "build");
    assert_eq!(summary(&stage.cancel("c-18", "c-17")).0, "completed");
    let result = reports.final_report();
    assert_eq!(summary(&result).1, "cancelled");
}
