//! The code in `confirm`: valid once, for exactly the question that it was issued with.

use crate::common::{FakeListener, HostBuilder, NatsServer, Repo, base_presence, eventually};
use crate::harness::{PROTOCOL, Session, admin_server, code_of};
use serde_json::{Value, json};

/// Makes a call that must be refused with these texts. Returns the code of the refusal.
fn refused(session: &mut Session, arguments: &Value, texts: &[&str]) -> String {
    let answer = session.call("deploy_admin", arguments);
    answer.refused(texts);
    answer.refused(&["not confirmed, nothing was sent. Ask the person: ", "confirm: \""]);
    code_of(answer.text())
}

fn with(arguments: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut arguments = arguments.clone();
    arguments[field] = value.into();
    arguments
}

#[test]
fn a_code_is_valid_once_and_for_its_question_only() {
    let nats = NatsServer::start();
    let _hosts = ["ns1", "ns2"].map(|name| HostBuilder::new(&nats, name, "prod", "dns").start());
    let mut session = Session::with(&mut admin_server(&nats));
    let arguments = json!({"tier": "prod", "hostname": "ns1", "branch": "main"});
    // Codes that were never issued.
    for made_up in ["yes", "", "aaaaaaaaaaaaaaaa"] {
        let texts = ["invalid `confirm`: the code is unknown, already used, or older than 10 minutes"];
        refused(&mut session, &with(&arguments, "confirm", made_up), &texts);
    }
    let code = refused(&mut session, &arguments, &["switch main on 1 host of tier prod: ns1; "]);
    let confirmed = with(&arguments, "confirm", code.as_str());
    for (field, value) in [("branch", "next"), ("action", "boot"), ("hostname", "ns2")] {
        let texts = [
            "invalid `confirm`: the code belongs to another question (hosts, revision, commit or action differ)",
        ];
        let other = refused(&mut session, &with(&confirmed, field, value), &texts);
        assert_ne!(other, code);
    }
    for host in ["ns1", "ns2"] {
        let history = session.call("host_history", &json!({"hostname": host}));
        assert_eq!(history.done()["jobs"], json!([]));
    }
    assert_eq!(session.call("deploy_admin", &confirmed).done()["completed"], true);
    refused(&mut session, &confirmed, &["invalid `confirm`: the code is unknown, already used"]);
}

#[test]
fn a_bool_is_not_a_code() {
    let nats = NatsServer::start();
    let peer = FakeListener::start(&nats, base_presence("ns1", "prod", "dns"), |_| Vec::new());
    let arguments = json!({"tier": "prod", "hostname": "ns1"});
    let expected = "invalid `confirm: true`: expected the code from an earlier refusal. ";
    let mut session = Session::with(&mut admin_server(&nats));
    refused(&mut session, &with(&arguments, "confirm", true), &[expected]);
    refused(&mut session, &with(&arguments, "confirm", false), &[]);
    let answer = session.call("deploy_admin", &with(&arguments, "confirm", 1));
    answer.refused(&["confirm: expected the code from an earlier refusal, as a string"]);
    // The same applies if the client can ask.
    let mut asks = Session::start(&mut admin_server(&nats));
    asks.greet(PROTOCOL, &json!({"elicitation": {}}));
    refused(&mut asks, &with(&arguments, "confirm", true), &[expected]);
    assert_eq!(peer.unread_requests(), 0);
}

#[test]
fn a_new_host_requires_a_new_confirmation() {
    let nats = NatsServer::start();
    let _first = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let mut session = Session::with(&mut admin_server(&nats));
    let arguments = json!({"tier": "prod", "all": true});
    let code = refused(&mut session, &arguments, &["on 1 host of tier prod: ns1; "]);
    let _second = HostBuilder::new(&nats, "ns2", "prod", "dns").start();
    // The new host may reply after the known ones. Until its signed reply has arrived, it is listed as offline.
    eventually("ns2 being known", || {
        let listed = session.call("list_hosts", &json!({}));
        let hosts = listed.done()["hosts"].as_array().unwrap();
        let online = hosts.iter().filter(|host| host["presence"] == "online").count();
        (online == 2).then_some(())
    });
    let texts = ["the code belongs to another question", "on 2 hosts of tier prod: ns1, ns2; "];
    let code = refused(&mut session, &with(&arguments, "confirm", code), &texts);
    assert_eq!(session.call("deploy_admin", &with(&arguments, "confirm", code)).done()["completed"], true);
}

#[test]
fn the_confirmed_commit_is_built() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").flake(&repo.url()).start();
    let mut session = Session::with(&mut admin_server(&nats));
    let arguments = json!({"tier": "prod", "hostname": "ns1", "branch": "master"});
    // The commit is not looked up for a new flake of a new host.
    refused(&mut session, &arguments, &[&format!("flake {}, commit unknown?", repo.url())]);
    let code = refused(&mut session, &arguments, &[&format!("flake {} at commit {old}?", repo.url())]);
    let new = repo.commit("flake.nix", "new");
    let texts = ["the code belongs to another question", &format!("at commit {new}?")];
    let code = refused(&mut session, &with(&arguments, "confirm", code), &texts);
    let done = session.call("deploy_admin", &with(&arguments, "confirm", code));
    assert_eq!(done.done()["hosts"][0]["job"]["commit"], json!(new));
}

#[test]
fn the_question_lists_every_host() {
    let nats = NatsServer::start();
    let name = |n: usize| format!("host-with-a-long-name-{n:03}");
    let _peers: Vec<_> = (0..120)
        .map(|n| FakeListener::start(&nats, base_presence(&name(n), "prod", "dns"), |_| Vec::new()))
        .collect();
    let mut session = Session::with(&mut admin_server(&nats));
    let answer = session.call("deploy_admin", &json!({"tier": "prod", "all": true}));
    answer.refused(&["on 120 hosts of tier prod: ", &name(0), &name(119)]);
    code_of(answer.text());
}
