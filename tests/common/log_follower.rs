//! Follows the log of a job through the library, for synchronous tests.

use super::{DEADLINE, NatsServer};
use homelab_deploy::client::{Inventory, KnownHosts, LogEvent, LogFollower, LogStart, Operator, Watch};
use homelab_deploy::nats::{Client, ConnectionSettings, NatsError, Nkey};
use homelab_deploy::protocol::{Id, Name};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::{error::Elapsed, timeout};

/// A followed log, with its own runtime and connection.
pub struct FollowedLog {
    runtime: Runtime,
    /// Taken only on drop, because unsubscribing needs the runtime.
    follow: Option<LogFollower>,
}

/// The hosts that tests simulate do not sign their messages, like those of the older tool.
fn allowing_all() -> KnownHosts {
    KnownHosts::new(BTreeMap::new(), false, &Inventory::default(), Some(true))
}

impl FollowedLog {
    /// Follows a log with the key of `user`.
    pub fn open(nats: &NatsServer, user: &str, host: &str, job: &str, start: LogStart) -> Self {
        let (host, job) = (Name::new(host).unwrap(), Id::new(job).unwrap());
        Self::over(nats, user, async |client| {
            LogFollower::open(client, &allowing_all(), host, job, start).await
        })
    }

    /// Like [`FollowedLog::open`], in addition to a watch of the fleet over the same connection.
    pub fn beside(nats: &NatsServer, user: &str, host: &str, job: &str, start: LogStart) -> Self {
        let (host, job) = (Name::new(host).unwrap(), Id::new(job).unwrap());
        Self::over(nats, user, async |client| {
            let (inventory, issuer) = (Inventory::default(), "tester".to_owned());
            let operator = Operator::new(client.clone(), inventory, issuer);
            let mut watch = Watch::start(&mut Operator { known: allowing_all(), ..operator }).await?;
            let tap = watch.message_tap();
            tokio::spawn(async move {
                loop {
                    watch.next().await;
                }
            });
            LogFollower::open_with_tap(&tap, client, &allowing_all(), host, job, start).await
        })
    }

    fn over(
        nats: &NatsServer,
        user: &str,
        open: impl AsyncFnOnce(Client) -> Result<LogFollower, NatsError>,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seed = Nkey::read(nats.key(user)).unwrap();
        let settings =
            ConnectionSettings::new(&nats.url(), Some(seed), "test", "deploy.responses.ping").unwrap();
        let follow = runtime
            .block_on(async { open(Client::connect_persistent(&settings).await.unwrap()).await.unwrap() });
        Self { runtime, follow: Some(follow) }
    }

    /// Returns the next event within `moment`; a longer wait is cancelled.
    pub fn within(&mut self, moment: Duration) -> Result<Option<Result<LogEvent, NatsError>>, Elapsed> {
        let Self { runtime, follow } = self;
        let next = follow.as_mut().unwrap().next();
        runtime.block_on(async { timeout(moment, next).await })
    }

    /// Asserts that no event arrives within `moment`.
    pub fn quiet(&mut self, moment: Duration) {
        if let Ok(event) = self.within(moment) {
            panic!("{event:?}");
        }
    }

    /// Returns the next event, an error, or the end of the stream.
    pub fn raw(&mut self) -> Option<Result<LogEvent, NatsError>> {
        self.within(DEADLINE).expect("an event of the log")
    }

    /// Returns the next event.
    pub fn event(&mut self) -> LogEvent {
        self.raw().expect("the stream has not ended").expect("no error")
    }

    /// Returns the next event, which must arrive long before the log would be polled.
    pub fn event_soon(&mut self) -> LogEvent {
        let event = self.within(Duration::from_secs(10)).expect("an event of the log soon");
        event.expect("the stream has not ended").expect("no error")
    }

    /// Returns the next chunk; another event is an error.
    pub fn chunk(&mut self) -> (u64, String) {
        match self.event() {
            LogEvent::Text { offset, text } => (offset, text),
            other => panic!("{other:?} instead of text"),
        }
    }

    /// Returns the text from here until it ends with `end`. Each chunk must arrive soon and continue the previous one.
    /// Events about missing replies are skipped.
    pub fn until(&mut self, end: &str) -> (u64, String) {
        let (mut first, mut all) = (None, String::new());
        loop {
            match self.event_soon() {
                LogEvent::Text { offset, text } => {
                    let first = *first.get_or_insert(offset);
                    assert_eq!(offset, first + all.len() as u64, "after {:?}", last(&all));
                    all += &text;
                    if all.ends_with(end) {
                        return (first, all);
                    }
                }
                LogEvent::NoAnswer => {}
                other => panic!("{other:?} after {:?}", last(&all)),
            }
        }
    }

    /// Asserts that the log and its events are at the end. Events about missing replies are skipped.
    pub fn ends(&mut self) {
        let mut event = self.event();
        if event == LogEvent::NoAnswer {
            event = self.event();
        }
        assert_eq!(event, LogEvent::End);
        assert_eq!(self.raw(), None);
    }
}

/// Returns the last few characters.
fn last(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(60))..]
}

impl Drop for FollowedLog {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.follow = None;
    }
}
