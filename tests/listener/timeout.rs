//! How long a job may take, and what is left of it after that: nothing.

use crate::common::runs;
use crate::stage::{Stage, phase, phases, text};
use serde_json::json;
use std::time::{Duration, Instant};

/// Starts a child that ignores SIGTERM, and one of that, and holds.
pub(crate) fn with_deaf_children() -> String {
    let child = "sh -c 'trap \"\" TERM; echo $$ > $0/child; sh -c \"echo \\$\\$ > \\$0/grandchild; read _ < \\$0/never\" $0; read _ < $0/never' $DIR &\n";
    format!("{}{child}echo $$ > $DIR/leader\nread _ < $DIR/never", phase("build"))
}

/// Waits until all of [`with_deaf_children`] run.
pub(crate) fn all_begun(stage: &Stage) {
    for pid in ["leader", "child", "grandchild"] {
        assert!(runs(stage.host.pid(pid)));
    }
}

/// Waits until nothing of [`with_deaf_children`] is left.
pub(crate) fn all_gone(stage: &Stage) {
    for pid in ["leader", "child", "grandchild"] {
        stage.gone(pid);
    }
}

#[test]
fn a_build_that_takes_too_long_is_killed_with_all_it_started() {
    let script = format!("[ -e $DIR/leader ] && exit 0\n{}", with_deaf_children());
    let stage = Stage::with(&script, |host| host.gate("never"));
    let reports = stage.deploy("t-1", json!({"timeout_s": 1}));
    all_begun(&stage);
    let verdict = reports.verdict();
    assert_eq!((&verdict["status"], &verdict["error"]), (&json!("failed"), &json!("timeout")), "{verdict}");
    assert!(text(&verdict["message"]).contains("longer than 1 s"), "{verdict}");
    assert_eq!(phases(&verdict), ["prepare: done", "build: failed"]);
    assert!(verdict["elapsed_ms"].as_u64().unwrap() >= 1000, "{verdict}");
    all_gone(&stage);
    stage.completes("t-2");
}

#[test]
fn a_request_cannot_raise_the_listeners_own_limit() {
    let script = format!("{}read _ < $DIR/never", phase("check"));
    let stage = Stage::with(&script, |host| host.gate("never").args(&["--timeout", "1"]));
    let verdict = stage.deploy("t-3", json!({"timeout_s": 3600})).verdict();
    assert_eq!(
        (&verdict["error"], phases(&verdict)),
        (&json!("timeout"), vec!["prepare: done".to_owned(), "check: failed".to_owned()])
    );
    assert!(text(&verdict["message"]).contains("longer than 1 s"), "{verdict}");
}

#[test]
fn a_program_that_ignores_sigterm_itself_gets_five_seconds() {
    let script = format!("trap '' TERM\necho $$ > $DIR/pid\n{}read _ < $DIR/never", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("never"));
    let begun = Instant::now();
    let verdict = stage.deploy("t-4", json!({"timeout_s": 1})).verdict();
    assert_eq!(verdict["error"], "timeout");
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
    stage.gone("pid");
}

#[test]
fn what_has_begun_to_activate_is_not_timed() {
    // The one tells its phase; the other tells none, so it may be activating from its start.
    let jobs = [("t-5", phase("activate")), ("t-6", "echo busy\n".to_owned())].map(|(id, says)| {
        let stage = Stage::with(&format!("{says}read _ < $DIR/go"), |host| {
            host.gate("go").args(&["--timeout", "1", "--heartbeat-interval", "1"])
        });
        let reports = stage.deploy(id, json!({}));
        (stage, reports)
    });
    for (stage, reports) in jobs {
        reports.until(|report| report["elapsed_ms"].as_u64() > Some(1500));
        stage.host.open("go");
        let verdict = reports.verdict();
        assert_eq!(verdict["status"], "completed", "{verdict}");
    }
}

#[test]
fn a_repository_that_never_answers_counts_as_time_spent() {
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git+http://{}/nixos", silent.local_addr().unwrap());
    let stage = Stage::with("touch $DIR/called", |host| host.flake(&url));
    let verdict = stage.deploy("t-7", json!({"timeout_s": 1})).verdict();
    assert_eq!((&verdict["status"], &verdict["error"]), (&json!("failed"), &json!("timeout")));
    assert_eq!(phases(&verdict), ["prepare: failed"]);
    assert!(!stage.host.file("called").exists());
}
