//! Hosts with Docker Compose: their services in the results, and deployments of single services.

use crate::common::{FakeListener, HostBuilder, NatsServer, base_presence, base_report};
use crate::harness::Session;
use serde_json::json;

#[test]
fn services_are_listed_and_deployed_alone() {
    let nats = NatsServer::start();
    let mut answer = base_presence("chelsty", "test", "home");
    answer["version"] = json!("1");
    answer["engine"] = json!("compose");
    answer["components"] = json!(["mosquitto", "zigbee2mqtt"]);
    answer["capabilities"] = json!(["build", "services"]);
    let host = FakeListener::start(&nats, answer, |request| {
        let mut report =
            base_report("chelsty", "failed", Some("activation_failed"), "zigbee2mqtt is unhealthy");
        report["action"] = request["action"].clone();
        report["components"] = json!([
            {"name": "mosquitto", "state": "unchanged", "elapsed_ms": 0},
            {"name": "zigbee2mqtt", "state": "failed", "elapsed_ms": 2500, "message": "it is\u{1b}[2J unhealthy"},
        ]);
        vec![report]
    });
    let _web1 = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut session = Session::open(&nats);
    let listed = session.call("list_hosts", &json!({}));
    let chelsty = &listed.done()["hosts"][0];
    assert_eq!((&chelsty["engine"], &chelsty["components"][1]), (&json!("compose"), &json!("zigbee2mqtt")));
    assert!(listed.done()["hosts"][1].get("engine").is_none());

    let deployed = session.call("deploy", &json!({"hostname": "chelsty", "services": ["zigbee2mqtt"]}));
    let text = deployed.text();
    assert!(
        text.contains("\n  mosquitto    unchanged\n  zigbee2mqtt  failed 2.5 s: it is unhealthy"),
        "{text}"
    );
    assert_eq!(host.request()["services"], json!(["zigbee2mqtt"]));
    let refused = session.call("deploy", &json!({"hostname": "web1", "services": ["nginx"]}));
    assert!(refused.text().contains("it has no services that can be deployed alone"), "{}", refused.text());
    let unknown = session.call("deploy", &json!({"hostname": "chelsty", "services": ["nginx"]}));
    assert!(
        unknown.text().contains("it has no service nginx; it has mosquitto, zigbee2mqtt"),
        "{}",
        unknown.text()
    );
    let bad = session.call("deploy", &json!({"hostname": "chelsty", "services": ["../x"]}));
    assert!(bad.text().contains("services[0]"), "{}", bad.text());
    assert_eq!(host.unread_requests(), 0);
}
