//! Two operators at once, and an operator that knows only the base format.

use crate::common::{RawClient, deploy_as_base_operator};
use crate::stage::{Stage, StageBuilder, sleeper};
use serde_json::json;

#[test]
fn a_second_operator_is_refused_until_the_first_is_done() {
    let Some(host) = StageBuilder::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    let stage = host.start_with(|host| {
        let check = format!("read go <{}", host.dir().join("gate").display());
        host.gate("gate").args(&["--health-check", &check])
    });
    let first = stage.send("op-1", json!({}));
    stage.wait_for_line("op-1", "$ read go");
    let web = stage.container("web");
    let other = RawClient::connect(&stage.nats, "admin");
    let reports = other.subscribe("deploy.responses.op-2");
    let request =
        json!({"id": "op-2", "action": "switch", "revision": "master", "reply_to": "deploy.responses.op-2"});
    other.publish("deploy.test.web1", &request);
    let refused = reports.final_report();
    assert_eq!(
        (&refused["error"], &refused["running_job"]),
        (&json!("already_running"), &json!("op-1")),
        "{refused}"
    );
    stage.host.open("gate");
    assert_eq!(first.final_report()["status"], "completed");
    stage.host.open("gate");
    let mut request = request;
    request["id"] = json!("op-3");
    other.publish("deploy.test.web1", &request);
    let report = reports.until(|report| report["id"] == "op-3" && report["status"] != "running");
    assert_ne!(report["status"], "failed", "{report}");
    assert_eq!(reports.final_report()["message"], "switch done, generation 1: 1 unchanged");
    assert_eq!(stage.container("web"), web);
}

#[test]
fn an_operator_that_knows_only_the_base_format_deploys() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    let statuses = deploy_as_base_operator(&stage.nats, "test", "web1");
    assert_eq!(statuses, ["accepted", "started", "completed"]);
    // The actions of the base format that mean nothing here are refused with an error of the base format.
    let operator = RawClient::connect(&stage.nats, "tester");
    let reports = operator.subscribe("deploy.responses.base-2");
    let request = json!({"action": "boot", "revision": "master", "reply_to": "deploy.responses.base-2"});
    operator.publish("deploy.test.web1", &request);
    assert_eq!(reports.final_report()["error"], "invalid_action");
}
