//! Secrets are in no log, no status line, no process list and no saved file.

use crate::chat_server::{ChatAnswer, ChatServer};
use crate::common::{RawClient, ServiceManager, TestDir};
use crate::stage::{Stage, secret, send_on, webhook};
use std::fs;
use std::path::Path;

const WORDS: [&str; 4] = ["s3cret-token", "s3cret-path", "s3cret-signing", "s3cret-topic"];

fn targets(chat: &ChatServer, dir: &Path) -> String {
    let slack = secret(dir, "slack", &chat.url("/services/T0/s3cret-path"));
    let ntfy = secret(dir, "ntfy", &chat.url("/s3cret-topic"));
    let (token, signing) = (secret(dir, "token", WORDS[0]), secret(dir, "signing", WORDS[2]));
    format!(
        "[targets.slack]\nkind = \"slack\"\nurl_file = {slack:?}\n\
         [targets.ntfy]\nkind = \"ntfy\"\nurl_file = {ntfy:?}\ntoken_file = {token:?}\n{}",
        webhook(chat, "ops", &format!("secret_file = {signing:?}\ntoken_file = {token:?}"))
    )
}

#[test]
fn secrets_appear_nowhere() {
    let (dir, manager) = (TestDir::new(), ServiceManager::new());
    // A server that repeats what it received.
    let chat = ChatServer::new(|posted, earlier| {
        let text = format!(
            "no {} {} {}",
            posted.path,
            posted.header("authorization"),
            String::from_utf8_lossy(&posted.bytes)
        );
        ChatAnswer::Status(if earlier == 0 { 500 } else { 403 }, vec![], text)
    });
    let mut stage = Stage::with(
        chat,
        |chat| targets(chat, dir.path()),
        |notify| manager.manages(notify).args(&["--debug"]),
    );
    let wire = RawClient::connect(&stage.nats, "web1");
    send_on(&wire, &stage.report("web1", "d1", "completed"));
    let mut log = Vec::new();
    while log.len() < 3 {
        log.push(stage.notify.wait_for_log("dropped notification").to_string());
    }
    let cmdline = fs::read_to_string(format!("/proc/{}/cmdline", stage.notify.process())).unwrap();
    let environ = fs::read_to_string(format!("/proc/{}/environ", stage.notify.process())).unwrap();
    let status = manager.status(&["ntfy: HTTP 403: no / Bearer ***"]);
    stage.notify.terminate();
    log.extend(stage.notify.rest_of_log().iter().map(ToString::to_string));
    let saved = fs::read_to_string(stage.notify.file("state/state/notify.json")).unwrap();
    let config = fs::read_to_string(stage.notify.file("notify.toml")).unwrap();
    for text in [log.join("\n"), cmdline, environ, status, saved, config] {
        for word in WORDS {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
}
