//! Invalid input of all kinds: the session continues, and standard output contains only JSON-RPC.

use crate::common::{HostBuilder, NatsServer};
use crate::harness::{Session, server};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

#[test]
fn a_mebibyte_in_an_argument_is_refused_with_a_short_message() {
    let nats = NatsServer::start();
    let mut session = Session::open(&nats);
    let long = "x".repeat(MIB);
    for (tool, arguments) in [
        ("deploy", json!({"hostname": long})),
        ("deploy", json!({"all": true, "branch": long})),
        ("deploy", json!({long.clone(): true})),
        ("deploy", json!({"all": true, "action": long})),
        ("host_status", json!({"hostname": "web1", "deployment": long})),
        ("list_hosts", json!({"tier": [long]})),
    ] {
        let answer = session.call(tool, &arguments);
        answer.refused(&["invalid arguments for "]);
        assert!(answer.text().len() < 4096, "{} bytes", answer.text().len());
    }
    let answer = session.request("tools/call", &json!({"name": long}));
    assert!(answer["error"]["message"].as_str().unwrap().len() < 1024);
    assert!(session.request("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn lines_that_are_not_calls_change_nothing() {
    let nats = NatsServer::start();
    let mut session = Session::open(&nats);
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for line in [
        "",
        "hello",
        "{",
        "[]",
        "42",
        "\u{1b}[31mred",
        &nested,
        r#"{"jsonrpc":"2.0","method":"notifications/unheard-of"}"#,
        r#"{"jsonrpc":"2.0","id":99,"result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":12345}}"#,
        r#"{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"deploy","arguments":[1]}}"#,
    ] {
        session.write(line);
        assert!(session.request("tools/list", &json!({}))["result"]["tools"].is_array(), "{line}");
    }
}

#[test]
fn a_line_that_is_not_json_is_answered_with_an_error() {
    let nats = NatsServer::start();
    let mut session = Session::open(&nats);
    for line in ["hello", "{", "[1,", "\u{1b}[31mred"] {
        session.write(line);
        let refused = session.message(|message| message.get("error").is_some());
        assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!(-32700), &json!(null)), "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("the message is not valid JSON: "), "{refused}");
    }
}

#[test]
fn a_message_without_end_is_refused_and_skipped() {
    let nats = NatsServer::start();
    let mut session = Session::open(&nats);
    session.write(&"x".repeat(17 * MIB));
    let refused = session.message(|message| message.get("error").is_some());
    assert_eq!(refused["error"]["message"], "the message is longer than 16 MiB");
    assert!(session.request("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn an_empty_array_of_arguments_is_an_empty_object() {
    let nats = NatsServer::start();
    let mut session = Session::open(&nats);
    let answer = session.request("tools/call", &json!({"name": "list_hosts", "arguments": []}));
    assert!(answer["result"]["structuredContent"]["hosts"].is_array(), "{answer}");
    let answer = session.request("tools/call", &json!({"name": "list_hosts", "arguments": [1]}));
    assert!(answer["error"].is_object(), "{answer}");
}

#[test]
fn a_noisy_session_writes_nothing_but_messages() {
    let nats = NatsServer::start();
    let script = "echo '\u{1b}[31mred'; echo '{\"jsonrpc\":\"1.0\"}'; echo loud >&2; exit 1";
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script(script).start();
    for format in ["json", "text"] {
        let mut session = Session::with(server(&nats).args(["--debug", "--log-format", format]));
        session.write("garbage");
        session.message(|message| message.get("error").is_some());
        session.call("list_hosts", &json!({})).done();
        let failed = session.call("deploy", &json!({"hostname": "web1"}));
        assert_eq!(failed.failed()["hosts"][0]["result"], "failed");
        let log = session.call("host_logs", &json!({"hostname": "web1"}));
        assert!(log.text().contains("red") && !log.text().contains('\u{1b}'), "{}", log.text());
        session.request("tools/call", &json!({"name": "nothing"}));
        session.close_input();
        assert!(session.wait_for_exit().success());
        // The harness has checked that each line is JSON-RPC.
        assert_eq!(
            session.remaining_messages().iter().filter(|message| message["method"].is_null()).count(),
            0
        );
        assert!(session.remaining_log().iter().any(|line| line.to_string().contains("tool called")));
    }
}

/// Writes a batch and returns the response.
fn batch(session: &mut Session, batch: &Value) -> Value {
    session.write(&batch.to_string());
    session.message(|message| message.is_array() || message.get("error").is_some())
}

#[test]
fn batches_are_answered_together_in_the_version_that_has_them() {
    let nats = NatsServer::start();
    let mut session = Session::start(&mut server(&nats));
    session.greet("2025-03-26", &json!({}));
    let call = |id: &str, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let ping = json!({"jsonrpc": "2.0", "id": "c", "method": "ping"});
    let note = json!({"jsonrpc": "2.0", "method": "notifications/unheard-of"});
    let answers =
        batch(&mut session, &json!([call("a", "list_hosts"), note, call("b", "no_tool"), ping, 42]));
    let of = |id: Value| {
        let answer = answers.as_array().unwrap().iter().find(|answer| answer["id"] == id);
        answer.unwrap_or_else(|| panic!("no {id} in {answers}"))
    };
    assert_eq!(answers.as_array().unwrap().len(), 4, "{answers}");
    assert_eq!(of(json!("a"))["result"]["isError"], false);
    assert_eq!(of(json!("b"))["error"]["code"], -32602);
    assert!(of(json!("c"))["result"].is_object());
    assert_eq!(of(Value::Null)["error"]["message"], "invalid batch element: expected an object");
    let empty = batch(&mut session, &json!([]));
    assert_eq!((&empty["id"], &empty["error"]["message"]), (&Value::Null, &json!("empty batch")));
    // A batch of notifications has no response.
    session.write(&json!([{"jsonrpc": "2.0", "method": "notifications/unheard-of"}]).to_string());
    assert!(session.request("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn a_later_version_has_no_batches() {
    let nats = NatsServer::start();
    let mut session = Session::start(&mut server(&nats));
    session.greet("2025-06-18", &json!({}));
    let answer = batch(&mut session, &json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]));
    let expected = "this protocol version does not support batches, only 2025-03-26 does";
    assert_eq!(answer["error"]["message"], expected);
    assert!(session.request("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn unsupported_lists_are_empty() {
    let nats = NatsServer::start();
    let mut session = Session::open(&nats);
    for (method, list) in [
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ] {
        let answer = session.request(method, &json!({}));
        assert_eq!(answer["result"][list], json!([]), "{answer}");
    }
}
