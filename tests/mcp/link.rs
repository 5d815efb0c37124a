//! A link that is down: the session goes on, and every call says why it brought nothing.

use crate::common::{Broker, HostBuilder, held_in, operator};
use crate::stage::Session;
use serde_json::json;

#[test]
fn without_a_server_the_session_begins_and_finds_it_later() {
    let mut broker = Broker::start();
    broker.stop();
    let mut session = Session::open(&broker);
    for (tool, arguments) in [
        ("list_hosts", json!({})),
        ("deploy", json!({"hostname": "web1"})),
        ("host_logs", json!({"hostname": "web1"})),
    ] {
        session.call(tool, &arguments).refused(&["not connected to the server", "it is tried again"]);
    }
    broker.restart();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    crate::common::eventually("the link coming up", || {
        let hosts = session.call("list_hosts", &json!({}));
        (hosts.0["isError"] == false).then_some(())
    });
    session.call("deploy", &json!({"hostname": "web1"})).done();
}

#[test]
fn a_key_that_the_server_does_not_know_is_told() {
    let broker = Broker::start();
    let mut stranger = operator(&broker, "stranger");
    let mut session = Session::of(stranger.arg("mcp"));
    session.call("list_hosts", &json!({})).refused(&["the server refused the key"]);
}

#[test]
fn a_link_that_is_lost_meanwhile_is_a_note_and_the_verdict_comes() {
    let mut broker = Broker::start();
    let host =
        HostBuilder::new(&broker, "web1", "test", "web").gate("gate").script(&held_in("build")).start();
    let mut session = Session::open(&broker);
    let params = json!({"name": "deploy", "arguments": {"hostname": "web1"}, "_meta": {"progressToken": 1}});
    let id = session.send("tools/call", &params);
    session
        .message(|message| message["params"]["message"].as_str().is_some_and(|text| text.contains("build")));
    broker.stop();
    let lost = "the connection was lost; what runs on the hosts goes on";
    session.message(|message| message["params"]["message"] == lost);
    session.call("list_hosts", &json!({})).refused(&["not connected"]);
    host.open("gate");
    broker.restart();
    let answer = session.called(id);
    assert_eq!(answer.done()["hosts"][0]["verdict"], "completed");
    assert_eq!(answer.done()["notes"][0], lost);
}
