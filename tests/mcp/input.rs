//! Input of every kind: the session goes on, and standard output holds nothing but JSON-RPC.

use crate::common::{Broker, HostBuilder};
use crate::stage::{Session, server};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

#[test]
fn a_mebibyte_in_an_argument_is_refused_in_a_short_sentence() {
    let broker = Broker::start();
    let mut session = Session::open(&broker);
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
        answer.refused(&["was called wrongly"]);
        assert!(answer.text().len() < 4096, "{} bytes", answer.text().len());
    }
    let answer = session.ask("tools/call", &json!({"name": long}));
    assert!(answer["error"]["message"].as_str().unwrap().len() < 1024);
    assert!(session.ask("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn lines_that_are_no_calls_change_nothing() {
    let broker = Broker::start();
    let mut session = Session::open(&broker);
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
        assert!(session.ask("tools/list", &json!({}))["result"]["tools"].is_array(), "{line}");
    }
}

#[test]
fn a_noisy_session_writes_nothing_but_messages() {
    let broker = Broker::start();
    let script = "echo '\u{1b}[31mred'; echo '{\"jsonrpc\":\"1.0\"}'; echo loud >&2; exit 1";
    let _host = HostBuilder::new(&broker, "web1", "test", "web").script(script).start();
    for format in ["json", "text"] {
        let mut session = Session::of(server(&broker).args(["--debug", "--log-format", format]));
        session.write("garbage");
        session.call("list_hosts", &json!({})).done();
        let failed = session.call("deploy", &json!({"hostname": "web1"}));
        assert_eq!(failed.failed()["hosts"][0]["verdict"], "failed");
        let log = session.call("host_logs", &json!({"hostname": "web1"}));
        assert!(log.text().contains("red") && !log.text().contains('\u{1b}'), "{}", log.text());
        session.ask("tools/call", &json!({"name": "nothing"}));
        session.leave();
        assert!(session.ended().success());
        // Each line of it was looked at as it came.
        assert_eq!(session.rest().iter().filter(|message| message["method"].is_null()).count(), 0);
        assert!(session.rest_of_log().iter().any(|line| line.to_string().contains("called to deploy")));
    }
}

/// Writes a batch and gives the line that comes back.
fn batch(session: &mut Session, batch: &Value) -> Value {
    session.write(&batch.to_string());
    session.message(|message| message.is_array() || message.get("error").is_some())
}

#[test]
fn batches_are_answered_together_in_the_version_that_has_them() {
    let broker = Broker::start();
    let mut session = Session::start(&mut server(&broker));
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
    assert_eq!(of(Value::Null)["error"]["message"], "an element of a batch is no object");
    let empty = batch(&mut session, &json!([]));
    assert_eq!((&empty["id"], &empty["error"]["message"]), (&Value::Null, &json!("an empty batch")));
    // Wants no answer.
    session.write(&json!([{"jsonrpc": "2.0", "method": "notifications/unheard-of"}]).to_string());
    assert!(session.ask("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn a_later_version_has_no_batches() {
    let broker = Broker::start();
    let mut session = Session::start(&mut server(&broker));
    session.greet("2025-06-18", &json!({}));
    let answer = batch(&mut session, &json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]));
    let expected = "this version of the protocol has no batches, only 2025-03-26 has";
    assert_eq!(answer["error"]["message"], expected);
    assert!(session.ask("tools/list", &json!({}))["result"]["tools"].is_array());
}

#[test]
fn what_is_not_offered_is_listed_as_empty() {
    let broker = Broker::start();
    let mut session = Session::open(&broker);
    for (method, list) in [
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ] {
        let answer = session.ask(method, &json!({}));
        assert_eq!(answer["result"][list], json!([]), "{answer}");
    }
}
