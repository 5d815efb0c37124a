//! Rebuild programs that misbehave: the job fails with a reason, and the next one runs.

use crate::common::is_running;
use crate::stage::{Stage, phase, phases, text};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_program_that_cannot_be_started_changes_nothing_and_the_reason_is_reported() {
    let stage = Stage::new("");
    let program = stage.host.file("rebuild");
    let good = fs::read(&program).unwrap();
    fs::remove_file(&program).unwrap();
    let missing = stage.deploy("g-1", json!({})).final_report();
    fs::write(&program, &good).unwrap();
    let forbidden = stage.deploy("g-2", json!({})).final_report();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    stage.completes("g-3");
    for (report, reason) in [(missing, "No such file or directory"), (forbidden, "Permission denied")] {
        assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("internal")), "{report}");
        assert_eq!(phases(&report), ["prepare: failed"]);
        let message = text(&report["message"]);
        let expected = format!("could not start {}: {reason}", program.display());
        assert!(message.contains(&expected), "{message}");
        assert_eq!(message.matches(reason).count(), 1, "{message}");
    }
}

#[test]
fn a_program_that_dies_of_a_signal_is_reported_with_the_signal() {
    let stage = Stage::new(&format!("{}kill -9 $$", phase("build")));
    let report = stage.deploy("g-4", json!({})).final_report();
    assert_eq!(report["error"], "build_failed");
    assert!(text(&report["message"]).contains("signal: 9"), "{report}");
}

#[test]
fn a_background_child_does_not_delay_the_result_and_may_keep_printing() {
    let child = "sh -c 'echo $$ > $0/child; read _ < $0/go; echo on && : > $0/printed' $DIR &\n";
    let stage = Stage::with(&format!("{child}echo done"), |host| host.gate("go"));
    stage.completes("g-5");
    assert!(is_running(stage.host.pid("child")));
    stage.host.open("go");
    stage.gone("child");
    assert!(stage.host.file("printed").exists(), "it died of a broken pipe");
}

#[test]
fn the_program_has_its_own_session_no_input_and_a_neutral_directory() {
    let session = "cut -d' ' -f 4,5,6 /proc/$$/stat > $DIR/session";
    let stage = Stage::new(&format!(
        "{session}; cut -d' ' -f 6 /proc/{}/stat > $DIR/ours; cat; pwd",
        std::process::id()
    ));
    stage.completes("g-6");
    let read = |file| fs::read_to_string(stage.host.file(file)).unwrap();
    let session = read("session");
    let [supervisor, group, session] = session.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{session}")
    };
    // The process group and session belong to the supervisor of the program.
    assert_eq!((group, session), (supervisor, supervisor));
    assert_ne!(session, read("ours").trim());
    let log = fs::read_to_string(stage.job_file("g-6", "log")).unwrap();
    assert_eq!(log.lines().last(), Some("/"));
}
