//! The demo's private server: it serves, and ends with its owner.

use crate::common::binary as program;
use crate::traces::{AUTHORIZATION, Traces};
use homelab_deploy::demo::Broker;
use std::fs;

#[tokio::test]
async fn it_serves_those_whom_it_knows_and_stop_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let broker = Broker::start(&folder, AUTHORIZATION, program()).await.unwrap();
    let traces = Traces::of(broker.url(), &folder);
    assert!(broker.url().starts_with("nats://127.0.0.1:"), "{}", broker.url());

    let known = async_nats::ConnectOptions::with_user_and_password("u".into(), "p".into());
    let client = known.connect(broker.url()).await.unwrap();
    drop(client);
    let stranger = async_nats::connect(broker.url()).await.unwrap_err();
    assert_eq!(stranger.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);

    fs::write(folder.join("ns1.seed"), "put there by others").unwrap();
    broker.stop().await.unwrap();
    assert!(traces.left().is_empty(), "left behind: {:?}", traces.left());
    assert!(temporary.path().exists());
}

#[tokio::test]
async fn dropping_it_is_enough() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let broker = Broker::start(&folder, AUTHORIZATION, program()).await.unwrap();
    let traces = Traces::of(broker.url(), &folder);
    drop(broker);
    traces.wait_until_gone();
}

#[tokio::test]
async fn a_server_that_ends_by_itself_leaves_nothing_and_stop_is_content() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let broker = Broker::start(&folder, AUTHORIZATION, program()).await.unwrap();
    let traces = Traces::of(broker.url(), &folder);
    traces.kill_server();
    traces.wait_until_gone();
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn several_run_side_by_side() {
    let temporary = tempfile::tempdir().unwrap();
    let folders = [temporary.path().join("one"), temporary.path().join("two")];
    let one = Broker::start(&folders[0], AUTHORIZATION, program()).await.unwrap();
    let two = Broker::start(&folders[1], AUTHORIZATION, program()).await.unwrap();
    assert_ne!(one.url(), two.url());
    one.stop().await.unwrap();
    Traces::of(two.url(), &folders[1]);
    two.stop().await.unwrap();
}
