//! The time limit of a job, after which none of its processes is left.

use crate::common::is_running;
use crate::stage::{Stage, phase, phases, text};
use serde_json::json;
use std::time::{Duration, Instant};

/// A script that starts a child and a grandchild, both of which ignore SIGTERM, and then waits.
pub(crate) fn with_deaf_children() -> String {
    let child = "sh -c 'trap \"\" TERM; echo $$ > $0/child; sh -c \"echo \\$\\$ > \\$0/grandchild; read _ < \\$0/never\" $0; read _ < $0/never' $DIR &\n";
    format!("{}{child}echo $$ > $DIR/leader\nread _ < $DIR/never", phase("build"))
}

/// Waits until all processes of [`with_deaf_children`] run.
pub(crate) fn all_started(stage: &Stage) {
    for pid in ["leader", "child", "grandchild"] {
        assert!(is_running(stage.host.pid(pid)));
    }
}

/// Waits until all processes of [`with_deaf_children`] have ended.
pub(crate) fn all_gone(stage: &Stage) {
    for pid in ["leader", "child", "grandchild"] {
        stage.gone(pid);
    }
}

#[test]
fn a_build_that_takes_too_long_is_killed_with_all_its_processes() {
    let script = format!("[ -e $DIR/leader ] && exit 0\n{}", with_deaf_children());
    let stage = Stage::with(&script, |host| host.gate("never"));
    let reports = stage.deploy("t-1", json!({"timeout_s": 1}));
    all_started(&stage);
    let result = reports.final_report();
    assert_eq!((&result["status"], &result["error"]), (&json!("failed"), &json!("timeout")), "{result}");
    assert!(text(&result["message"]).contains("longer than 1 s"), "{result}");
    assert_eq!(phases(&result), ["prepare: done", "build: failed"]);
    assert!(result["elapsed_ms"].as_u64().unwrap() >= 1000, "{result}");
    all_gone(&stage);
    stage.completes("t-2");
}

#[test]
fn a_request_cannot_raise_the_listeners_own_limit() {
    let script = format!("{}read _ < $DIR/never", phase("check"));
    let stage = Stage::with(&script, |host| host.gate("never").args(&["--timeout", "1"]));
    let result = stage.deploy("t-3", json!({"timeout_s": 3600})).final_report();
    assert_eq!(
        (&result["error"], phases(&result)),
        (&json!("timeout"), vec!["prepare: done".to_owned(), "check: failed".to_owned()])
    );
    assert!(text(&result["message"]).contains("longer than 1 s"), "{result}");
}

#[test]
fn a_program_that_ignores_sigterm_itself_gets_five_seconds() {
    let script = format!("trap '' TERM\necho $$ > $DIR/pid\n{}read _ < $DIR/never", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("never"));
    let started = Instant::now();
    let result = stage.deploy("t-4", json!({"timeout_s": 1})).final_report();
    assert_eq!(result["error"], "timeout");
    assert!(started.elapsed() > Duration::from_secs(5), "{:?}", started.elapsed());
    stage.gone("pid");
}

#[test]
fn a_started_activation_has_no_time_limit() {
    // One program reports the phase; the other reports none, so it may be activating from the start.
    let jobs = [("t-5", phase("activate")), ("t-6", "echo busy\n".to_owned())].map(|(id, output)| {
        let stage = Stage::with(&format!("{output}read _ < $DIR/go"), |host| {
            host.gate("go").args(&["--timeout", "1", "--heartbeat-interval", "1"])
        });
        let reports = stage.deploy(id, json!({}));
        (stage, reports)
    });
    for (stage, reports) in jobs {
        reports.until(|report| report["elapsed_ms"].as_u64() > Some(1500));
        stage.host.open("go");
        let result = reports.final_report();
        assert_eq!(result["status"], "completed", "{result}");
    }
}

#[test]
fn the_wait_for_a_repository_counts_towards_the_limit() {
    // This server accepts connections but sends nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git+http://{}/nixos", silent.local_addr().unwrap());
    let stage = Stage::with("touch $DIR/called", |host| host.flake(&url));
    let result = stage.deploy("t-7", json!({"timeout_s": 1})).final_report();
    assert_eq!((&result["status"], &result["error"]), (&json!("failed"), &json!("timeout")));
    assert_eq!(phases(&result), ["prepare: failed"]);
    assert!(!stage.host.file("called").exists());
}
