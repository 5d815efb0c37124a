//! A malformed message ends only the connection of a listener.

use crate::common::metrics_page::{address, get, with_metrics};
use crate::common::{MalformedClient, eventually};
use crate::stage::Stage;
use serde_json::json;

#[test]
fn a_running_job_continues_and_its_report_arrives() {
    let held = "echo '@homelab-deploy {\"phase\":\"build\"}'\nread _ < $DIR/go || exit 1\necho done";
    let mut stage = Stage::with(held, |host| with_metrics(host.gate("go")));
    let page = address(&mut stage.host);
    let before = stage.host.process();
    let reports = stage.deploy("m-1", json!({}));
    reports.until(|report| report["message"] == "build");
    let mut malformed = MalformedClient::connect(&stage.nats, "viewer");
    for ended in 1..=3 {
        malformed.publish("deploy.discover");
        let counted = format!("\nhomelab_deploy_connections_ended_total {ended}\n");
        eventually("the count", || get(&page, "/metrics").body.contains(&counted).then_some(()));
        eventually("the connection", || (get(&page, "/health").status == 200).then_some(()));
    }
    let status = stage.query(json!({"query": "job", "id": "m-1"}));
    assert_eq!(status["report"]["status"], "running", "{status}");
    stage.host.open("go");
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    stage.wait_delivered("m-1");
    stage.host.open("go");
    stage.completes("m-2");
    assert_eq!(stage.host.process(), before);
    stage.host.kill();
    // The end of the connection is logged once and new connections are not; standard error has only JSON lines.
    let mut log = vec![stage.host.last_log("connected")];
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
