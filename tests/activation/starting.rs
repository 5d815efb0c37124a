//! A service manager that does not start the activation, or does so and says that it did not.

use crate::common::eventually;
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;

/// A host with a service manager that the test plays.
fn stage(systemd_run: &str) -> Stage {
    let stage = Stage::new();
    stage.program_named("systemctl", "exit 0");
    for_activations(&stage, systemd_run);
    fs::create_dir_all(stage.at("root/run/systemd/system")).unwrap();
    stage
}

/// What it does with an activation; a check is started as it should be.
fn for_activations(stage: &Stage, systemd_run: &str) {
    let check = format!("case \"$*\" in *homelab-deploy-check-*) ({START}) & exit 0 ;; esac");
    stage.program_named("systemd-run", &format!("{check}\n{systemd_run}"));
}

/// Every report that is final.
fn verdicts(reports: &crate::common::Ears, stage: &Stage) -> Vec<Value> {
    stage.wire.round_trip();
    let heard = reports.arrived().into_iter().map(|heard| heard.body);
    heard.filter(|body| ["completed", "failed"].iter().any(|status| body["status"] == *status)).collect()
}

/// Starts what stands behind `--`, as `systemd-run` does.
const START: &str = "while [ \"$1\" != -- ]; do shift; done; shift; setsid \"$@\" >/dev/null 2>&1";

#[test]
fn an_activation_that_cannot_be_started_changes_nothing() {
    let stage = stage("echo 'Failed to connect to bus' >&2; exit 1");
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("internal")), "{report}");
    let expected =
        "could not start the activation: systemd-run: Failed to connect to bus; nothing was changed";
    assert_eq!(report["message"], expected);
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    assert_eq!(stage.record("j-1")["report"]["message"], expected);
    for_activations(&stage, &format!("({START}) >/dev/null 2>&1 &"));
    assert_eq!(stage.deploy("j-2", "switch", "v2").verdict()["status"], "completed");
}

#[test]
fn an_activation_that_was_started_after_all_is_followed_to_its_verdict() {
    let says_no = "while ! grep -q 'v1 test' $STAGE/calls; do sleep 0.02; done; echo 'Connection timed out' >&2; exit 1";
    let stage = stage(&format!("({START}) >/dev/null 2>&1 & {says_no}"));
    let gate = stage.gate("gate");
    stage.fault("v1", "test", "read _ < $STAGE/gate");
    let reports = stage.deploy("j-1", "switch", "v1");
    // Followed: the listener has seen a phase that only the activation program tells.
    reports.until(|body| body["message"] == "activate");
    gate.pass();
    let report = reports.verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
    assert_eq!(stage.record("j-1")["report"]["status"], "completed");
}

#[test]
fn an_activation_that_starts_after_its_verdict_does_nothing() {
    let late =
        format!("while ! grep -q '\"failed\"' $RECORD; do sleep 0.02; done; {START}; echo > $STAGE/late");
    let stage = stage("exit 1");
    let record = stage.job_file("j-1", "state.json");
    let script = format!("RECORD={}\n(exec </dev/null >/dev/null 2>&1; {late}) &\nexit 1", record.display());
    for_activations(&stage, &script);
    let reports = stage.deploy("j-1", "switch", "v1");
    let report = reports.verdict();
    assert_eq!(report["error"], "internal", "{report}");
    eventually("the late activation ending", || stage.at("late").exists().then_some(()));
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    assert_eq!(stage.record("j-1")["report"]["seq"], report["seq"]);
    assert_eq!(verdicts(&reports, &stage), [] as [Value; 0]);
}
