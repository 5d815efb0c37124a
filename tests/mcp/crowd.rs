//! More hosts than an assistant can use.

use crate::common::{Broker, DEADLINE, Wire, base_answer};
use crate::stage::Session;
use serde_json::json;
use std::thread;

#[test]
fn of_very_many_hosts_some_are_listed_and_the_others_counted() {
    let broker = Broker::start();
    let wire = Wire::connect(&broker, "everything");
    let asks = wire.listen("deploy.discover");
    thread::spawn(move || {
        while let Some(ask) = asks.within(DEADLINE) {
            let to = ask.body["reply_to"].as_str().unwrap_or_default().to_owned();
            for n in 0..250 {
                wire.say(&to, &base_answer(&format!("f{n}"), "test", "web"));
            }
        }
    });
    let mut session = Session::open(&broker);
    let listed = session.call("list_hosts", &json!({}));
    let view = listed.done();
    assert_eq!(view["hosts"].as_array().unwrap().len(), 200);
    let note = "50 more hosts are not listed: ask for one tier, or for single hosts with host_status";
    assert_eq!(view["notes"], json!([note]));
    assert!(listed.text().starts_with("250 hosts\n") && listed.text().contains(note), "{}", listed.text());
}
