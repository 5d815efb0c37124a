//! The demo's private server runs, and ends with its owner.

use crate::common::binary as program;
use crate::leftovers::{AUTHORIZATION, Leftovers};
use homelab_deploy::demo::NatsServer;
use std::fs;

#[tokio::test]
async fn known_users_are_served_and_stop_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("demo");
    let server = NatsServer::start(&directory, AUTHORIZATION, program()).await.unwrap();
    let leftovers = Leftovers::of(server.url(), &directory);
    assert!(server.url().starts_with("nats://127.0.0.1:"), "{}", server.url());

    let known = async_nats::ConnectOptions::with_user_and_password("u".into(), "p".into());
    let client = known.connect(server.url()).await.unwrap();
    drop(client);
    let stranger = async_nats::connect(server.url()).await.unwrap_err();
    assert_eq!(stranger.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);

    fs::write(directory.join("ns1.seed"), "written by another program").unwrap();
    server.stop().await.unwrap();
    assert!(leftovers.left().is_empty(), "left behind: {:?}", leftovers.left());
    assert!(temporary.path().exists());
}

#[tokio::test]
async fn dropping_the_server_removes_everything() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("demo");
    let server = NatsServer::start(&directory, AUTHORIZATION, program()).await.unwrap();
    let leftovers = Leftovers::of(server.url(), &directory);
    drop(server);
    leftovers.wait_until_gone();
}

#[tokio::test]
async fn a_server_that_exits_leaves_nothing_and_stop_succeeds() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("demo");
    let server = NatsServer::start(&directory, AUTHORIZATION, program()).await.unwrap();
    let leftovers = Leftovers::of(server.url(), &directory);
    leftovers.kill_server();
    leftovers.wait_until_gone();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn several_run_side_by_side() {
    let temporary = tempfile::tempdir().unwrap();
    let directories = [temporary.path().join("one"), temporary.path().join("two")];
    let one = NatsServer::start(&directories[0], AUTHORIZATION, program()).await.unwrap();
    let two = NatsServer::start(&directories[1], AUTHORIZATION, program()).await.unwrap();
    assert_ne!(one.url(), two.url());
    one.stop().await.unwrap();
    Leftovers::of(two.url(), &directories[1]);
    two.stop().await.unwrap();
}
