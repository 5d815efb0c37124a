//! The proof of life, and other boots.

use crate::common::eventually;
use crate::stage::Stage;
use serde_json::json;
use std::fs;

const HOLD: &str = "read _ < $STAGE/gate";
/// For a check, which runs before every action.
const HOLD_CHECK: &str = "[ $action != check ] || read _ < $STAGE/gate";

fn concluded(stage: &Stage, id: &str) {
    eventually("the verdict on disk", || {
        let status = stage.record(id)["report"]["status"].clone();
        ["completed", "failed"].iter().any(|word| status == *word).then_some(())
    });
}

#[test]
fn a_host_that_no_listener_answers_for_goes_back_by_itself_and_tells_later() {
    let mut stage = Stage::with(|host| host.args(&["--confirm-timeout", "1"]));
    let gate = stage.gate("gate");
    stage.fault("v1", "test", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.host.kill();
    gate.pass();
    stage.called("v0 test");
    eventually("the old system", || (stage.runs() == "v0").then_some(()));
    // It waits for its own confirmation before it says that it is back.
    assert_eq!(stage.record("j-1")["report"]["status"], "running");
    stage.host.restart();
    let report = reports.verdict();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("the host did not prove within 1 s that it can be reached: no listener has tried"),
        "{message}"
    );
}

#[test]
fn a_server_that_refuses_one_of_the_subjects_is_no_proof() {
    let subjects = ["--deploy-subject", "deploy.test.web1", "--deploy-subject", "deploy.prod.ns1"];
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "1"]).args(&subjects));
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    assert!(report["message"].as_str().unwrap().contains("deploy.prod.ns1"), "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn a_broker_that_is_away_for_a_while_is_waited_for() {
    let mut stage = Stage::with(|host| host.args(&["--confirm-timeout", "1"]));
    let gate = stage.gate("gate");
    stage.fault("v1", "test", HOLD);
    let _reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.broker.stop();
    gate.pass();
    // It has looked, was refused, and goes on waiting.
    let proof = stage.host.file("state/jobs/j-1/proof.json");
    eventually("a refused attempt", || {
        fs::read_to_string(&proof).ok().filter(|proof| proof.contains("\"refused\":true")).map(drop)
    });
    stage.broker.restart();
    concluded(&stage, "j-1");
    assert_eq!(stage.record("j-1")["report"]["status"], "completed");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn a_server_that_is_away_is_waited_for_before_anything_is_changed() {
    let mut stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "check", HOLD_CHECK);
    let _reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 check");
    stage.broker.stop();
    gate.pass();
    let log = stage.job_file("j-1", "log");
    eventually("the listener waiting", || {
        fs::read_to_string(&log).unwrap().contains("waiting for the server to answer").then_some(())
    });
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    stage.broker.restart();
    concluded(&stage, "j-1");
    assert_eq!(stage.record("j-1")["report"]["status"], "completed");
    assert_eq!(stage.runs(), "v1");
}

#[test]
fn a_server_that_stays_away_costs_the_time_of_the_job_and_changes_nothing() {
    let mut stage = Stage::with(|host| host.flag("--timeout", "3"));
    let gate = stage.gate("gate");
    stage.fault("v1", "check", HOLD_CHECK);
    let _reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 check");
    stage.broker.stop();
    gate.pass();
    concluded(&stage, "j-1");
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    let report = &stage.record("j-1")["report"];
    assert_eq!(report["error"], "timeout", "{report}");
    let expected = "took longer than 3 s: the server did not answer; stopped in check; nothing was changed";
    assert_eq!(report["message"], expected);
}

#[test]
fn without_a_proof_asked_for_nobody_waits() {
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "0"]));
    assert_eq!(stage.deploy("j-1", "switch", "v1").verdict()["status"], "completed");
    assert!(!stage.host.file("state/jobs/j-1/proof.json").exists());
}

#[test]
fn a_host_that_lost_its_power_says_what_runs_now() {
    let mut stage = Stage::new();
    let boot_id = stage.at("root/proc/sys/kernel/random/boot_id");
    fs::create_dir_all(boot_id.parent().unwrap()).unwrap();
    fs::write(&boot_id, "one\n").unwrap();
    let _gate = stage.gate("gate");
    stage.fault("v1", "test", &format!("activate; {HOLD}"));
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.host.kill();
    stage.kill_program();
    fs::write(&boot_id, "two\n").unwrap();
    fs::remove_file(stage.at("v1.test")).unwrap();
    stage.host.restart();
    let report = reports.verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("interrupted")), "{report}");
    let running = fs::read_link(stage.at("root/run/current-system")).unwrap();
    assert!(report["message"].as_str().unwrap().contains(running.to_str().unwrap()), "{report}");
    assert_eq!(stage.deploy("j-2", "switch", "v2").verdict()["status"], "completed");
}
