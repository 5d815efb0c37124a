//! Taking hosts back to an earlier generation.

use crate::common::{Broker, HostBuilder, Peer, Terminal, base_answer, base_report, operator, run};
use serde_json::{Value, json};

/// A host that can roll back, and does.
fn host(broker: &Broker, name: &str, tier: &str) -> Peer {
    let mut answer = base_answer(name, tier, "any");
    answer["capabilities"] = json!(["rollback"]);
    let name = name.to_owned();
    Peer::start(broker, answer, move |request| {
        let mut report = base_report(&name, "completed", None, "rollback done");
        report["generation"] = request["generation"].as_u64().map_or(json!(41), Value::from);
        vec![report]
    })
}

#[test]
fn it_asks_for_the_generation_before_or_the_one_that_is_named() {
    let broker = Broker::start();
    let [web1, web2] = ["web1", "web2"].map(|name| host(&broker, name, "test"));
    let done = run(operator(&broker, "tester").args(["rollback", "web1"]), 0);
    assert!(done.out.contains("\nweb1  completed            41 "), "{done}");
    let request = web1.request();
    assert_eq!(request["action"], "rollback");
    for absent in ["revision", "generation", "commit", "on_failure"] {
        assert_eq!(request.get(absent), None, "{request}");
    }
    assert!(request["issuer"].as_str().unwrap().starts_with("tester@"));
    assert!(request["expires_at"].is_string());

    let mut command = operator(&broker, "tester");
    command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web2");
    run(command.args(["rollback", "web1", "site", "--generation", "7"]), 0);
    let requests = [web1.request(), web2.request()];
    assert!(requests.iter().all(|request| request["generation"] == 7), "{requests:?}");
    assert_eq!(requests[0]["id"], requests[1]["id"]);
    assert_eq!(web2.others(), 0);
}

#[test]
fn it_is_followed_as_a_deployment_is() {
    let broker = Broker::start();
    let _host = host(&broker, "web1", "test");
    let lines = run(operator(&broker, "tester").args(["rollback", "web1", "--output", "json"]), 0).json();
    let [report, result] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&report["event"], &report["value"]["generation"]), (&json!("report"), &json!(41)));
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(0)));
    let answer = json!({"hostname": "db1", "tier": "test", "deploy_subjects": ["deploy.test.db1"],
        "capabilities": ["rollback"]});
    let _bad = Peer::start(&broker, answer, |_| {
        vec![base_report("db1", "failed", Some("not_found"), "there is no generation 9")]
    });
    let failed = run(operator(&broker, "tester").args(["rollback", "web1", "db1", "--generation", "9"]), 1);
    assert!(failed.out.contains("\ndb1: not_found: there is no generation 9"), "{failed}");
    let unknown = run(operator(&broker, "tester").args(["rollback", "wbe1"]), 2);
    unknown.complains(&["no host wbe1 answers or is known (did you mean web1"]);
}

#[test]
fn a_listener_that_cannot_is_refused_and_nothing_is_sent() {
    let broker = Broker::start();
    let able = host(&broker, "web1", "test");
    let _program = HostBuilder::new(&broker, "db1", "test", "db").start();
    let refused = run(operator(&broker, "tester").args(["rollback", "web1", "db1"]), 2);
    refused.complains(&["the listener on db1 cannot do `rollback`", "nothing was sent"]);
    assert_eq!(able.others(), 0);
}

#[test]
fn in_prod_the_exact_hosts_are_shown_and_only_yes_sends() {
    let broker = Broker::start();
    let peers = ["ns1", "ns2"].map(|name| host(&broker, name, "prod"));
    let _other = host(&broker, "web1", "test");
    for (args, head) in [
        (&["ns1", "ns2"][..], "rollback to the previous system on 2 hosts:"),
        (&["ns2", "ns1", "--generation", "41"], "rollback to generation 41 on 2 hosts:"),
        (&["deploy.prod.all"], "rollback to the previous system on 2 hosts by deploy.prod.all:"),
    ] {
        let terminal = || Terminal::start(operator(&broker, "admin").arg("rollback").args(args));
        let mut asked = terminal();
        asked.shows("Go on? Type yes:");
        asked.types("no\n");
        let refused = asked.ended();
        assert_eq!(refused.code, 2);
        let lines: Vec<_> = refused.text.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], head);
        assert!(lines[2].starts_with("ns1   prod") && lines[3].starts_with("ns2   prod"), "{lines:?}");
        assert_eq!(lines[5], "error: not confirmed; nothing was sent");
        assert_eq!(peers.each_ref().map(Peer::others), [0, 0]);

        let mut asked = terminal();
        asked.shows("Go on? Type yes:");
        asked.types("yes\n");
        assert_eq!(asked.ended().code, 0);
        for peer in &peers {
            peer.request();
        }
    }
    let unasked = Terminal::start(operator(&broker, "admin").args(["rollback", "web1"])).ended();
    assert_eq!((unasked.code, unasked.text.contains("Go on?")), (0, false));
}

#[test]
fn without_a_terminal_what_is_looked_up_in_prod_needs_yes() {
    let broker = Broker::start();
    let peer = host(&broker, "ns1", "prod");
    let rollback = |args: &[&str], code| {
        let mut command = operator(&broker, "admin");
        command.env("HOMELAB_DEPLOY_ALIAS_DNS", "ns1");
        run(command.arg("rollback").args(args), code)
    };
    rollback(&["ns1"], 2).complains(&["this rolls back hosts of prod, which must be confirmed: add --yes"]);
    assert_eq!(peer.others(), 0);
    for args in [&["ns1", "--yes"][..], &["dns"], &["deploy.prod.ns1"]] {
        rollback(args, 0);
        peer.request();
    }
}
