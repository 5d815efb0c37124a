//! Start and end of a session.

use crate::common::{HostBuilder, NatsServer, binary, run};
use crate::harness::{Session, admin_server, server};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::process::{Command, Stdio};

fn names(session: &mut Session) -> Vec<String> {
    let tools = session.request("tools/list", &json!({}));
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_version_of_the_protocol_lists_and_calls_the_same_tools() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut session = Session::start(&mut server(&nats));
        let greeting = session.greet(version, &json!({}));
        assert_eq!(greeting["protocolVersion"], version);
        assert_eq!(greeting["serverInfo"]["name"], "homelab-deploy");
        assert!(greeting["instructions"].as_str().unwrap().contains("list_hosts"), "{greeting}");
        let tools = ["deploy", "list_hosts", "host_status", "host_logs", "host_history"];
        assert_eq!(names(&mut session), tools, "{version}");
        let hosts = session.call("list_hosts", &json!({}));
        assert_eq!(hosts.done()["hosts"][0]["hostname"], "web1", "{version}");
    }
    // An unknown version is answered with the newest version that has a handshake.
    let greeting = Session::start(&mut server(&nats)).greet("2099-01-01", &json!({}));
    assert!(greeting["protocolVersion"].as_str().unwrap() >= "2025-11-25", "{greeting}");
}

#[test]
fn the_tool_for_other_tiers_requires_the_admin_key() {
    let nats = NatsServer::start();
    assert!(names(&mut Session::with(&mut admin_server(&nats))).contains(&"deploy_admin".to_owned()));
    // Without the flag, the key is not even read.
    let mut without = server(&nats);
    let mut session = Session::with(without.args(["--admin-nkey-file", "/no/such/file"]));
    assert!(!names(&mut session).contains(&"deploy_admin".to_owned()));
    let answer =
        session.request("tools/call", &json!({"name": "deploy_admin", "arguments": {"tier": "prod"}}));
    let error = answer["error"]["message"].as_str().unwrap();
    assert!(error.starts_with("unknown tool \"deploy_admin\""), "{answer}");
    for (arguments, texts) in [
        (vec!["--enable-admin"], ["--admin-nkey-file", "required"]),
        (
            vec!["--enable-admin", "--admin-nkey-file", "/no/such/file"],
            ["could not read the key file", "/no/such/file"],
        ),
        (
            vec![
                "--enable-admin",
                "--admin-nkey-file",
                "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU",
            ],
            ["--admin-nkey-file: expected a path but found a seed", "write the seed to a file"],
        ),
    ] {
        let mut command = server(&nats);
        let ended = run(command.args(&arguments).stdin(Stdio::null()), 2);
        ended.assert_stderr(&texts);
        assert!(ended.stdout.is_empty() && !ended.stderr.contains("SUAMLK2"), "{ended}");
    }
}

#[test]
fn a_client_that_closes_the_input_ends_it() {
    let nats = NatsServer::start();
    let ended = run(server(&nats).stdin(Stdio::null()), 0);
    assert_eq!(ended.stdout, "");
    let mut session = Session::open(&nats);
    session.close_input();
    assert!(session.wait_for_exit().success());
    assert_eq!(session.remaining_messages(), Vec::<Value>::new());
}

#[test]
fn a_client_that_does_not_speak_mcp_is_refused() {
    let nats = NatsServer::start();
    let mut session = Session::start(&mut server(&nats));
    let answer = session.request("tools/list", &json!({}));
    assert!(answer["error"]["message"].as_str().unwrap().contains("protocolVersion"), "{answer}");
    let mut session = Session::start(&mut server(&nats));
    session.write(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string());
    session.close_input();
    assert_eq!(session.wait_for_exit().code(), Some(2));
    let log: String = session.remaining_log().iter().map(Value::to_string).collect();
    assert!(log.contains("no MCP client on standard input"), "{log}");
    // Without a NATS server's URL, the command cannot start.
    let mut nowhere = Command::new(binary());
    nowhere.arg("mcp").env("XDG_CONFIG_HOME", nats.dir()).stdin(Stdio::null());
    for name in ["NATS_URL", "NKEY_FILE", "CONTEXT"] {
        nowhere.env_remove(format!("HOMELAB_DEPLOY_{name}"));
    }
    run(&mut nowhere, 2).assert_stderr(&["no NATS server configured"]);
}

#[test]
fn a_signal_ends_it_immediately() {
    let nats = NatsServer::start();
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130)] {
        let mut session = Session::open(&nats);
        session.connected();
        // Standard input stays open and silent.
        session.signal(signal);
        assert_eq!(session.wait_for_exit().code(), Some(code));
    }
}
