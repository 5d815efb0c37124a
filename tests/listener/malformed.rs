//! A malformed message ends the connection of a listener and nothing else.

use crate::common::page::{address, get, served};
use crate::common::{Malformed, eventually};
use crate::stage::Stage;
use serde_json::json;

#[test]
fn a_running_job_goes_on_and_its_report_arrives() {
    let held = "echo '@homelab-deploy {\"phase\":\"build\"}'\nread _ < $DIR/go || exit 1\necho done";
    let mut stage = Stage::with(held, |host| served(host.gate("go")));
    let page = address(&mut stage.host);
    let before = stage.host.process();
    let reports = stage.deploy("m-1", json!({}));
    reports.until(|report| report["message"] == "build");
    let mut malformed = Malformed::connect(&stage.broker, "viewer");
    for ended in 1..=3 {
        malformed.publish("deploy.discover");
        let counted = format!("\nhomelab_deploy_connections_ended_total {ended}\n");
        eventually("the count", || get(&page, "/metrics").body.contains(&counted).then_some(()));
        eventually("the connection", || (get(&page, "/health").status == 200).then_some(()));
    }
    let status = stage.ask(json!({"want": "job", "id": "m-1"}));
    assert_eq!(status["report"]["status"], "running", "{status}");
    stage.host.open("go");
    let report = reports.verdict();
    assert_eq!(report["status"], "completed", "{report}");
    stage.told("m-1");
    stage.host.open("go");
    stage.completes("m-2");
    assert_eq!(stage.host.process(), before);
    stage.host.kill();
    // Logged once, as are the connections that replace those that ended; nothing else is on standard error.
    let mut log = vec![stage.host.has_logged("connected")];
    log.extend(stage.host.rest_of_log());
    assert!(log.iter().all(serde_json::Value::is_object), "{log:#?}");
    let ended = "connection ended by a malformed message, reconnecting";
    let ended: Vec<_> = log.iter().filter(|line| line["msg"] == ended).collect();
    assert_eq!(ended.len(), 1, "{log:#?}");
    assert_eq!((&ended[0]["level"], &ended[0]["times"]), (&json!("WARN"), &json!(1)));
    let reason = "invalid header value: cannot contain '\\r' or '\\n'";
    assert_eq!(ended[0]["reason"], reason);
    assert_eq!(log.iter().filter(|line| line["msg"] == "connected").count(), 1, "{log:#?}");
}
