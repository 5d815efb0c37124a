//! `deploy` is limited to the tier test, regardless of its arguments and of what hosts announce, and even if another
//! program uses its key.

use crate::common::{FakeListener, HostBuilder, NatsServer, base_presence, operator, run};
use crate::harness::{Session, admin_server};
use serde_json::{Value, json};

/// A fake host that accepts every request.
fn peer(nats: &NatsServer, answer: Value) -> FakeListener {
    FakeListener::start(nats, answer, |_| Vec::new())
}

#[test]
fn a_host_of_another_tier_is_refused() {
    let nats = NatsServer::start();
    let prod = peer(&nats, base_presence("ns1", "prod", "dns"));
    let mut session = Session::open(&nats);
    let answer = session.call("deploy", &json!({"hostname": "ns1"}));
    answer.refused(&["ns1 is in tier prod", "limited to tier test", "nothing was sent"]);
    let line = session.audit_line();
    assert_eq!(line["tool"], "deploy");
    assert_eq!(line["client"], "by-hand 1.0");
    assert_eq!(line["what"], "switch on ns1 of tier test");
    assert_eq!(line["deployment"], "");
    session.call("deploy", &json!({"all": true})).refused(&["no known host in tier test"]);
    session.call("deploy", &json!({"role": "dns"})).refused(&["no known host in tier test with role dns"]);
    assert_eq!(prod.unread_requests(), 0);
}

#[test]
fn a_forged_subject_receives_nothing_outside_the_tier() {
    let nats = NatsServer::start();
    let mut liar = base_presence("web1", "test", "web");
    liar["deploy_subjects"] = json!(["deploy.prod.ns1"]);
    let liar = peer(&nats, liar);
    let mut session = Session::open(&nats);
    let answer = session.call("deploy", &json!({"hostname": "web1"}));
    answer.refused(&["web1 does not listen on deploy.test.web1", "nothing was sent"]);
    session.call("deploy", &json!({"all": true})).refused(&["deploy.test.web1", "nothing was sent"]);
    assert_eq!(liar.unread_requests(), 0);
}

#[test]
fn a_host_of_the_tier_that_has_changed_is_left_out() {
    let nats = NatsServer::start();
    let _same = HostBuilder::new(&nats, "web2", "test", "web").start();
    let key = nats.key("everything").display().to_string();
    let start = |tier: &str| HostBuilder::new(&nats, "web1", tier, "web").flag("--nkey-file", &key).start();
    let first = start("test");
    let mut session = Session::with(&mut admin_server(&nats));
    session.connected();
    // The admin's key has a separate inventory.
    let asked = session.call("deploy_admin", &json!({"tier": "test", "all": true}));
    asked.refused(&["on 2 hosts of tier test: web1, web2; "]);
    drop(first);
    let _moved = start("prod");
    let reason = "web1 is left out: changed: it is known in tier test but now reports prod";
    let answer = session.call("deploy", &json!({"all": true}));
    let view = answer.failed();
    assert_eq!((&view["completed"], &view["notes"]), (&json!(false), &json!([reason])), "{view:#}");
    assert_eq!(view["hosts"].as_array().unwrap().len(), 1, "{view:#}");
    assert_eq!(
        (&view["hosts"][0]["hostname"], &view["hosts"][0]["result"]),
        (&json!("web2"), &json!("completed"))
    );
    assert!(answer.text().ends_with(&format!("\nnote: {reason}")), "{}", answer.text());
    let asked = session.call("deploy_admin", &json!({"tier": "test", "all": true}));
    asked.refused(&["on 1 host of tier test: web2; ", &format!("; {reason}?")]);
    session
        .call("deploy", &json!({"hostname": "web1"}))
        .refused(&["web1 has changed: it is known in tier test but now reports prod; nothing was sent"]);
}

#[test]
fn its_key_cannot_publish_to_another_tier() {
    let nats = NatsServer::start();
    let prod = peer(&nats, base_presence("ns1", "prod", "dns"));
    let _test = HostBuilder::new(&nats, "web1", "test", "web").start();
    // The CLI has no limit, so only the server's permissions apply.
    let ended = run(operator(&nats, "mcp").args(["deploy", "deploy.prod.ns1"]), 5);
    ended.assert_stderr(&["the server refused deploy.prod.ns1", "no permission to publish"]);
    run(operator(&nats, "mcp").args(["deploy", "deploy.prod.all"]), 5).assert_stderr(&["deploy.prod.all"]);
    assert_eq!(prod.unread_requests(), 0);
    run(operator(&nats, "mcp").args(["deploy", "deploy.test.web1"]), 0);
}

#[test]
fn a_key_that_may_not_deploy_is_reported() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut viewer = operator(&nats, "viewer");
    let mut session = Session::with(viewer.arg("mcp"));
    assert_eq!(session.call("list_hosts", &json!({})).done()["hosts"][0]["hostname"], "web1");
    let answer = session.call("deploy", &json!({"hostname": "web1"}));
    answer.refused(&["the server refused deploy.test.web1", "no permission to publish"]);
}
