//! The log of a job as the library follows it, used from plain tests.

use super::{Broker, DEADLINE};
use homelab_deploy::bus::{Bus, LinkError, Seed, Settings};
use homelab_deploy::deployer::{KnownHosts, LogFollow, LogNews, LogStart, Operator, Roster};
use homelab_deploy::protocol::{Id, Name};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::{error::Elapsed, timeout};

/// A log that is followed, with its own small runtime and connection.
pub struct Followed {
    runtime: Runtime,
    /// Taken only at the end: it says goodbye to the server by way of the runtime.
    follow: Option<LogFollow>,
}

/// The hosts that tests play do not sign, as those of the older tool.
fn allowing_all() -> KnownHosts {
    KnownHosts::new(BTreeMap::new(), false, &Roster::default(), Some(true))
}

impl Followed {
    /// Follows with the key of `user`.
    pub fn open(broker: &Broker, user: &str, host: &str, job: &str, start: LogStart) -> Self {
        let (host, job) = (Name::new(host).unwrap(), Id::new(job).unwrap());
        Self::over(broker, user, async |bus| LogFollow::open(bus, &allowing_all(), host, job, start).await)
    }

    /// As [`Followed::open`], beside a watch of the fleet over the same connection.
    pub fn beside(broker: &Broker, user: &str, host: &str, job: &str, start: LogStart) -> Self {
        let (host, job) = (Name::new(host).unwrap(), Id::new(job).unwrap());
        Self::over(broker, user, async |bus| {
            let (roster, issuer) = (Roster::default(), "tester".to_owned());
            let mut watch = Operator { known: allowing_all(), ..Operator::new(bus.clone(), roster, issuer) }
                .watch()
                .await?;
            let hints = watch.hints();
            tokio::spawn(async move {
                loop {
                    watch.next().await;
                }
            });
            LogFollow::beside(&hints, bus, &allowing_all(), host, job, start).await
        })
    }

    fn over(
        broker: &Broker,
        user: &str,
        open: impl AsyncFnOnce(Bus) -> Result<LogFollow, LinkError>,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seed = Seed::read(broker.key(user)).unwrap();
        let settings = Settings::new(&broker.url(), Some(seed), "test", "deploy.responses.ping").unwrap();
        let follow = runtime.block_on(async { open(Bus::lasting(&settings).await.unwrap()).await.unwrap() });
        Self { runtime, follow: Some(follow) }
    }

    /// What comes next within a moment; the wait for it is cut short then.
    pub fn within(&mut self, moment: Duration) -> Result<Option<Result<LogNews, LinkError>>, Elapsed> {
        let Self { runtime, follow } = self;
        let next = follow.as_mut().unwrap().next();
        runtime.block_on(async { timeout(moment, next).await })
    }

    /// Lets a moment pass, in which nothing comes.
    pub fn quiet(&mut self, moment: Duration) {
        if let Ok(news) = self.within(moment) {
            panic!("{news:?}");
        }
    }

    /// What comes next, an error or the end of all news included.
    pub fn raw(&mut self) -> Option<Result<LogNews, LinkError>> {
        self.within(DEADLINE).expect("news of the log")
    }

    /// The next news.
    pub fn news(&mut self) -> LogNews {
        self.raw().expect("not over yet").expect("no error")
    }

    /// The next news, which must come long before the log would be asked for by itself.
    pub fn soon(&mut self) -> LogNews {
        let news = self.within(Duration::from_secs(10)).expect("news of the log soon");
        news.expect("not over yet").expect("no error")
    }

    /// The next piece, which must be text.
    pub fn piece(&mut self) -> (u64, String) {
        match self.news() {
            LogNews::Text { offset, text } => (offset, text),
            other => panic!("{other:?} instead of text"),
        }
    }

    /// The text from here until it ends so; each piece must come soon and begin where the one before has ended.
    /// Silence is passed over.
    pub fn until(&mut self, end: &str) -> (u64, String) {
        let (mut first, mut all) = (None, String::new());
        loop {
            match self.soon() {
                LogNews::Text { offset, text } => {
                    let first = *first.get_or_insert(offset);
                    assert_eq!(offset, first + all.len() as u64, "after {:?}", last(&all));
                    all += &text;
                    if all.ends_with(end) {
                        return (first, all);
                    }
                }
                LogNews::Silent => {}
                other => panic!("{other:?} after {:?}", last(&all)),
            }
        }
    }

    /// The log is at its end, and so is all news of it. Silence is passed over.
    pub fn ends(&mut self) {
        let mut news = self.news();
        if news == LogNews::Silent {
            news = self.news();
        }
        assert_eq!(news, LogNews::End);
        assert_eq!(self.raw(), None);
    }
}

/// A few of the last characters.
fn last(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(60))..]
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.follow = None;
    }
}
