//! A malformed message ends the connection of a session and nothing else.

use crate::common::{Broker, HostBuilder, Malformed, held_in};
use crate::stage::Session;
use serde_json::json;

#[test]
fn calls_are_answered_after_it_and_one_that_runs_completes() {
    let broker = Broker::start();
    let host =
        HostBuilder::new(&broker, "web1", "test", "web").gate("gate").script(&held_in("build")).start();
    let mut session = Session::open(&broker);
    let params = json!({"name": "deploy", "arguments": {"hostname": "web1"}, "_meta": {"progressToken": 1}});
    let id = session.send("tools/call", &params);
    let message = |session: &mut Session, text: &str| {
        session
            .message(|message| message["params"]["message"].as_str().is_some_and(|said| said.contains(text)))
    };
    message(&mut session, "build");
    Malformed::connect(&broker, "old1").publish("deploy.responses.x");
    message(&mut session, "connected again; asking what happened meanwhile");
    let hosts = session.call("list_hosts", &json!({}));
    assert_eq!(hosts.done()["hosts"][0]["hostname"], "web1", "{hosts:#?}");
    host.open("gate");
    let answer = session.called(id);
    assert_eq!(answer.done()["hosts"][0]["verdict"], "completed");
    session.leave();
    session.ended();
    for line in session.rest_of_log() {
        assert!(line.is_object(), "{line}");
    }
}
