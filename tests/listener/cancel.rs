//! Cancelling: the whole of a job, as long as it has not begun to activate.

use crate::common::processes;
use crate::stage::{Stage, phase, phases, text};
use crate::timeout::{all_begun, all_gone, with_deaf_children};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The status, the error and the message of a report.
fn said(report: &Value) -> (&str, &str, &str) {
    (text(&report["status"]), text(&report["error"]), text(&report["message"]))
}

#[test]
fn a_cancelled_build_ends_with_all_it_started() {
    let stage = Stage::with(&with_deaf_children(), |host| host.gate("never"));
    let reports = stage.deploy("c-1", json!({}));
    reports.until(|report| report["message"] == "build");
    all_begun(&stage);
    let answer = stage.cancel("c-2", "c-1");
    assert_eq!(said(&answer), ("completed", "", "job c-1 is being stopped in build"));
    assert_eq!((&answer["action"], &answer["id"]), (&json!("cancel"), &json!("c-2")));
    let verdict = reports.verdict();
    assert_eq!(said(&verdict), ("failed", "cancelled", "stopped in build; nothing was changed"));
    assert_eq!(phases(&verdict), ["prepare: done", "build: failed"]);
    all_gone(&stage);

    let again = stage.cancel("c-3", "c-1");
    assert_eq!(said(&again), ("completed", "", "job c-1 was cancelled before"));
}

#[test]
fn cancelling_twice_is_as_good_as_once() {
    // Slow to end, so that it is still being stopped when the second one comes.
    let script = format!("trap 'read _ < $DIR/go; exit' TERM\n{}read _ < $DIR/never", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("go").gate("never"));
    let reports = stage.deploy("c-4", json!({}));
    reports.until(|report| report["message"] == "build");
    for id in ["c-5", "c-6"] {
        let answer = stage.cancel(id, "c-4");
        assert_eq!(said(&answer), ("completed", "", "job c-4 is being stopped in build"));
    }
    stage.host.open("go");
    assert_eq!(said(&reports.verdict()).1, "cancelled");
}

#[test]
fn what_has_begun_to_activate_is_not_cancelled() {
    let script = "echo '@homelab-deploy {\"phase\":\"'$(cat $DIR/phase)'\"}'\nread _ < $DIR/go";
    let stage = Stage::with(script, |host| host.gate("go"));
    for name in ["activate", "verify", "persist", "rollback"] {
        std::fs::write(stage.host.file("phase"), name).unwrap();
        let job = format!("c-7-{name}");
        let reports = stage.deploy(&job, json!({}));
        reports.until(|report| report["message"] == name);
        let answer = stage.cancel(&format!("c-8-{name}"), &job);
        let message = format!("job {job} is in {name}, and what has begun to activate is not interrupted");
        assert_eq!(said(&answer), ("rejected", "too_late", message.as_str()));
        stage.host.open("go");
        assert_eq!(reports.verdict()["status"], "completed");
    }
}

#[test]
fn a_cancel_and_its_job_agree_also_when_activation_has_begun_unheard() {
    // The log is read a few times a second: in most of these rounds the cancel comes before that.
    let script =
        format!("{}read _ < $DIR/go\n{}echo > $DIR/on\nread _ < $DIR/go", phase("build"), phase("activate"));
    let stage = Stage::with(&script, |host| host.gate("go").gate("on"));
    for round in 0..5 {
        let (job, id) = (format!("c-9-{round}"), format!("c-10-{round}"));
        let reports = stage.deploy(&job, json!({}));
        reports.until(|report| report["message"] == "build");
        let answers = stage.wire.listen(&format!("deploy.responses.{id}"));
        stage.host.open("go");
        stage.host.told("on");
        stage.send(&id, json!({"action": "cancel", "job": job}));
        assert_eq!(said(&answers.verdict()).1, "too_late");
        stage.host.open("go");
        assert_eq!(reports.verdict()["status"], "completed");
    }
}

#[test]
fn what_a_program_has_said_counts_before_its_supervisor_has_read_it() {
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
    stage.host.told("on");
    let answers = stage.wire.listen("deploy.responses.c-18");
    stage.send("c-18", json!({"action": "cancel", "job": "c-17"}));
    // By then the listener has the cancel too.
    stage.ask(json!({}));
    kill_process(supervisor, Signal::CONT).unwrap();
    assert_eq!(said(&answers.verdict()).1, "too_late");
    stage.host.open("go");
    assert_eq!(reports.verdict()["status"], "completed");
}

#[test]
fn a_cancel_of_what_is_not_there_says_so() {
    let stage = Stage::new("");
    let answer = stage.cancel("c-11", "c-99");
    assert_eq!(said(&answer), ("rejected", "not_found", "this host knows no job c-99"));
    stage.completes("c-12");
    let answer = stage.cancel("c-13", "c-12");
    assert_eq!(said(&answer), ("rejected", "too_late", "job c-12 has ended as completed before"));
    let answer = stage.deploy("c-14", json!({"action": "cancel", "revision": Value::Null})).verdict();
    let (status, error, message) = said(&answer);
    assert_eq!((status, error), ("rejected", "invalid_request"));
    assert!(message.contains("`job`"), "{message}");
}

#[test]
fn a_cancel_ends_the_wait_for_a_repository() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git+http://{}/nixos", silent.local_addr().unwrap());
    let stage = Stage::with("", |host| host.flake(&url));
    let reports = stage.deploy("c-15", json!({}));
    // git is there, and waits.
    let _connection = silent.accept().unwrap();
    assert_eq!(said(&stage.cancel("c-16", "c-15")).0, "completed");
    assert_eq!(said(&reports.verdict()), ("failed", "cancelled", "stopped in prepare; nothing was changed"));
}

#[test]
fn a_flood_of_output_holds_up_no_cancel() {
    let script = format!(
        "{}while [ -d $DIR ]; do echo compiling src/core/module.o from src/core/module.c; done",
        phase("build")
    );
    let stage = Stage::new(&script);
    let reports = stage.deploy("c-17", json!({}));
    reports.until(|report| report["message"] == "build");
    assert_eq!(said(&stage.cancel("c-18", "c-17")).0, "completed");
    let verdict = reports.verdict();
    assert_eq!(said(&verdict).1, "cancelled");
}
