//! A watch that reads too slowly loses messages, reports it, and queries all hosts again.

use crate::common::{DEADLINE, NatsServer, RawClient, base_report};
use homelab_deploy::client::{Inventory, Operator, Watch, WatchEvent};
use homelab_deploy::nats::{Client, ConnectionSettings, Nkey};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// More messages than can be buffered.
const MANY: usize = 300_000;

#[test]
fn dropped_messages_are_counted_and_every_host_is_queried_again() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let asks = wire.subscribe("deploy.discover");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut watch, mut connection) = runtime.block_on(async {
        let seed = Nkey::read(nats.key("tester")).unwrap();
        let settings =
            ConnectionSettings::new(&nats.url(), Some(seed), "test", "deploy.responses.ping").unwrap();
        let client = Client::connect_persistent(&settings).await.unwrap();
        let connection = client.connection_state();
        let mut operator = Operator::new(client, Inventory::default(), "tester".to_owned());
        let mut watch = Watch::start(&mut operator).await.unwrap();
        let up = async {
            while !matches!(watch.next().await, WatchEvent::Connection(connection) if connection.up) {}
        };
        timeout(DEADLINE, up).await.expect("a link");
        (watch, connection)
    });
    // The initial query of the watch.
    asks.next();

    // Nothing is read during the flood.
    wire.flood("deploy.responses.job", &base_report("web1", "running", None, "at work"), MANY);
    runtime.block_on(async {
        timeout(DEADLINE, connection.wait_for(|connection| connection.dropped > 0))
            .await
            .expect("a loss")
            .unwrap();
        // Much sooner than the next periodic query.
        let mut asked = spawn_blocking(move || asks.next());
        let (mut messages, mut dropped) = (0, 0);
        loop {
            tokio::select! {
                ask = &mut asked => {
                    assert!(ask.unwrap().body["reply_to"].is_string());
                    break;
                }
                event = watch.next() => match event {
                    WatchEvent::Messages(some) => messages += some.len(),
                    WatchEvent::Connection(connection) => dropped = connection.dropped,
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(dropped > 0, "the loss is reported before the query");
        assert!(messages < MANY, "{messages} of {MANY}");
        drop(watch);
    });
}
