//! An operator that knows only the base format.

use super::{NatsServer, RawClient};
use serde_json::json;

/// Deploys `master` with a request and fields of the base format only. Returns the status of each report, except those that show
/// progress.
pub fn deploy_as_base_operator(nats: &NatsServer, tier: &str, host: &str) -> Vec<String> {
    let operator = RawClient::connect(nats, "tester");
    let reply_to = "deploy.responses.base-1";
    let reports = operator.subscribe(reply_to);
    let request = json!({"action": "switch", "revision": "master", "reply_to": reply_to});
    operator.publish(&format!("deploy.{tier}.{host}"), &request);
    let mut statuses = Vec::new();
    loop {
        let report = reports.next().body;
        assert_eq!(report["hostname"], host);
        assert!(report["message"].is_string(), "{report}");
        assert!(report.as_object().unwrap().contains_key("error"), "{report}");
        let status = report["status"].as_str().unwrap().to_owned();
        let is_end = ["completed", "failed"].contains(&status.as_str());
        assert!(status != "completed" || report["error"].is_null(), "{report}");
        if status != "running" {
            statuses.push(status);
        }
        if is_end {
            return statuses;
        }
    }
}
