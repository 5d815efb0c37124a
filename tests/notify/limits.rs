//! No storm: the limit of messages a minute.

use crate::bodies::assert_schema;
use crate::chat_server::ChatServer;
use crate::common::RawClient;
use crate::stage::{Stage, send_on};

#[test]
fn what_exceeds_the_limit_is_folded_into_one_message() {
    let stage = Stage::new(ChatServer::accepting(), "limit = 3");
    let wire = RawClient::connect(&stage.nats, "web1");
    for n in 1..=40 {
        send_on(&wire, &stage.report("web1", &format!("d{n:02}"), "failed"));
    }
    let mut posted = vec![stage.chat.next(), stage.chat.next()];
    let several = stage.chat.next();
    assert_schema(&several.body);
    let count = several.body["count"].as_u64().unwrap_or(1);
    posted.push(several);
    // The rest waits for a minute, or is part of the last message.
    assert!(
        posted
            .iter()
            .all(|posted| posted.text("title").contains("failed") || posted.body["event"] == "several")
    );
    assert!(count > 1, "{posted:#?}");
    let message = posted[2].text("message");
    assert!(message.starts_with("- switch main 3f2a91c failed on web1\n"), "{message}");
    assert!(posted[2].text("title").ends_with(" more notifications"), "{posted:#?}");
    assert!(stage.chat.received().is_empty());
}

#[test]
fn the_status_line_shows_what_waits() {
    let manager = crate::common::ServiceManager::new();
    let stage = Stage::with(
        ChatServer::new(|_, _| crate::chat_server::ChatAnswer::status(500)),
        |chat| crate::stage::webhook(chat, "ops", ""),
        |notify| manager.manages(notify),
    );
    manager.status(&["connected to", "1 target"]);
    stage.send(&stage.report("web1", "d1", "running"));
    manager.status(&["1 target; 1 deployment running"]);
    stage.send(&stage.report("web1", "d1", "completed"));
    manager.status(&["1 target; ops: HTTP 500: {}, 1 notification waiting"]);
}
