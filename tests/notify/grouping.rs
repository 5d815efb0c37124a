//! One message for a deployment: when it has ended, and at its first failure.

use crate::bodies::assert_schema;
use crate::chat_server::ChatServer;
use crate::common::{HostBuilder, RunningCommand, operator, run};
use crate::stage::{Stage, webhook};
use serde_json::json;

#[test]
fn the_first_failure_is_posted_at_once_and_the_summary_at_the_end() {
    let stage = Stage::new(ChatServer::accepting(), "");
    let _web1 = HostBuilder::new(&stage.nats, "web1", "test", "web").script("exit 1").start();
    let waits = "read _ < $DIR/gate; exit 1";
    let web2 = HostBuilder::new(&stage.nats, "web2", "test", "web").script(waits).gate("gate").start();
    let deploy = RunningCommand::start(operator(&stage.nats, "admin").args(["deploy", "web1", "web2"]));
    let failure = stage.chat.next();
    assert_schema(&failure.body);
    assert_eq!(failure.text("event"), "failure");
    assert_eq!(failure.text("title"), "switch master failed on web1");
    assert_eq!((failure.text("host"), failure.text("result")), ("web1", "failed"));
    web2.open("gate");
    deploy.wait_for_exit(1);
    let end = stage.chat.next();
    assert_schema(&end.body);
    assert_eq!((end.text("event"), end.text("title")), ("end", "switch master: 2 failed"));
    // The second failure was not posted alone.
    stage.barrier("d2");
    assert!(stage.chat.received().is_empty());
}

#[test]
fn a_failure_of_the_only_host_is_one_message() {
    let stage = Stage::new(ChatServer::accepting(), "");
    stage.send(&stage.report("web1", "d1", "failed"));
    assert_eq!(stage.chat.next().text("event"), "failure");
    let next = stage.barrier("d2");
    assert_eq!(next.text("title"), "switch main 3f2a91c: 1 completed");
    assert!(stage.chat.received().is_empty());
}

#[test]
fn a_repeated_result_is_posted_once() {
    let stage = Stage::new(ChatServer::accepting(), "");
    let report = stage.report("web1", "d1", "completed");
    for _ in 0..5 {
        stage.send(&report);
    }
    assert_eq!(stage.chat.next().body["deployment"]["id"], "d1");
    stage.send(&report);
    // The barrier returns the first message about the second deployment; there is none before it.
    stage.send(&stage.report("web2", "d2", "completed"));
    assert_eq!(stage.chat.next().body["deployment"]["id"], "d2");
}

#[test]
fn a_host_that_gets_its_result_later_is_an_update() {
    let stage = Stage::new(ChatServer::accepting(), "");
    stage.send(&stage.report("web1", "d1", "completed"));
    assert_eq!(stage.chat.next().text("title"), "switch main 3f2a91c: 1 completed");
    stage.send(&stage.report("web2", "d1", "rejected"));
    let update = stage.chat.next();
    assert_eq!(update.text("title"), "switch main 3f2a91c: 1 rejected, 1 completed");
    assert_eq!(update.text("result"), "rejected");
}

#[test]
fn hosts_without_a_result_are_named_after_the_configured_time() {
    let stage = Stage::with(
        ChatServer::accepting(),
        |chat| format!("silent_after = \"2s\"\n{}", webhook(chat, "ops", "")),
        |notify| notify,
    );
    stage.send(&stage.report("web1", "d1", "running"));
    stage.send(&stage.report("web2", "d1", "completed"));
    let end = stage.chat.next();
    assert_schema(&end.body);
    assert_eq!(end.text("title"), "switch main 3f2a91c: 1 without a result, 1 completed");
    assert_eq!(end.text("result"), "unknown");
    let message = end.text("message");
    assert!(message.starts_with("web1: no result, it stopped reporting\ncompleted: web2\n"), "{message}");
}

#[test]
fn a_rollout_is_one_message_after_its_last_batch() {
    let stage = Stage::new(ChatServer::accepting(), "");
    let hosts = ["web1", "web2"].map(|name| HostBuilder::new(&stage.nats, name, "test", "web").start());
    let rollout = ["deploy", "web1", "web2", "--no-pin", "--batch", "1", "--pause", "3"];
    run(operator(&stage.nats, "admin").args(rollout), 0);
    let end = stage.chat.next();
    assert_eq!(end.text("title"), "switch master: 2 completed");
    drop(hosts);
    stage.barrier("d2");
}

#[test]
fn requests_that_change_nothing_are_no_deployments() {
    let stage = Stage::new(ChatServer::accepting(), "");
    let web1 = HostBuilder::new(&stage.nats, "web1", "test", "web").start();
    run(operator(&stage.nats, "admin").args(["hold", "web1", "--reason", "why"]), 0);
    run(operator(&stage.nats, "admin").args(["release", "web1"]), 0);
    let mut dry = stage.report("web2", "d1", "failed");
    dry["action"] = json!("dry-activate");
    stage.send(&dry);
    assert_eq!(stage.barrier("d2").body["deployment"]["id"], "d2");
    drop(web1);
}
