//! Whoever watches the fleet and reads too slowly loses messages, is told so, and asks every host again.

use crate::common::{Broker, DEADLINE, Wire, base_report};
use homelab_deploy::bus::{Bus, Seed, Settings};
use homelab_deploy::deployer::{News, Operator, Roster};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// More than may wait to be read.
const MANY: usize = 300_000;

#[test]
fn what_was_dropped_is_counted_and_every_host_is_asked_again() {
    let broker = Broker::start();
    let wire = Wire::connect(&broker, "everything");
    let asks = wire.listen("deploy.discover");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut watch, mut link) = runtime.block_on(async {
        let seed = Seed::read(broker.key("tester")).unwrap();
        let settings = Settings::new(&broker.url(), Some(seed), "test", "deploy.responses.ping").unwrap();
        let bus = Bus::lasting(&settings).await.unwrap();
        let link = bus.link();
        let mut operator = Operator::new(bus, Roster::default(), "tester".to_owned());
        let mut watch = operator.watch().await.unwrap();
        let up = async { while !matches!(watch.next().await, News::Link(link) if link.up) {} };
        timeout(DEADLINE, up).await.expect("a link");
        (watch, link)
    });
    // The question of whoever has just come.
    asks.next();

    // Nobody reads meanwhile.
    wire.flood("deploy.responses.job", &base_report("web1", "running", None, "at work"), MANY);
    runtime.block_on(async {
        timeout(DEADLINE, link.wait_for(|link| link.dropped > 0)).await.expect("a loss").unwrap();
        // Far sooner than it would ask by itself.
        let mut asked = spawn_blocking(move || asks.next());
        let (mut messages, mut dropped) = (0, 0);
        loop {
            tokio::select! {
                ask = &mut asked => {
                    assert!(ask.unwrap().body["reply_to"].is_string());
                    break;
                }
                news = watch.next() => match news {
                    News::Messages(some) => messages += some.len(),
                    News::Link(link) => dropped = link.dropped,
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(dropped > 0, "told before the question");
        assert!(messages < MANY, "{messages} of {MANY}");
        drop(watch);
    });
}
