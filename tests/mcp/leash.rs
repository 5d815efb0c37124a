//! `deploy` reaches the tier test and nothing else: not by its arguments, not by what hosts say of themselves, and not
//! with another program in its place.

use crate::common::{Broker, HostBuilder, Peer, base_answer, operator, run};
use crate::stage::{Session, admin_server};
use serde_json::{Value, json};

/// A host by hand; whatever it gets is taken.
fn peer(broker: &Broker, answer: Value) -> Peer {
    Peer::start(broker, answer, |_| Vec::new())
}

#[test]
fn a_host_of_another_tier_is_refused() {
    let broker = Broker::start();
    let prod = peer(&broker, base_answer("ns1", "prod", "dns"));
    let mut session = Session::open(&broker);
    let answer = session.call("deploy", &json!({"hostname": "ns1"}));
    answer.refused(&["ns1 is of tier prod", "tier test only", "nothing was sent"]);
    let line = session.audited();
    assert_eq!(line["tool"], "deploy");
    assert_eq!(line["client"], "by-hand 1.0");
    assert_eq!(line["what"], "switch on ns1 of tier test");
    assert_eq!(line["deployment"], "");
    session.call("deploy", &json!({"all": true})).refused(&["no host of tier test"]);
    session.call("deploy", &json!({"role": "dns"})).refused(&["no host of tier test with role dns"]);
    assert_eq!(prod.others(), 0);
}

#[test]
fn a_host_that_lies_about_itself_draws_nothing_beyond_the_tier() {
    let broker = Broker::start();
    let mut liar = base_answer("web1", "test", "web");
    liar["deploy_subjects"] = json!(["deploy.prod.ns1"]);
    let liar = peer(&broker, liar);
    let mut session = Session::open(&broker);
    let answer = session.call("deploy", &json!({"hostname": "web1"}));
    answer.refused(&["web1 does not take requests on deploy.test.web1", "nothing was sent"]);
    session.call("deploy", &json!({"all": true})).refused(&["deploy.test.web1", "nothing was sent"]);
    assert_eq!(liar.others(), 0);
}

#[test]
fn a_host_of_the_tier_that_has_changed_is_left_out() {
    let broker = Broker::start();
    let _same = HostBuilder::new(&broker, "web2", "test", "web").start();
    let key = broker.key("everything").display().to_string();
    let start = |tier: &str| HostBuilder::new(&broker, "web1", tier, "web").flag("--nkey-file", &key).start();
    let first = start("test");
    let mut session = Session::of(&mut admin_server(&broker));
    session.connected();
    // The admin's key has an inventory of its own.
    let asked = session.call("deploy_admin", &json!({"tier": "test", "all": true}));
    asked.refused(&["on 2 hosts of tier test: web1, web2; "]);
    drop(first);
    let _moved = start("prod");
    let reason = "web1 is left out: changed: it is known in tier test and now says prod";
    let answer = session.call("deploy", &json!({"all": true}));
    let view = answer.failed();
    assert_eq!((&view["completed"], &view["notes"]), (&json!(false), &json!([reason])), "{view:#}");
    assert_eq!(view["hosts"].as_array().unwrap().len(), 1, "{view:#}");
    assert_eq!(
        (&view["hosts"][0]["hostname"], &view["hosts"][0]["verdict"]),
        (&json!("web2"), &json!("completed"))
    );
    assert!(answer.text().ends_with(&format!("\nnote: {reason}")), "{}", answer.text());
    let asked = session.call("deploy_admin", &json!({"tier": "test", "all": true}));
    asked.refused(&["on 1 host of tier test: web2; ", &format!("; {reason}?")]);
    session
        .call("deploy", &json!({"hostname": "web1"}))
        .refused(&["web1 has changed: it is known in tier test and now says prod; nothing was sent"]);
}

#[test]
fn with_its_key_nothing_is_published_to_another_tier() {
    let broker = Broker::start();
    let prod = peer(&broker, base_answer("ns1", "prod", "dns"));
    let _test = HostBuilder::new(&broker, "web1", "test", "web").start();
    // A program without any leash of its own: what holds is the server's permissions.
    let ended = run(operator(&broker, "mcp").args(["deploy", "deploy.prod.ns1"]), 5);
    ended.complains(&["the server refused deploy.prod.ns1", "no permission to publish"]);
    run(operator(&broker, "mcp").args(["deploy", "deploy.prod.all"]), 5).complains(&["deploy.prod.all"]);
    assert_eq!(prod.others(), 0);
    run(operator(&broker, "mcp").args(["deploy", "deploy.test.web1"]), 0);
}

#[test]
fn a_key_that_may_not_deploy_is_told_so() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut viewer = operator(&broker, "viewer");
    let mut session = Session::of(viewer.arg("mcp"));
    assert_eq!(session.call("list_hosts", &json!({})).done()["hosts"][0]["hostname"], "web1");
    let answer = session.call("deploy", &json!({"hostname": "web1"}));
    answer.refused(&["the server refused deploy.test.web1", "no permission to publish"]);
}
