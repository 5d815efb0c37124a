//! How a session begins, and how it ends.

use crate::common::{Broker, HostBuilder, binary, run};
use crate::stage::{Session, admin_server, server};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::process::{Command, Stdio};

fn names(session: &mut Session) -> Vec<String> {
    let tools = session.ask("tools/list", &json!({}));
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_version_of_the_protocol_lists_and_calls_the_same_tools() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut session = Session::start(&mut server(&broker));
        let greeting = session.greet(version, &json!({}));
        assert_eq!(greeting["protocolVersion"], version);
        assert_eq!(greeting["serverInfo"]["name"], "homelab-deploy");
        assert!(greeting["instructions"].as_str().unwrap().contains("list_hosts"), "{greeting}");
        let tools = ["deploy", "list_hosts", "host_status", "host_logs", "host_history"];
        assert_eq!(names(&mut session), tools, "{version}");
        let hosts = session.call("list_hosts", &json!({}));
        assert_eq!(hosts.done()["hosts"][0]["hostname"], "web1", "{version}");
    }
    // One that does not exist yet gets the newest that still has a greeting.
    let greeting = Session::start(&mut server(&broker)).greet("2099-01-01", &json!({}));
    assert!(greeting["protocolVersion"].as_str().unwrap() >= "2025-11-25", "{greeting}");
}

#[test]
fn the_tool_for_other_tiers_exists_with_the_admin_key_alone() {
    let broker = Broker::start();
    assert!(names(&mut Session::of(&mut admin_server(&broker))).contains(&"deploy_admin".to_owned()));
    // Without the flag the key is not even looked at.
    let mut without = server(&broker);
    let mut session = Session::of(without.args(["--admin-nkey-file", "/no/such/file"]));
    assert!(!names(&mut session).contains(&"deploy_admin".to_owned()));
    let answer = session.ask("tools/call", &json!({"name": "deploy_admin", "arguments": {"tier": "prod"}}));
    let error = answer["error"]["message"].as_str().unwrap();
    assert!(error.starts_with("there is no tool \"deploy_admin\""), "{answer}");
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
            ["--admin-nkey-file holds a seed itself", "write the seed into a file"],
        ),
    ] {
        let mut command = server(&broker);
        let ended = run(command.args(&arguments).stdin(Stdio::null()), 2);
        ended.complains(&texts);
        assert!(ended.out.is_empty() && !ended.err.contains("SUAMLK2"), "{ended}");
    }
}

#[test]
fn a_client_that_wants_nothing_ends_it() {
    let broker = Broker::start();
    let ended = run(server(&broker).stdin(Stdio::null()), 0);
    assert_eq!(ended.out, "");
    let mut session = Session::open(&broker);
    session.leave();
    assert!(session.ended().success());
    assert_eq!(session.rest(), Vec::<Value>::new());
}

#[test]
fn who_speaks_no_mcp_is_told_so() {
    let broker = Broker::start();
    let mut session = Session::start(&mut server(&broker));
    let answer = session.ask("tools/list", &json!({}));
    assert!(answer["error"]["message"].as_str().unwrap().contains("protocolVersion"), "{answer}");
    let mut session = Session::start(&mut server(&broker));
    session.write(&json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string());
    session.leave();
    assert_eq!(session.ended().code(), Some(2));
    let log: String = session.rest_of_log().iter().map(Value::to_string).collect();
    assert!(log.contains("no client spoke MCP on standard input"), "{log}");
    // Without a server's name nothing can be done at all.
    let mut nowhere = Command::new(binary());
    nowhere.arg("mcp").env("XDG_CONFIG_HOME", broker.folder()).stdin(Stdio::null());
    for name in ["NATS_URL", "NKEY_FILE", "CONTEXT"] {
        nowhere.env_remove(format!("HOMELAB_DEPLOY_{name}"));
    }
    run(&mut nowhere, 2).complains(&["no NATS server is named"]);
}

#[test]
fn told_to_end_it_ends_at_once() {
    let broker = Broker::start();
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130)] {
        let mut session = Session::open(&broker);
        session.connected();
        // Standard input stays open, and nobody writes there.
        session.signal(signal);
        assert_eq!(session.ended().code(), Some(code));
    }
}
