//! More hosts than fit into one result.

use crate::common::{DEADLINE, NatsServer, RawClient, base_presence};
use crate::harness::Session;
use serde_json::json;
use std::thread;

#[test]
fn a_long_host_list_is_truncated_and_counted() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let asks = wire.subscribe("deploy.discover");
    thread::spawn(move || {
        while let Some(ask) = asks.within(DEADLINE) {
            let to = ask.body["reply_to"].as_str().unwrap_or_default().to_owned();
            for n in 0..250 {
                wire.publish(&to, &base_presence(&format!("f{n}"), "test", "web"));
            }
        }
    });
    let mut session = Session::open(&nats);
    let listed = session.call("list_hosts", &json!({}));
    let view = listed.done();
    assert_eq!(view["hosts"].as_array().unwrap().len(), 200);
    let note = "50 more hosts are not listed: set tier, or use host_status for a single host";
    assert_eq!(view["notes"], json!([note]));
    assert!(listed.text().starts_with("250 hosts\n") && listed.text().contains(note), "{}", listed.text());
}
