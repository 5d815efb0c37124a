//! Nothing is posted twice, and as little as possible is lost, over a restart.

use crate::chat_server::{ChatAnswer, ChatServer};
use crate::common::{HostBuilder, operator, run};
use crate::stage::Stage;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_notified_deployment_is_not_repeated() {
    let mut stage = Stage::new(ChatServer::accepting(), "");
    let _web1 = HostBuilder::new(&stage.nats, "web1", "test", "web").start();
    run(operator(&stage.nats, "admin").args(["deploy", "web1"]), 0);
    assert_eq!(stage.chat.next().text("title"), "switch master: 1 completed");
    stage.recorded(1);
    for kill in [true, false] {
        if kill {
            stage.notify.kill();
        } else {
            stage.notify.terminate();
            assert!(stage.notify.wait_for_exit().success());
        }
        // The host reports its last job to the new process.
        stage.notify.restart();
        let id = if kill { "d2" } else { "d3" };
        stage.barrier(id);
        stage.recorded(1);
        assert!(stage.chat.received().is_empty());
    }
}

#[test]
fn results_from_before_the_first_start_are_not_news() {
    let stage = Stage::new(ChatServer::accepting(), "");
    let nats = &stage.nats;
    let _web1 = HostBuilder::new(nats, "web1", "test", "web").start();
    run(operator(nats, "admin").args(["deploy", "web1"]), 0);
    stage.chat.next();
    // Another process with an empty state directory.
    let chat = ChatServer::accepting();
    let config = format!("{}{}", crate::stage::head(nats), crate::stage::webhook(&chat, "ops", ""));
    let _other = HostBuilder::notify(nats, &config).start();
    stage.send(&stage.report("db1", "d2", "completed"));
    assert_eq!(chat.next().body["deployment"]["id"], "d2");
}

#[test]
fn what_ended_in_the_meantime_is_posted() {
    let mut stage = Stage::new(ChatServer::accepting(), "");
    let _web1 = HostBuilder::new(&stage.nats, "web1", "test", "web").script("exit 1").start();
    stage.barrier("d0");
    stage.recorded(1);
    stage.notify.kill();
    run(operator(&stage.nats, "admin").args(["deploy", "web1"]), 1);
    stage.notify.restart();
    assert_eq!(stage.chat.next().text("title"), "switch master failed on web1");
}

#[test]
fn an_open_deployment_is_complete_after_a_restart() {
    let mut stage = Stage::new(ChatServer::accepting(), "");
    let _web1 = HostBuilder::new(&stage.nats, "web1", "test", "web").start();
    let waits = "read _ < $DIR/gate";
    let web2 = HostBuilder::new(&stage.nats, "web2", "test", "web").script(waits).gate("gate").start();
    let deploy = operator(&stage.nats, "admin").args(["deploy", "web1", "web2"]).spawn().map(Child);
    stage.barrier("d0");
    stage.recorded(1);
    // The end of the first host is known.
    crate::common::eventually("the result of web1", || {
        let saved = std::fs::read_to_string(stage.notify.file("state/state/notify.json")).ok()?;
        (saved.contains("\"web1\"") && saved.contains("\"completed\"") && saved.contains("\"web2\""))
            .then_some(())
    });
    stage.notify.kill();
    stage.notify.relaunch();
    web2.open("gate");
    stage.notify.wait_for_log("connected");
    assert_eq!(stage.chat.next().text("title"), "switch master: 2 completed");
    deploy.unwrap().0.wait().unwrap();
}

/// A command that is killed on drop.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        crate::common::kill_tree(&mut self.0);
    }
}

#[test]
fn waiting_notifications_survive_a_restart() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let chat = ChatServer::new(move |_, _| {
        if is_broken.load(Ordering::SeqCst) { ChatAnswer::status(500) } else { ChatAnswer::ok() }
    });
    let mut stage = Stage::new(chat, "");
    stage.send(&stage.report("web1", "d1", "completed"));
    stage.notify.wait_for_log("failed to post notification, retrying");
    let first = stage.chat.next();
    stage.notify.kill();
    stage.chat.received();
    broken.store(false, Ordering::SeqCst);
    stage.notify.restart();
    assert_eq!(stage.chat.next().bytes, first.bytes);
    stage.barrier("d2");
    assert!(stage.chat.received().is_empty());
}

#[test]
fn what_waits_is_tried_at_the_end() {
    let chat = ChatServer::new(|_, earlier| match earlier {
        0 => ChatAnswer::Status(503, vec!["Retry-After: 3600".to_owned()], String::new()),
        _ => ChatAnswer::ok(),
    });
    let mut stage = Stage::new(chat, "");
    stage.send(&stage.report("web1", "d1", "completed"));
    stage.notify.wait_for_log("failed to post notification, retrying");
    let first = stage.chat.next();
    stage.notify.terminate();
    assert!(stage.notify.wait_for_exit().success());
    assert_eq!(stage.chat.next().bytes, first.bytes);
    stage.notify.restart();
    stage.barrier("d2");
    assert!(stage.chat.received().is_empty());
}

#[test]
fn a_damaged_state_file_is_quarantined() {
    let mut stage = Stage::new(ChatServer::accepting(), "");
    stage.notify.terminate();
    assert!(stage.notify.wait_for_exit().success());
    std::fs::write(stage.notify.file("state/state/notify.json"), "{").unwrap();
    stage.notify.restart();
    assert!(stage.notify.file("state/state/notify.quarantined").exists());
    stage.barrier("d1");
}
