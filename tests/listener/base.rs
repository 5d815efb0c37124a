//! A client that speaks only the base format can use our listener. The tests use only the fields of the base format.

use crate::common::{HostBuilder, NatsServer, RawClient, deploy_as_base_operator};
use serde_json::json;

#[test]
fn a_base_operator_deploys_and_sees_accepted_started_completed() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script("echo \"$@\" > $DIR/called").start();
    let statuses = deploy_as_base_operator(&nats, "test", "web1");
    assert_eq!(statuses, ["accepted", "started", "completed"]);
    let called = std::fs::read_to_string(host.file("called")).unwrap();
    assert_eq!(called.trim(), format!("switch --flake path:{}#web1", host.dir().display()));
}

#[test]
fn the_flake_attribute_may_differ_from_the_hostname() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").flag("--flake-attr", "web1.example.org");
    let host = host.script("echo \"$@\" > $DIR/called").start();
    let operator = RawClient::connect(&nats, "admin");
    let reports = operator.subscribe("deploy.responses.base-1");
    let request = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.base-1"});
    operator.publish("deploy.test.web1", &request);
    let last = std::iter::repeat_with(|| reports.next().body)
        .find(|report| ["completed", "failed"].iter().any(|end| report["status"] == *end));
    assert_eq!(last.as_ref().unwrap()["status"], "completed", "{last:?}");
    let called = std::fs::read_to_string(host.file("called")).unwrap();
    assert!(called.ends_with("#web1.example.org\n"), "{called}");
}

#[test]
fn a_base_operator_discovers_by_tier() {
    let nats = NatsServer::start();
    let _test = HostBuilder::new(&nats, "web1", "test", "web").start();
    let _prod = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let operator = RawClient::connect(&nats, "admin");
    let replies = operator.subscribe("deploy.responses.base-2");
    operator.publish("deploy.discover", &json!({"reply_to": "deploy.responses.base-2", "tier": "prod"}));
    let reply = replies.next().body;
    assert_eq!(reply["hostname"], "ns1");
    assert_eq!(reply["tier"], "prod");
    assert_eq!(reply["role"], "dns");
    let subjects = json!(["deploy.prod.ns1", "deploy.prod.all", "deploy.prod.role.dns"]);
    assert_eq!(reply["deploy_subjects"], subjects);

    operator.publish("deploy.discover", &json!({"reply_to": "deploy.responses.base-2"}));
    let mut names = [replies.next().body, replies.next().body].map(|reply| reply["hostname"].to_string());
    names.sort();
    assert_eq!(names, ["\"ns1\"", "\"web1\""]);
}
