//! How an assistant sees a held host.

use crate::common::{HostBuilder, NatsServer, operator, run};
use crate::harness::{Session, admin_server, code_of};
use serde_json::json;

#[test]
fn a_hold_rejects_an_assistant_with_its_reason() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "tester").args(["hold", "web1", "--reason", "kernel bisect"]), 0);
    let mut session = Session::with(&mut admin_server(&nats));
    let mut confirmed = json!({"hostname": "web1", "tier": "test"});
    confirmed["confirm"] = json!(code_of(session.call("deploy_admin", &confirmed).text()));
    for (tool, arguments) in [("deploy", json!({"hostname": "web1"})), ("deploy_admin", confirmed)] {
        let answer = session.call(tool, &arguments);
        let host = &answer.failed()["hosts"][0];
        assert_eq!(host["result"], "rejected", "{host:#}");
        assert_eq!(host["job"]["error"], "held", "{host:#}");
        for expected in [
            "web1: rejected (held): held since 20",
            " by tester@",
            ": kernel bisect; release it with `homelab-deploy release web1`",
            "no tool here can do that",
        ] {
            assert!(answer.text().contains(expected), "no {expected:?} in {}", answer.text());
        }
    }
    for (tool, arguments) in [("list_hosts", json!({})), ("host_status", json!({"hostname": "web1"}))] {
        let answer = session.call(tool, &arguments);
        assert!(answer.text().contains("; held: kernel bisect (tester@"), "{}", answer.text());
        assert!(answer.done().to_string().contains("\"held\":\"kernel bisect (tester@"), "{answer:?}");
    }
    let past = session.call("host_history", &json!({"hostname": "web1"}));
    assert!(past.text().ends_with("; kernel bisect"), "{}", past.text());
    assert!(past.text().contains(": hold by tester@"), "{}", past.text());
    let tools = session.request("tools/list", &json!({}));
    let named = |tool: &serde_json::Value| tool["name"].as_str().unwrap().contains("release");
    assert!(!tools["result"]["tools"].as_array().unwrap().iter().any(named), "{tools:#}");

    run(operator(&nats, "tester").args(["release", "web1"]), 0);
    session.call("deploy", &json!({"hostname": "web1"})).done();
}
