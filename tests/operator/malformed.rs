//! Malformed messages that end the client library's connection: work continues on a new connection.

use crate::common::{
    DEADLINE, HostBuilder, MalformedClient, NatsServer, RawClient, RunningCommand, base_report, operator, run,
};
use homelab_deploy::nats::{Client, ConnectionSettings, ConnectionState, Nkey, Subscription};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// Time limit for a new connection.
const SECOND: Duration = Duration::from_secs(1);

type Payloads = Subscription<Vec<u8>>;

async fn connected(nats: &NatsServer) -> (Client, watch::Receiver<ConnectionState>, Payloads) {
    let seed = Nkey::read(nats.key("tester")).unwrap();
    let settings = ConnectionSettings::new(&nats.url(), Some(seed), "test", "deploy.responses.ping").unwrap();
    let client = Client::connect(&settings).await.unwrap();
    let messages = client.subscribe("deploy.responses.*", |_, payload| payload.to_vec()).await.unwrap();
    client.ping(DEADLINE).await.unwrap();
    let connection = client.connection_state();
    (client, connection, messages)
}

/// Waits for the next message.
async fn next(messages: &mut Payloads) -> String {
    let received = timeout(DEADLINE, messages.next()).await.expect("a message");
    String::from_utf8(received.message.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_continues_over_a_new_connection_within_a_second() {
    let nats = NatsServer::start();
    let (client, mut connection, mut messages) = connected(&nats).await;
    let mut malformed = MalformedClient::connect(&nats, "old1");
    let wire = tokio::task::block_in_place(|| RawClient::connect(&nats, "everything"));
    let mut fastest = DEADLINE;
    for round in 1..=5_u64 {
        // The message is read later: what arrived before the connection ended must not be lost.
        tokio::task::block_in_place(|| {
            wire.publish("deploy.responses.a", &json!(round));
            wire.round_trip();
        });
        let began = Instant::now();
        tokio::task::block_in_place(|| malformed.publish("deploy.responses.x"));
        let again = |connection: &ConnectionState| connection.up && connection.connects == round + 1;
        timeout(DEADLINE, connection.wait_for(again)).await.expect("a new connection").unwrap();
        fastest = fastest.min(began.elapsed());
        assert_eq!(connection.borrow().ended, round);
        // Later messages arrive after earlier ones.
        client.ping(DEADLINE).await.unwrap();
        tokio::task::block_in_place(|| wire.publish("deploy.responses.b", &json!("after")));
        assert_eq!(next(&mut messages).await, round.to_string());
        assert_eq!(next(&mut messages).await, "\"after\"");
    }
    // A busy machine can make single rounds slower.
    assert!(fastest < SECOND, "{fastest:?}");
    tokio::task::block_in_place(|| drop(wire));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_published_at_that_moment_fails() {
    let nats = NatsServer::start();
    let (client, connection, _messages) = connected(&nats).await;
    let malformed = MalformedClient::connect(&nats, "old1");
    let storm = malformed.every(Duration::from_millis(40), &["deploy.responses.x"]);
    let until = Instant::now() + 5 * SECOND;
    let mut published = 0;
    while Instant::now() < until && connection.borrow().ended < 10 {
        client.publish("deploy.discover", b"{}".to_vec()).await.unwrap();
        client.ping_across_reconnects(DEADLINE).await.unwrap();
        published += 1;
    }
    drop(storm);
    assert!(
        connection.borrow().ended >= 5 && published > 5,
        "{published} published, {:?}",
        *connection.borrow()
    );
    client.ping(DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_connection_is_closed() {
    let nats = NatsServer::configured("127.0.0.1", &std::env::temp_dir(), "max_connections = 3");
    for _ in 0..4 {
        let (client, mut connection, messages) = connected(&nats).await;
        let mut malformed = MalformedClient::connect(&nats, "old1");
        tokio::task::block_in_place(|| malformed.publish("deploy.responses.x"));
        timeout(DEADLINE, connection.wait_for(|connection| connection.up && connection.ended == 1))
            .await
            .unwrap()
            .unwrap();
        drop((client, messages, malformed));
        // The connection itself is the last owner of the state channel.
        while timeout(DEADLINE, connection.changed()).await.expect("the end of the connection").is_ok() {}
    }
}

#[test]
fn a_deployment_completes_while_a_malformed_message_comes_every_second() {
    let nats = NatsServer::start();
    let held = "echo '@homelab-deploy {\"phase\":\"build\"}'\nread _ < $DIR/go || exit 1\necho done";
    let all = [("ns1", "prod"), ("ns2", "prod"), ("web1", "test"), ("web2", "test"), ("db1", "test")];
    let mut hosts =
        all.map(|(name, tier)| HostBuilder::new(&nats, name, tier, "x").gate("go").script(held).start());
    run(operator(&nats, "admin").arg("hosts"), 0);
    let storms = [("viewer", "deploy.discover"), ("old1", "deploy.responses.x")]
        .map(|(user, subject)| MalformedClient::connect(&nats, user).every(SECOND, &[subject]));
    for host in &mut hosts {
        host.wait_for_log("connection ended by a malformed message, reconnecting");
    }
    let names = all.map(|(name, _)| name);
    let mut command = operator(&nats, "admin");
    let mut deploy =
        RunningCommand::start(command.arg("deploy").args(names).args(["--branch", "main", "--yes"]));
    for _ in 0..3 {
        deploy.wait_for_line("note: reconnected; asking for the current state");
    }
    for host in &hosts {
        host.open("go");
    }
    let done = deploy.wait_for_exit(0);
    drop(storms);
    for name in names {
        let row = done.stdout.lines().rfind(|line| line.starts_with(&format!("{name} "))).expect("a row");
        assert!(row[name.len()..].trim_start().starts_with("completed  main"), "{done}");
    }
    assert!(!done.stderr.contains("panicked"), "{done}");
    for host in &mut hosts {
        host.kill();
        for line in host.rest_of_log() {
            assert!(line.is_object(), "{line}");
        }
    }
}

#[test]
fn a_host_that_did_not_get_its_request_gets_it_again() {
    let nats = NatsServer::start();
    let answer = crate::common::base_presence("db1", "test", "db");
    let lost = std::cell::Cell::new(true);
    let peer = crate::common::FakeListener::start(&nats, answer, move |message| {
        let id = &message["id"];
        if message["query"] == "job" {
            return vec![json!({"query": "job", "id": id, "hostname": "db1", "report": null})];
        }
        // The first request is ignored, as if it had been lost.
        if lost.replace(false) {
            return Vec::new();
        }
        vec![{
            let mut report = base_report("db1", "completed", None, "done");
            report["id"] = id.clone();
            report["seq"] = json!(1);
            report
        }]
    });
    let done = run(operator(&nats, "tester").args(["deploy", "db1"]), 0);
    let (first, second) = (peer.request(), peer.request());
    assert_eq!(first["id"], second["id"], "{done}");
    assert!(done.stdout.contains("db1  completed"), "{done}");
}
