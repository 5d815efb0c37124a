//! The confirmation, outages of the NATS server, and a loss of power.

use crate::common::eventually;
use crate::stage::Stage;
use serde_json::json;
use std::fs;
use std::net::TcpListener;

const HOLD: &str = "read _ < $STAGE/gate";
/// Blocks the check, which runs before every action.
const HOLD_CHECK: &str = "[ $action != check ] || read _ < $STAGE/gate";

fn wait_until_finished(stage: &Stage, id: &str) {
    eventually("a result on disk", || {
        let status = stage.record(id)["report"]["status"].clone();
        ["completed", "failed"].iter().any(|word| status == *word).then_some(())
    });
}

#[test]
fn host_without_a_listener_rolls_back_automatically_and_reports_later() {
    let mut stage = Stage::with(|host| host.args(&["--confirm-timeout", "1"]));
    let gate = stage.gate("gate");
    stage.fault("v1", "test", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.host.kill();
    gate.pass();
    stage.called("v0 test");
    eventually("the old system", || (stage.runs() == "v0").then_some(()));
    // The rollback is complete only after it was confirmed as well.
    assert_eq!(stage.record("j-1")["report"]["status"], "running");
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("the connection was not confirmed within 1 s: no listener tried to connect"),
        "{message}"
    );
}

#[test]
fn refused_subject_prevents_the_confirmation() {
    let subjects = ["--deploy-subject", "deploy.test.web1", "--deploy-subject", "deploy.prod.ns1"];
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "1"]).args(&subjects));
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    assert!(report["message"].as_str().unwrap().contains("deploy.prod.ns1"), "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn nats_outage_during_confirmation_is_waited_for() {
    let timeout = 3;
    // The health check replaces other clients, which need time to connect again.
    let flags = ["--health-check", "true", "--confirm-timeout", &timeout.to_string()];
    let mut stage = Stage::with(|host| host.args(&flags));
    stage.operator.stop();
    let gate = stage.gate("gate");
    stage.fault("v1", "test", HOLD);
    let _reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.nats.stop();
    gate.pass();
    // The listener is refused for longer than the timeout, with a second between two attempts.
    for _ in 0..=timeout {
        let attempt = stage.host.wait_for_log("the connection is not confirmed yet");
        assert!(attempt["reason"].as_str().unwrap().contains("refused"), "{attempt}");
    }
    // A server that starts may accept a connection before it answers.
    let starting = TcpListener::bind(stage.nats.url().strip_prefix("nats://").unwrap()).unwrap();
    starting.set_nonblocking(true).unwrap();
    let confirmation = stage.host.file("state/jobs/j-1/confirmation.json");
    eventually("an attempt that is not refused", || {
        while starting.accept().is_ok() {}
        fs::read_to_string(&confirmation).unwrap().contains("\"refused\":false").then_some(())
    });
    drop(starting);
    stage.nats.restart();
    wait_until_finished(&stage, "j-1");
    let report = &stage.record("j-1")["report"];
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn nats_outage_is_waited_for_before_anything_is_changed() {
    let mut stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "check", HOLD_CHECK);
    let _reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 check");
    stage.nats.stop();
    gate.pass();
    let log = stage.job_file("j-1", "log");
    eventually("the listener waiting", || {
        fs::read_to_string(&log).unwrap().contains("waiting for the NATS server to answer").then_some(())
    });
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    stage.nats.restart();
    wait_until_finished(&stage, "j-1");
    assert_eq!(stage.record("j-1")["report"]["status"], "completed");
    assert_eq!(stage.runs(), "v1");
}

#[test]
fn long_nats_outage_times_out_and_changes_nothing() {
    let mut stage = Stage::with(|host| host.flag("--timeout", "3"));
    let gate = stage.gate("gate");
    stage.fault("v1", "check", HOLD_CHECK);
    let _reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 check");
    stage.nats.stop();
    gate.pass();
    wait_until_finished(&stage, "j-1");
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    let report = &stage.record("j-1")["report"];
    assert_eq!(report["error"], "timeout", "{report}");
    let expected =
        "took longer than 3 s: the NATS server did not answer; stopped in check; nothing was changed";
    assert_eq!(report["message"], expected);
}

#[test]
fn zero_confirm_timeout_disables_the_confirmation() {
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "0"]));
    assert_eq!(stage.deploy("j-1", "switch", "v1").final_report()["status"], "completed");
    assert!(!stage.host.file("state/jobs/j-1/confirmation.json").exists());
}

#[test]
fn power_loss_is_reported_with_the_running_system() {
    let mut stage = Stage::new();
    let boot_id = stage.at("root/proc/sys/kernel/random/boot_id");
    fs::create_dir_all(boot_id.parent().unwrap()).unwrap();
    fs::write(&boot_id, "one\n").unwrap();
    let _gate = stage.gate("gate");
    stage.fault("v1", "test", &format!("activate; {HOLD}"));
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.host.kill();
    stage.kill_worker();
    fs::write(&boot_id, "two\n").unwrap();
    fs::remove_file(stage.at("v1.test")).unwrap();
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("interrupted")), "{report}");
    let running = fs::read_link(stage.at("root/run/current-system")).unwrap();
    assert!(report["message"].as_str().unwrap().contains(running.to_str().unwrap()), "{report}");
    assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["status"], "completed");
}
