//! `deploy_admin`: deployments to any tier with the admin's key, after confirmation by a person.

use crate::common::{FakeListener, HostBuilder, NatsServer, base_presence};
use crate::harness::{PROTOCOL, Session, admin_server, code_of, server};
use serde_json::{Value, json};

/// Metadata that a client of the newest protocol version sends with every request.
fn meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "by-hand", "version": "2.0"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    })
}

/// Calls the tool as a client that can ask, and answers the question with `result`.
fn asking(nats: &NatsServer, result: &Value) -> (Session, Value, Value) {
    let mut session = Session::start(&mut admin_server(nats));
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
    let nats = NatsServer::start();
    let _hosts = ["ns1", "ns2"].map(|name| HostBuilder::new(&nats, name, "prod", "dns").start());
    let (session, question, result) =
        asking(&nats, &json!({"action": "accept", "content": {"confirm": true}}));
    let message = question["params"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("switch master on 2 hosts of tier prod: ns1, ns2; flake path:/"),
        "{message}"
    );
    assert!(message.ends_with(", commit unknown?"), "{message}");
    assert_eq!(question["params"]["requestedSchema"]["required"], json!(["confirm"]));
    assert_eq!(
        (&result["isError"], &result["structuredContent"]["completed"]),
        (&json!(false), &json!(true))
    );
    let line = session.audit_line();
    assert_eq!(line["tool"], "deploy_admin");
    assert_eq!(line["what"], "switch master on 2 hosts of tier prod: ns1, ns2");
    assert!(line["result"].as_str().unwrap().ends_with(": 2 completed"), "{line}");
}

#[test]
fn nothing_is_sent_without_confirmation() {
    let nats = NatsServer::start();
    let peer = FakeListener::start(&nats, base_presence("ns1", "prod", "dns"), |_| Vec::new());
    for answer in [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept", "content": {"confirm": false}}),
    ] {
        let (session, _, result) = asking(&nats, &answer);
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("the person did not agree; nothing was sent"), "{text}");
        assert_eq!(session.audit_line()["deployment"], "");
    }
    assert_eq!(peer.unread_requests(), 0);
}

#[test]
fn a_client_that_cannot_ask_confirms_by_argument() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let mut session = Session::with(&mut admin_server(&nats));
    let arguments = json!({"tier": "prod", "hostname": "ns1", "branch": "main"});
    let answer = session.call("deploy_admin", &arguments);
    let texts = ["not confirmed, nothing was sent", "switch main on 1 host of tier prod: ns1; flake path:/"];
    answer.refused(&texts);
    let code = code_of(answer.text());
    let history = session.call("host_history", &json!({"hostname": "ns1"}));
    assert_eq!(history.done()["jobs"], json!([]));
    let answer = session
        .call("deploy_admin", &json!({"tier": "prod", "hostname": "ns1", "branch": "main", "confirm": code}));
    assert_eq!(answer.done()["hosts"][0]["result"], "completed");
    let history = session.call("host_history", &json!({"hostname": "ns1"}));
    assert_eq!(history.done()["jobs"][0]["issuer"], "mcp");
}

#[test]
fn in_the_newest_protocol_the_question_is_a_result() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let mut session = Session::start(&mut admin_server(&nats));
    let meta = meta(&json!({"elicitation": {"form": {}}}));
    let discovered = session.request("server/discover", &json!({"_meta": meta}));
    assert!(discovered["result"]["supportedVersions"].to_string().contains("2026-07-28"), "{discovered}");
    let arguments = json!({"tier": "prod", "all": true});
    let call = |more: Value| {
        let mut params = json!({"_meta": meta, "name": "deploy_admin", "arguments": arguments});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let agreed = json!({"confirm": {"action": "accept", "content": {"confirm": true}}});
    // The question is also asked if an answer arrives without a question, or for another one.
    let mut state = Value::Null;
    for more in [
        json!({}),
        json!({"inputResponses": agreed}),
        json!({"inputResponses": agreed, "requestState": "switch master on 1 host of tier prod: ns2?"}),
    ] {
        let answer = session.request("tools/call", &call(more))["result"].clone();
        assert_eq!(answer["resultType"], "input_required", "{answer:#}");
        let question = &answer["inputRequests"]["confirm"];
        assert_eq!(question["method"], "elicitation/create");
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.starts_with("switch master on 1 host of tier prod: ns1; flake path:/"), "{message}");
        state = answer["requestState"].clone();
        assert_eq!(session.audit_line()["deployment"], "");
    }
    let declined = json!({"inputResponses": {"confirm": {"action": "decline"}}, "requestState": state});
    let answer = session.request("tools/call", &call(declined));
    assert_eq!(answer["result"]["isError"], true, "{answer:#}");
    // After a refusal, the question is asked again.
    let again = call(json!({"inputResponses": agreed, "requestState": state}));
    let answer = session.request("tools/call", &again)["result"].clone();
    assert_eq!(answer["resultType"], "input_required", "{answer:#}");
    let state = answer["requestState"].clone();
    let answer =
        session.request("tools/call", &call(json!({"inputResponses": agreed, "requestState": state})));
    assert_eq!(answer["result"]["structuredContent"]["completed"], true, "{answer:#}");
}

#[test]
fn it_uses_only_the_admin_key_and_requires_the_tier() {
    let nats = NatsServer::start();
    let _hosts = [
        HostBuilder::new(&nats, "ns1", "prod", "dns").start(),
        HostBuilder::new(&nats, "web1", "test", "web").start(),
    ];
    // The other key has no permissions.
    let mut command = server(&nats);
    command.env("HOMELAB_DEPLOY_NKEY_FILE", nats.key("stranger"));
    command.arg("--enable-admin").arg("--admin-nkey-file").arg(nats.key("admin"));
    let mut session = Session::with(&mut command);
    let answer = session.call("deploy_admin", &json!({"tier": "prod", "hostname": "web1"}));
    answer.refused(&["web1 is in tier test", "this call is limited to tier prod", "nothing was sent"]);
    session.call("deploy_admin", &json!({"hostname": "ns1"})).refused(&["missing field `tier`"]);
    for (tier, host) in [("prod", "ns1"), ("test", "web1")] {
        let mut arguments = json!({"tier": tier, "hostname": host});
        arguments["confirm"] = json!(code_of(session.call("deploy_admin", &arguments).text()));
        let answer = session.call("deploy_admin", &arguments);
        assert_eq!(answer.done()["completed"], true);
    }
    session.call("list_hosts", &json!({})).refused(&["not connected", "refused the key"]);
}
