//! `rollback`: returning hosts to an earlier generation.

use crate::common::{
    FakeListener, HostBuilder, NatsServer, Terminal, base_presence, base_report, operator, run,
};
use serde_json::{Value, json};

/// A host that supports and completes rollbacks.
fn host(nats: &NatsServer, name: &str, tier: &str) -> FakeListener {
    let mut answer = base_presence(name, tier, "any");
    answer["capabilities"] = json!(["rollback"]);
    let name = name.to_owned();
    FakeListener::start(nats, answer, move |request| {
        let mut report = base_report(&name, "completed", None, "rollback done");
        report["generation"] = request["generation"].as_u64().map_or(json!(41), Value::from);
        vec![report]
    })
}

#[test]
fn it_requests_the_previous_or_the_given_generation() {
    let nats = NatsServer::start();
    let [web1, web2] = ["web1", "web2"].map(|name| host(&nats, name, "test"));
    let done = run(operator(&nats, "tester").args(["rollback", "web1"]), 0);
    assert!(done.stdout.contains("\nweb1  completed            41 "), "{done}");
    let request = web1.request();
    assert_eq!(request["action"], "rollback");
    for absent in ["revision", "generation", "commit", "on_failure"] {
        assert_eq!(request.get(absent), None, "{request}");
    }
    assert!(request["issuer"].as_str().unwrap().starts_with("tester@"));
    assert!(request["expires_at"].is_string());

    let mut command = operator(&nats, "tester");
    command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web2");
    run(command.args(["rollback", "web1", "site", "--generation", "7"]), 0);
    let requests = [web1.request(), web2.request()];
    assert!(requests.iter().all(|request| request["generation"] == 7), "{requests:?}");
    assert_eq!(requests[0]["id"], requests[1]["id"]);
    assert_eq!(web2.unread_requests(), 0);
}

#[test]
fn it_is_followed_as_a_deployment_is() {
    let nats = NatsServer::start();
    let _host = host(&nats, "web1", "test");
    let lines = run(operator(&nats, "tester").args(["rollback", "web1", "--output", "json"]), 0).json();
    let [report, result] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&report["event"], &report["value"]["generation"]), (&json!("report"), &json!(41)));
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(0)));
    let answer = json!({"hostname": "db1", "tier": "test", "deploy_subjects": ["deploy.test.db1"],
        "capabilities": ["rollback"]});
    let _bad = FakeListener::start(&nats, answer, |_| {
        vec![base_report("db1", "failed", Some("not_found"), "generation 9 does not exist")]
    });
    let failed = run(operator(&nats, "tester").args(["rollback", "web1", "db1", "--generation", "9"]), 1);
    assert!(failed.stdout.contains("\ndb1: not found: generation 9 does not exist"), "{failed}");
    let unknown = run(operator(&nats, "tester").args(["rollback", "wbe1"]), 2);
    unknown.assert_stderr(&["unknown host wbe1 (did you mean web1"]);
}

#[test]
fn an_unsupported_action_is_refused_and_nothing_is_sent() {
    let nats = NatsServer::start();
    let able = host(&nats, "web1", "test");
    let _program = HostBuilder::new(&nats, "db1", "test", "db").start();
    let refused = run(operator(&nats, "tester").args(["rollback", "web1", "db1"]), 2);
    refused.assert_stderr(&["the listener on db1 does not support `rollback`", "nothing was sent"]);
    assert_eq!(able.unread_requests(), 0);
}

#[test]
fn in_prod_the_exact_hosts_are_shown_and_only_yes_sends() {
    let nats = NatsServer::start();
    let peers = ["ns1", "ns2"].map(|name| host(&nats, name, "prod"));
    let _other = host(&nats, "web1", "test");
    for (args, head) in [
        (&["ns1", "ns2"][..], "rollback to the previous system on 2 hosts:"),
        (&["ns2", "ns1", "--generation", "41"], "rollback to generation 41 on 2 hosts:"),
        (&["deploy.prod.all"], "rollback to the previous system on 2 hosts by deploy.prod.all:"),
    ] {
        let terminal = || Terminal::start(operator(&nats, "admin").arg("rollback").args(args));
        let mut asked = terminal();
        asked.shows("Continue? Type yes:");
        asked.types("no\n");
        let refused = asked.wait_for_exit();
        assert_eq!(refused.code, 2);
        let lines: Vec<_> = refused.text.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], head);
        assert!(lines[2].starts_with("ns1   prod") && lines[3].starts_with("ns2   prod"), "{lines:?}");
        assert_eq!(lines[5], "error: not confirmed; nothing was sent");
        assert_eq!(peers.each_ref().map(FakeListener::unread_requests), [0, 0]);

        let mut asked = terminal();
        asked.shows("Continue? Type yes:");
        asked.types("yes\n");
        assert_eq!(asked.wait_for_exit().code, 0);
        for peer in &peers {
            peer.request();
        }
    }
    let unasked = Terminal::start(operator(&nats, "admin").args(["rollback", "web1"])).wait_for_exit();
    assert_eq!((unasked.code, unasked.text.contains("Continue?")), (0, false));
}

#[test]
fn without_a_terminal_a_prod_target_by_name_needs_yes() {
    let nats = NatsServer::start();
    let peer = host(&nats, "ns1", "prod");
    let rollback = |args: &[&str], code| {
        let mut command = operator(&nats, "admin");
        command.env("HOMELAB_DEPLOY_ALIAS_DNS", "ns1");
        run(command.arg("rollback").args(args), code)
    };
    rollback(&["ns1"], 2)
        .assert_stderr(&["this rolls back hosts of prod, which must be confirmed: add --yes"]);
    assert_eq!(peer.unread_requests(), 0);
    for args in [&["ns1", "--yes"][..], &["dns"], &["deploy.prod.ns1"]] {
        rollback(args, 0);
        peer.request();
    }
}
