//! Lost connections: the session continues, and every call explains its failure.

use crate::common::{HostBuilder, NatsServer, hold_in_phase, operator};
use crate::harness::Session;
use serde_json::json;

#[test]
fn a_session_starts_without_a_server_and_connects_later() {
    let mut nats = NatsServer::start();
    nats.stop();
    let mut session = Session::open(&nats);
    for (tool, arguments) in [
        ("list_hosts", json!({})),
        ("deploy", json!({"hostname": "web1"})),
        ("host_logs", json!({"hostname": "web1"})),
    ] {
        session
            .call(tool, &arguments)
            .refused(&["not connected to the server", "`homelab-deploy mcp` keeps reconnecting"]);
    }
    nats.restart();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    crate::common::eventually("a connection", || {
        let hosts = session.call("list_hosts", &json!({}));
        (hosts.0["isError"] == false).then_some(())
    });
    session.call("deploy", &json!({"hostname": "web1"})).done();
}

#[test]
fn an_unknown_key_is_reported() {
    let nats = NatsServer::start();
    let mut stranger = operator(&nats, "stranger");
    let mut session = Session::with(stranger.arg("mcp"));
    session.call("list_hosts", &json!({})).refused(&["the server refused the key"]);
}

#[test]
fn a_lost_connection_is_noted_and_the_result_arrives() {
    let mut nats = NatsServer::start();
    let host =
        HostBuilder::new(&nats, "web1", "test", "web").gate("gate").script(&hold_in_phase("build")).start();
    let mut session = Session::open(&nats);
    let params = json!({"name": "deploy", "arguments": {"hostname": "web1"}, "_meta": {"progressToken": 1}});
    let id = session.send("tools/call", &params);
    session
        .message(|message| message["params"]["message"].as_str().is_some_and(|text| text.contains("build")));
    nats.stop();
    let lost = "connection lost; the jobs on the hosts continue";
    session.message(|message| message["params"]["message"] == lost);
    session.call("list_hosts", &json!({})).refused(&["not connected"]);
    host.open("gate");
    nats.restart();
    let answer = session.called(id);
    assert_eq!(answer.done()["hosts"][0]["result"], "completed");
    assert_eq!(answer.done()["notes"][0], lost);
}
