//! Malformed messages that end the client library's connection: everything goes on over a new one.

use crate::common::{Broker, DEADLINE, HostBuilder, Malformed, Running, Wire, base_report, operator, run};
use homelab_deploy::bus::{Bus, Link, Seed, Settings, Subscription};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// A second, within which there must be a new connection.
const SECOND: Duration = Duration::from_secs(1);

type Payloads = Subscription<Vec<u8>>;

async fn connected(broker: &Broker) -> (Bus, watch::Receiver<Link>, Payloads) {
    let seed = Seed::read(broker.key("tester")).unwrap();
    let settings = Settings::new(&broker.url(), Some(seed), "test", "deploy.responses.ping").unwrap();
    let bus = Bus::once(&settings).await.unwrap();
    let messages = bus.subscribe("deploy.responses.*", |_, payload| payload.to_vec()).await.unwrap();
    bus.ping(DEADLINE).await.unwrap();
    let link = bus.link();
    (bus, link, messages)
}

/// The next message.
async fn next(messages: &mut Payloads) -> String {
    let received = timeout(DEADLINE, messages.next()).await.expect("a message");
    String::from_utf8(received.message.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_over_a_new_connection_within_a_second() {
    let broker = Broker::start();
    let (bus, mut link, mut messages) = connected(&broker).await;
    let mut malformed = Malformed::connect(&broker, "old1");
    let wire = tokio::task::block_in_place(|| Wire::connect(&broker, "everything"));
    for round in 1..=5_u64 {
        // Read only later: what came before the connection ended is not lost.
        tokio::task::block_in_place(|| {
            wire.say("deploy.responses.a", &json!(round));
            wire.round_trip();
        });
        let began = Instant::now();
        tokio::task::block_in_place(|| malformed.publish("deploy.responses.x"));
        let again = |link: &Link| link.up && link.connects == round + 1;
        timeout(DEADLINE, link.wait_for(again)).await.expect("a new connection").unwrap();
        assert!(began.elapsed() < SECOND, "{:?} in round {round}", began.elapsed());
        assert_eq!(link.borrow().ended, round);
        // What is sent after that is heard after what came before.
        bus.ping(DEADLINE).await.unwrap();
        tokio::task::block_in_place(|| wire.say("deploy.responses.b", &json!("after")));
        assert_eq!(next(&mut messages).await, round.to_string());
        assert_eq!(next(&mut messages).await, "\"after\"");
    }
    tokio::task::block_in_place(|| drop(wire));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_published_at_that_moment_fails() {
    let broker = Broker::start();
    let (bus, link, _messages) = connected(&broker).await;
    let malformed = Malformed::connect(&broker, "old1");
    let storm = malformed.every(Duration::from_millis(40), &["deploy.responses.x"]);
    let until = Instant::now() + 5 * SECOND;
    let mut published = 0;
    while Instant::now() < until && link.borrow().ended < 10 {
        bus.publish("deploy.discover", b"{}".to_vec()).await.unwrap();
        bus.reach(DEADLINE).await.unwrap();
        published += 1;
    }
    drop(storm);
    assert!(link.borrow().ended >= 5 && published > 5, "{published} published, {:?}", *link.borrow());
    bus.ping(DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_no_one_uses_any_more_is_closed() {
    let broker = Broker::configured("127.0.0.1", &std::env::temp_dir(), "max_connections = 3");
    for _ in 0..4 {
        let (bus, mut link, messages) = connected(&broker).await;
        let mut malformed = Malformed::connect(&broker, "old1");
        tokio::task::block_in_place(|| malformed.publish("deploy.responses.x"));
        timeout(DEADLINE, link.wait_for(|link| link.up && link.ended == 1)).await.unwrap().unwrap();
        drop((bus, messages, malformed));
        // The last owner of the state of the link is the connection itself.
        while timeout(DEADLINE, link.changed()).await.expect("the end of the connection").is_ok() {}
    }
}

#[test]
fn a_deployment_completes_while_a_malformed_message_comes_every_second() {
    let broker = Broker::start();
    let held = "echo '@homelab-deploy {\"phase\":\"build\"}'\nread _ < $DIR/go || exit 1\necho done";
    let all = [("ns1", "prod"), ("ns2", "prod"), ("web1", "test"), ("web2", "test"), ("db1", "test")];
    let mut hosts =
        all.map(|(name, tier)| HostBuilder::new(&broker, name, tier, "x").gate("go").script(held).start());
    run(operator(&broker, "admin").arg("hosts"), 0);
    let storms = [("viewer", "deploy.discover"), ("old1", "deploy.responses.x")]
        .map(|(user, subject)| Malformed::connect(&broker, user).every(SECOND, &[subject]));
    for host in &mut hosts {
        host.logged("connection ended by a malformed message, reconnecting");
    }
    let names = all.map(|(name, _)| name);
    let mut command = operator(&broker, "admin");
    let mut deploy = Running::start(command.arg("deploy").args(names).args(["--branch", "main", "--yes"]));
    for _ in 0..3 {
        deploy.says("note: connected again; asking what happened meanwhile");
    }
    for host in &hosts {
        host.open("go");
    }
    let done = deploy.ended(0);
    drop(storms);
    for name in names {
        let row = done.out.lines().rfind(|line| line.starts_with(&format!("{name} "))).expect("a row");
        assert!(row[name.len()..].trim_start().starts_with("completed  main"), "{done}");
    }
    assert!(!done.err.contains("panicked"), "{done}");
    for host in &mut hosts {
        host.kill();
        for line in host.rest_of_log() {
            assert!(line.is_object(), "{line}");
        }
    }
}

#[test]
fn a_host_that_did_not_get_its_request_gets_it_again() {
    let broker = Broker::start();
    let answer = crate::common::base_answer("db1", "test", "db");
    let lost = std::cell::Cell::new(true);
    let peer = crate::common::Peer::start(&broker, answer, move |message| {
        let id = &message["id"];
        if message["want"] == "job" {
            return vec![json!({"want": "job", "id": id, "hostname": "db1", "report": null})];
        }
        // The first one it forgets, as if it had never come.
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
    let done = run(operator(&broker, "tester").args(["deploy", "db1"]), 0);
    let (first, second) = (peer.request(), peer.request());
    assert_eq!(first["id"], second["id"], "{done}");
    assert!(done.out.contains("db1  completed"), "{done}");
}
