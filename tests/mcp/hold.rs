//! A held host, as an assistant learns of it.

use crate::common::{Broker, HostBuilder, operator, run};
use crate::stage::{Session, admin_server, code_of};
use serde_json::json;

#[test]
fn a_hold_binds_an_assistant_too_which_is_told_why() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    run(operator(&broker, "tester").args(["hold", "web1", "--reason", "kernel bisect"]), 0);
    let mut session = Session::of(&mut admin_server(&broker));
    let mut confirmed = json!({"hostname": "web1", "tier": "test"});
    confirmed["confirm"] = json!(code_of(session.call("deploy_admin", &confirmed).text()));
    for (tool, arguments) in [("deploy", json!({"hostname": "web1"})), ("deploy_admin", confirmed)] {
        let answer = session.call(tool, &arguments);
        let host = &answer.failed()["hosts"][0];
        assert_eq!(host["verdict"], "rejected", "{host:#}");
        assert_eq!(host["job"]["error"], "held", "{host:#}");
        for told in [
            "web1: rejected (held): held since 20",
            " by tester@",
            ": kernel bisect; `homelab-deploy release web1` ends that",
            "no tool here does",
        ] {
            assert!(answer.text().contains(told), "no {told:?} in {}", answer.text());
        }
    }
    for (tool, arguments) in [("list_hosts", json!({})), ("host_status", json!({"hostname": "web1"}))] {
        let answer = session.call(tool, &arguments);
        assert!(answer.text().contains("; held: kernel bisect (tester@"), "{}", answer.text());
        assert!(answer.done().to_string().contains("\"held\":\"kernel bisect (tester@"), "{answer:?}");
    }
    let past = session.call("host_history", &json!({"hostname": "web1"}));
    assert!(past.text().ends_with("; kernel bisect"), "{}", past.text());
    let tools = session.ask("tools/list", &json!({}));
    let named = |tool: &serde_json::Value| tool["name"].as_str().unwrap().contains("release");
    assert!(!tools["result"]["tools"].as_array().unwrap().iter().any(named), "{tools:#}");

    run(operator(&broker, "tester").args(["release", "web1"]), 0);
    session.call("deploy", &json!({"hostname": "web1"})).done();
}
