//! Hosts that are offline, and units that have failed, for targets that ask for them.

use crate::bodies::assert_schema;
use crate::chat_server::ChatServer;
use crate::common::{HostBuilder, RawClient, Signer};
use crate::stage::{Stage, webhook};
use serde_json::{Value, json};

fn stage() -> Stage {
    let targets = |chat: &ChatServer| {
        let events = "events = [\"offline\", \"units\"]\nhosts = [\"web1\"]";
        format!("host_after = \"1s\"\n{}{}", webhook(chat, "hosts", events), webhook(chat, "ops", ""))
    };
    Stage::with(ChatServer::accepting(), targets, |notify| notify)
}

#[test]
fn a_host_that_goes_offline_and_its_return_are_posted_once() {
    let stage = stage();
    let mut web1 = HostBuilder::new(&stage.nats, "web1", "test", "web").start();
    let _web2 = HostBuilder::new(&stage.nats, "web2", "test", "web").start();
    stage.barrier("d1");
    web1.terminate();
    let posted = stage.chat.next();
    assert_schema(&posted.body);
    assert_eq!((&*posted.path, posted.text("title")), ("/hosts", "web1 is offline"));
    assert_eq!((posted.text("event"), posted.text("host")), ("offline", "web1"));
    web1.restart();
    let posted = stage.chat.next();
    assert_eq!((posted.text("event"), posted.text("title")), ("online", "web1 is back"));
    stage.barrier("d2");
    assert!(stage.chat.received().is_empty());
}

#[test]
fn units_that_fail_and_recover_are_posted_once() {
    let stage = stage();
    let wire = RawClient::connect(&stage.nats, "web1");
    let announce = |seq: u64, units: Value| {
        let presence = json!({
            "hostname": "web1", "tier": "test", "role": "web", "deploy_subjects": ["deploy.test.web1"],
            "instance": "i", "seq": seq, "failed_units": units, "interval_s": 60,
        });
        let payload = presence.to_string().into_bytes();
        let subject = "deploy.responses.presence";
        let signed = Signer::of("web1").headers_for("presence", subject, &payload);
        wire.publish_with_headers(subject, None, &signed, &payload);
    };
    announce(1, json!(["nginx.service", "acme.timer"]));
    let posted = stage.chat.next();
    assert_schema(&posted.body);
    assert_eq!(posted.text("title"), "web1: 2 units have failed");
    assert_eq!((posted.text("event"), posted.text("message")), ("units_failed", "acme.timer, nginx.service"));
    announce(2, json!(["nginx.service"]));
    let posted = stage.chat.next();
    assert_eq!(posted.text("title"), "web1: 1 unit is fine again");
    assert_eq!((posted.text("event"), posted.text("message")), ("units_recovered", "acme.timer"));
}
