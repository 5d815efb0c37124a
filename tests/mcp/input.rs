//! Input of every kind: the session goes on, and standard output holds nothing but JSON-RPC.

use crate::common::{Broker, HostBuilder};
use crate::stage::{Session, server};
use serde_json::json;

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
