//! A client that speaks only the base format can use our listener; written from PROTOCOL's B fields alone.

use crate::common::{Broker, HostBuilder, Wire};
use serde_json::json;

#[test]
fn a_base_operator_deploys_and_sees_accepted_started_completed() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").script("echo \"$@\" > $DIR/called").start();
    let operator = Wire::connect(&broker, "tester");
    let reports = operator.listen("deploy.responses.base-1");
    let request = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.base-1"});
    operator.say("deploy.test.web1", &request);

    let mut statuses = Vec::new();
    loop {
        let report = reports.next().body;
        assert_eq!(report["hostname"], "web1");
        assert!(report["message"].is_string(), "{report}");
        assert!(report.as_object().unwrap().contains_key("error"), "{report}");
        let status = report["status"].as_str().unwrap().to_owned();
        if status != "running" {
            statuses.push(status.clone());
        }
        if status == "completed" {
            assert!(report["error"].is_null(), "{report}");
            break;
        }
    }
    assert_eq!(statuses, ["accepted", "started", "completed"]);
    let called = std::fs::read_to_string(host.file("called")).unwrap();
    assert_eq!(called.trim(), format!("switch --flake path:{}#web1", host.folder().display()));
}

#[test]
fn the_flake_may_call_the_host_otherwise() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").flag("--flake-attr", "web1.example.org");
    let host = host.script("echo \"$@\" > $DIR/called").start();
    let operator = Wire::connect(&broker, "admin");
    let reports = operator.listen("deploy.responses.base-1");
    let request = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.base-1"});
    operator.say("deploy.test.web1", &request);
    let last = std::iter::repeat_with(|| reports.next().body)
        .find(|report| ["completed", "failed"].iter().any(|end| report["status"] == *end));
    assert_eq!(last.as_ref().unwrap()["status"], "completed", "{last:?}");
    let called = std::fs::read_to_string(host.file("called")).unwrap();
    assert!(called.ends_with("#web1.example.org\n"), "{called}");
}

#[test]
fn a_base_operator_discovers_by_tier() {
    let broker = Broker::start();
    let _test = HostBuilder::new(&broker, "web1", "test", "web").start();
    let _prod = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let operator = Wire::connect(&broker, "admin");
    let answers = operator.listen("deploy.responses.base-2");
    operator.say("deploy.discover", &json!({"reply_to": "deploy.responses.base-2", "tier": "prod"}));
    let answer = answers.next().body;
    assert_eq!(answer["hostname"], "ns1");
    assert_eq!(answer["tier"], "prod");
    assert_eq!(answer["role"], "dns");
    let subjects = json!(["deploy.prod.ns1", "deploy.prod.all", "deploy.prod.role.dns"]);
    assert_eq!(answer["deploy_subjects"], subjects);

    operator.say("deploy.discover", &json!({"reply_to": "deploy.responses.base-2"}));
    let mut names = [answers.next().body, answers.next().body].map(|answer| answer["hostname"].to_string());
    names.sort();
    assert_eq!(names, ["\"ns1\"", "\"web1\""]);
}
