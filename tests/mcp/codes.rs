//! The code of `confirm`: good once, for the very question that it came with.

use crate::common::{Broker, HostBuilder, Peer, Repo, base_answer, eventually};
use crate::stage::{PROTOCOL, Session, admin_server, code_of};
use serde_json::{Value, json};

/// A call; it must be refused, with these texts and a code.
fn refused(session: &mut Session, wish: &Value, texts: &[&str]) -> String {
    let answer = session.call("deploy_admin", wish);
    answer.refused(texts);
    answer.refused(&["not confirmed, nothing was sent. Ask the person: ", "confirm: \""]);
    code_of(answer.text())
}

fn with(wish: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut wish = wish.clone();
    wish[field] = value.into();
    wish
}

#[test]
fn a_code_is_good_once_and_for_its_question_alone() {
    let broker = Broker::start();
    let _hosts = ["ns1", "ns2"].map(|name| HostBuilder::new(&broker, name, "prod", "dns").start());
    let mut session = Session::of(&mut admin_server(&broker));
    let wish = json!({"tier": "prod", "hostname": "ns1", "branch": "main"});
    // What was never given out.
    for made_up in ["yes", "", "aaaaaaaaaaaaaaaa"] {
        let texts = [
            "`confirm` is no code that this server gave out, or it was used, or it is older than 10 minutes",
        ];
        refused(&mut session, &with(&wish, "confirm", made_up), &texts);
    }
    let code = refused(&mut session, &wish, &["switch main on 1 host of tier prod: ns1; "]);
    let confirmed = with(&wish, "confirm", code.as_str());
    for (field, value) in [("branch", "next"), ("action", "boot"), ("hostname", "ns2")] {
        let texts = ["`confirm` is the code of another question: hosts, revision, commit or action differ"];
        let other = refused(&mut session, &with(&confirmed, field, value), &texts);
        assert_ne!(other, code);
    }
    for host in ["ns1", "ns2"] {
        let history = session.call("host_history", &json!({"hostname": host}));
        assert_eq!(history.done()["jobs"], json!([]));
    }
    assert_eq!(session.call("deploy_admin", &confirmed).done()["completed"], true);
    refused(&mut session, &confirmed, &["`confirm` is no code that this server gave out, or it was used"]);
}

#[test]
fn a_bool_is_no_code() {
    let broker = Broker::start();
    let peer = Peer::start(&broker, base_answer("ns1", "prod", "dns"), |_| Vec::new());
    let wish = json!({"tier": "prod", "hostname": "ns1"});
    let said = "`confirm: true` names no question; expected the code that a refusal named. ";
    let mut session = Session::of(&mut admin_server(&broker));
    refused(&mut session, &with(&wish, "confirm", true), &[said]);
    refused(&mut session, &with(&wish, "confirm", false), &[]);
    let answer = session.call("deploy_admin", &with(&wish, "confirm", 1));
    answer.refused(&["confirm: expected the code that a refusal named, as a text"]);
    // Also where the client could ask.
    let mut asks = Session::start(&mut admin_server(&broker));
    asks.greet(PROTOCOL, &json!({"elicitation": {}}));
    refused(&mut asks, &with(&wish, "confirm", true), &[said]);
    assert_eq!(peer.others(), 0);
}

#[test]
fn a_host_that_came_since_is_asked_about() {
    let broker = Broker::start();
    let _first = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let mut session = Session::of(&mut admin_server(&broker));
    let wish = json!({"tier": "prod", "all": true});
    let code = refused(&mut session, &wish, &["on 1 host of tier prod: ns1; "]);
    let _second = HostBuilder::new(&broker, "ns2", "prod", "dns").start();
    // Its answer may come after those of the hosts that are known.
    eventually("ns2 being known", || {
        let listed = session.call("list_hosts", &json!({}));
        (listed.done()["hosts"].as_array().unwrap().len() == 2).then_some(())
    });
    let texts = ["is the code of another question", "on 2 hosts of tier prod: ns1, ns2; "];
    let code = refused(&mut session, &with(&wish, "confirm", code), &texts);
    assert_eq!(session.call("deploy_admin", &with(&wish, "confirm", code)).done()["completed"], true);
}

#[test]
fn what_is_built_is_the_commit_that_was_confirmed() {
    let broker = Broker::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").flake(&repo.url()).start();
    let mut session = Session::of(&mut admin_server(&broker));
    let wish = json!({"tier": "prod", "hostname": "ns1", "branch": "master"});
    // Nothing is asked where a host that is new would have it.
    refused(&mut session, &wish, &[&format!("flake {}, its commit not known here?", repo.url())]);
    let code = refused(&mut session, &wish, &[&format!("flake {} at commit {old}?", repo.url())]);
    let new = repo.commit("flake.nix", "new");
    let texts = ["is the code of another question", &format!("at commit {new}?")];
    let code = refused(&mut session, &with(&wish, "confirm", code), &texts);
    let done = session.call("deploy_admin", &with(&wish, "confirm", code));
    assert_eq!(done.done()["hosts"][0]["job"]["commit"], json!(new));
}

#[test]
fn the_question_is_told_whole_however_many_hosts_there_are() {
    let broker = Broker::start();
    let name = |n: usize| format!("host-with-a-long-name-{n:03}");
    let _peers: Vec<_> = (0..120)
        .map(|n| Peer::start(&broker, base_answer(&name(n), "prod", "dns"), |_| Vec::new()))
        .collect();
    let mut session = Session::of(&mut admin_server(&broker));
    let answer = session.call("deploy_admin", &json!({"tier": "prod", "all": true}));
    answer.refused(&["on 120 hosts of tier prod: ", &name(0), &name(119)]);
    code_of(answer.text());
}
