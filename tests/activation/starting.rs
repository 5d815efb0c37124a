//! A service manager that does not start the activation, or starts it and reports an error.

use crate::common::eventually;
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;

/// Creates a host with a fake service manager.
fn stage(systemd_run: &str) -> Stage {
    let stage = Stage::new();
    stage.program_named("systemctl", "exit 0");
    for_activations(&stage, systemd_run);
    fs::create_dir_all(stage.at("root/run/systemd/system")).unwrap();
    stage
}

/// Sets the behaviour for activations; checks are started normally.
fn for_activations(stage: &Stage, systemd_run: &str) {
    let check = format!("case \"$*\" in *homelab-deploy-check-*) ({START}) & exit 0 ;; esac");
    stage.program_named("systemd-run", &format!("{check}\n{systemd_run}"));
}

/// Returns all final reports.
fn results(reports: &crate::common::RawSubscription, stage: &Stage) -> Vec<Value> {
    stage.wire.round_trip();
    let reports = reports.received().into_iter().map(|message| message.body);
    reports.filter(|body| ["completed", "failed"].iter().any(|status| body["status"] == *status)).collect()
}

/// Starts the command after `--`, as `systemd-run` does.
const START: &str = "while [ \"$1\" != -- ]; do shift; done; shift; setsid \"$@\" >/dev/null 2>&1";

#[test]
fn activation_that_cannot_be_started_changes_nothing() {
    let stage = stage("echo 'Failed to connect to bus' >&2; exit 1");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("internal")), "{report}");
    let expected =
        "could not start the activation: systemd-run: Failed to connect to bus; nothing was changed";
    assert_eq!(report["message"], expected);
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    assert_eq!(stage.record("j-1")["report"]["message"], expected);
    for_activations(&stage, &format!("({START}) >/dev/null 2>&1 &"));
    assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["status"], "completed");
}

#[test]
fn activation_that_started_despite_an_error_is_followed_to_its_result() {
    let says_no = "while ! grep -q 'v1 test' $STAGE/calls; do sleep 0.02; done; echo 'Connection timed out' >&2; exit 1";
    let stage = stage(&format!("({START}) >/dev/null 2>&1 & {says_no}"));
    let gate = stage.gate("gate");
    stage.fault("v1", "test", "read _ < $STAGE/gate");
    let reports = stage.deploy("j-1", "switch", "v1");
    // Only the worker reports this phase, so the listener follows the worker.
    reports.until(|body| body["message"] == "activate");
    gate.pass();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
    assert_eq!(stage.record("j-1")["report"]["status"], "completed");
}

#[test]
fn activation_that_starts_after_its_result_does_nothing() {
    let late =
        format!("while ! grep -q '\"failed\"' $RECORD; do sleep 0.02; done; {START}; echo > $STAGE/late");
    let stage = stage("exit 1");
    let record = stage.job_file("j-1", "state.json");
    let script = format!("RECORD={}\n(exec </dev/null >/dev/null 2>&1; {late}) &\nexit 1", record.display());
    for_activations(&stage, &script);
    let reports = stage.deploy("j-1", "switch", "v1");
    let report = reports.final_report();
    assert_eq!(report["error"], "internal", "{report}");
    eventually("the late activation ending", || stage.at("late").exists().then_some(()));
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    assert_eq!(stage.record("j-1")["report"]["seq"], report["seq"]);
    assert_eq!(results(&reports, &stage), [] as [Value; 0]);
}
