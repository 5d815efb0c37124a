//! A malformed message closes the connection of a session and has no other effect.

use crate::common::{HostBuilder, MalformedClient, NatsServer, hold_in_phase};
use crate::harness::Session;
use serde_json::json;

#[test]
fn later_calls_are_answered_and_a_running_call_completes() {
    let nats = NatsServer::start();
    let host =
        HostBuilder::new(&nats, "web1", "test", "web").gate("gate").script(&hold_in_phase("build")).start();
    let mut session = Session::open(&nats);
    let params = json!({"name": "deploy", "arguments": {"hostname": "web1"}, "_meta": {"progressToken": 1}});
    let id = session.send("tools/call", &params);
    let message = |session: &mut Session, text: &str| {
        session.message(|message| {
            message["params"]["message"].as_str().is_some_and(|expected| expected.contains(text))
        })
    };
    message(&mut session, "build");
    MalformedClient::connect(&nats, "old1").publish("deploy.responses.x");
    message(&mut session, "reconnected; asking for the current state");
    let hosts = session.call("list_hosts", &json!({}));
    assert_eq!(hosts.done()["hosts"][0]["hostname"], "web1", "{hosts:#?}");
    host.open("gate");
    let answer = session.called(id);
    assert_eq!(answer.done()["hosts"][0]["result"], "completed");
    session.close_input();
    session.wait_for_exit();
    for line in session.remaining_log() {
        assert!(line.is_object(), "{line}");
    }
}
