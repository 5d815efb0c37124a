//! `deploy_admin`: every tier, with the admin's key, once a person has agreed.

use crate::common::{Broker, HostBuilder, Peer, base_answer};
use crate::stage::{PROTOCOL, Session, admin_server, code_of, server};
use serde_json::{Value, json};

/// What a client of the newest protocol sends with every request.
fn meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "by-hand", "version": "2.0"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    })
}

/// A client that can ask, and answers so.
fn asking(broker: &Broker, result: &Value) -> (Session, Value, Value) {
    let mut session = Session::start(&mut admin_server(broker));
    session.greet(PROTOCOL, &json!({"elicitation": {}}));
    let id = session.begin("deploy_admin", &json!({"tier": "prod", "role": "dns"}));
    let question = session.message(|message| message["method"] == "elicitation/create");
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
    session.write(&answer.to_string());
    let result = session.called(id).0;
    (session, question, result)
}

#[test]
fn a_person_is_asked_about_the_exact_hosts() {
    let broker = Broker::start();
    let _hosts = ["ns1", "ns2"].map(|name| HostBuilder::new(&broker, name, "prod", "dns").start());
    let (session, question, result) =
        asking(&broker, &json!({"action": "accept", "content": {"confirm": true}}));
    let message = question["params"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("switch master on 2 hosts of tier prod: ns1, ns2; flake path:/"),
        "{message}"
    );
    assert!(message.ends_with(", its commit not known here?"), "{message}");
    assert_eq!(question["params"]["requestedSchema"]["required"], json!(["confirm"]));
    assert_eq!(
        (&result["isError"], &result["structuredContent"]["completed"]),
        (&json!(false), &json!(true))
    );
    let line = session.audited();
    assert_eq!(line["tool"], "deploy_admin");
    assert_eq!(line["what"], "switch master on 2 hosts of tier prod: ns1, ns2");
    assert!(line["result"].as_str().unwrap().ends_with(": 2 completed"), "{line}");
}

#[test]
fn without_their_word_nothing_is_sent() {
    let broker = Broker::start();
    let peer = Peer::start(&broker, base_answer("ns1", "prod", "dns"), |_| Vec::new());
    for answer in [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept", "content": {"confirm": false}}),
    ] {
        let (session, _, result) = asking(&broker, &answer);
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("the person did not agree; nothing was sent"), "{text}");
        assert_eq!(session.audited()["deployment"], "");
    }
    assert_eq!(peer.others(), 0);
}

#[test]
fn a_client_that_cannot_ask_says_it_by_the_argument() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let mut session = Session::of(&mut admin_server(&broker));
    let wish = json!({"tier": "prod", "hostname": "ns1", "branch": "main"});
    let answer = session.call("deploy_admin", &wish);
    let texts = ["not confirmed, nothing was sent", "switch main on 1 host of tier prod: ns1; flake path:/"];
    answer.refused(&texts);
    let code = code_of(answer.text());
    let history = session.call("host_history", &json!({"hostname": "ns1"}));
    assert_eq!(history.done()["jobs"], json!([]));
    let answer = session
        .call("deploy_admin", &json!({"tier": "prod", "hostname": "ns1", "branch": "main", "confirm": code}));
    assert_eq!(answer.done()["hosts"][0]["verdict"], "completed");
    let history = session.call("host_history", &json!({"hostname": "ns1"}));
    assert_eq!(history.done()["jobs"][0]["issuer"], "mcp");
}

#[test]
fn in_the_newest_protocol_the_question_is_a_result() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let mut session = Session::start(&mut admin_server(&broker));
    let meta = meta(&json!({"elicitation": {"form": {}}}));
    let discovered = session.ask("server/discover", &json!({"_meta": meta}));
    assert!(discovered["result"]["supportedVersions"].to_string().contains("2026-07-28"), "{discovered}");
    let wish = json!({"tier": "prod", "all": true});
    let call = |more: Value| {
        let mut params = json!({"_meta": meta, "name": "deploy_admin", "arguments": wish});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let agreed = json!({"confirm": {"action": "accept", "content": {"confirm": true}}});
    // Asked first, and also where an answer comes that belongs to no question, or to another.
    let mut state = Value::Null;
    for more in [
        json!({}),
        json!({"inputResponses": agreed}),
        json!({"inputResponses": agreed, "requestState": "switch master on 1 host of tier prod: ns2?"}),
    ] {
        let answer = session.ask("tools/call", &call(more))["result"].clone();
        assert_eq!(answer["resultType"], "input_required", "{answer:#}");
        let question = &answer["inputRequests"]["confirm"];
        assert_eq!(question["method"], "elicitation/create");
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.starts_with("switch master on 1 host of tier prod: ns1; flake path:/"), "{message}");
        state = answer["requestState"].clone();
        assert_eq!(session.audited()["deployment"], "");
    }
    let declined = json!({"inputResponses": {"confirm": {"action": "decline"}}, "requestState": state});
    let answer = session.ask("tools/call", &call(declined));
    assert_eq!(answer["result"]["isError"], true, "{answer:#}");
    // Who has declined is asked again.
    let again = call(json!({"inputResponses": agreed, "requestState": state}));
    let answer = session.ask("tools/call", &again)["result"].clone();
    assert_eq!(answer["resultType"], "input_required", "{answer:#}");
    let state = answer["requestState"].clone();
    let answer = session.ask("tools/call", &call(json!({"inputResponses": agreed, "requestState": state})));
    assert_eq!(answer["result"]["structuredContent"]["completed"], true, "{answer:#}");
}

#[test]
fn it_uses_the_admin_key_alone_and_names_the_tier() {
    let broker = Broker::start();
    let _hosts = [
        HostBuilder::new(&broker, "ns1", "prod", "dns").start(),
        HostBuilder::new(&broker, "web1", "test", "web").start(),
    ];
    // The other key may do nothing at all.
    let mut command = server(&broker);
    command.env("HOMELAB_DEPLOY_NKEY_FILE", broker.key("stranger"));
    command.arg("--enable-admin").arg("--admin-nkey-file").arg(broker.key("admin"));
    let mut session = Session::of(&mut command);
    let answer = session.call("deploy_admin", &json!({"tier": "prod", "hostname": "web1"}));
    answer.refused(&["web1 is of tier test", "this call reaches tier prod only", "nothing was sent"]);
    session.call("deploy_admin", &json!({"hostname": "ns1"})).refused(&["missing field `tier`"]);
    for (tier, host) in [("prod", "ns1"), ("test", "web1")] {
        let mut wish = json!({"tier": tier, "hostname": host});
        wish["confirm"] = json!(code_of(session.call("deploy_admin", &wish).text()));
        let answer = session.call("deploy_admin", &wish);
        assert_eq!(answer.done()["completed"], true);
    }
    session.call("list_hosts", &json!({})).refused(&["not connected", "refused the key"]);
}
