//! Replaces the client when the task of its connection has ended, and subscribes again.
//!
//! The client library panics in that task when a message has a malformed header, such as a lone CR in a value. The panic
//! drops everything that the task owns: the streams of all subscriptions end, publishing fails, and the library's own
//! reconnection is gone too. One sign is reliable and comes after every event was handled: the event callback is dropped.

use super::connect::options;
use super::link::{Link, Refusal};
use super::pace::Pace;
use super::{LinkError, Settings, panics};
use crate::log_fold::LogFold;
use async_nats::client::SubscribeErrorKind;
use async_nats::{Client, ConnectError, Subscriber};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use tokio::sync::{Mutex, broadcast, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Makes clients that are all set up alike and report to the same link.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) settings: Arc<Settings>,
    pub(super) link: Arc<watch::Sender<Link>>,
    pub(super) refusals: broadcast::Sender<Refusal>,
    pub(super) log_fold: Arc<std::sync::Mutex<LogFold>>,
}

/// Holds back the events of a client until everything is subscribed, and notices the end of its connection's task.
pub(super) struct Gate(watch::Sender<bool>);

impl Maker {
    /// Makes a client. If it is lasting, it waits for a server in the background.
    pub(super) async fn make(&self, lasting: bool) -> Result<(Client, Gate), ConnectError> {
        let (gate, opened) = watch::channel(false);
        let mut options = options(self, opened);
        if lasting {
            options = options.retry_on_initial_connect();
        }
        Ok((options.connect(self.settings.servers()).await?, Gate(gate)))
    }
}

/// The present client, and what every later one must subscribe to.
pub(super) struct Supervised {
    client: RwLock<Client>,
    wanted: Mutex<Vec<Wanted>>,
}

/// A subscription that lives.
struct Wanted {
    subject: String,
    successors: mpsc::UnboundedSender<Subscriber>,
}

impl Supervised {
    /// Supervises a client until the last owner of the result is gone.
    pub(super) fn start(maker: Maker, client: Client, gate: Gate) -> Arc<Self> {
        let supervised = Arc::new(Self { client: RwLock::new(client), wanted: Mutex::default() });
        gate.0.send_replace(true);
        tokio::spawn(supervise(maker, Arc::downgrade(&supervised), gate));
        supervised
    }

    /// The client to use now.
    pub(super) fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Subscribes, now and on every later client. Each subscriber comes over the channel; one that has ended is followed
    /// by the next.
    pub(super) async fn subscribe(
        &self,
        subject: &str,
    ) -> Result<mpsc::UnboundedReceiver<Subscriber>, LinkError> {
        let (successors, subscribers) = mpsc::unbounded_channel();
        // Held meanwhile, so that a successor of the client cannot be missed.
        let mut wanted = self.wanted.lock().await;
        match self.client().subscribe(subject.to_owned()).await {
            Ok(subscriber) => drop(successors.send(subscriber)),
            Err(error) if error.kind() == SubscribeErrorKind::Other => {}
            Err(error) => {
                let (subject, reason) = (subject.to_owned(), error.to_string());
                return Err(LinkError::Subscribe { subject, reason });
            }
        }
        wanted.retain(|other| !other.successors.is_closed());
        wanted.push(Wanted { subject: subject.to_owned(), successors });
        Ok(subscribers)
    }

    /// Uses this client from now on.
    async fn replace(&self, client: Client) {
        let mut wanted = self.wanted.lock().await;
        wanted.retain(|wanted| !wanted.successors.is_closed());
        for wanted in &*wanted {
            // It fails only if this client has ended too, and then the next one subscribes.
            if let Ok(subscriber) = client.subscribe(wanted.subject.clone()).await {
                let _ = wanted.successors.send(subscriber);
            }
        }
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
    }
}

/// Makes a new client whenever one has ended, for as long as the connection is used.
async fn supervise(maker: Maker, supervised: Weak<Supervised>, mut gate: Gate) {
    let mut pace = Pace::new(Instant::now());
    loop {
        tokio::select! {
            () = gate.0.closed() => {}
            () = sleep_until(pace.report_at()) => {
                pace.report(None);
                continue;
            }
        }
        // Ended because no one uses it any more.
        if supervised.strong_count() == 0 {
            return;
        }
        maker.link.send_modify(Link::ended);
        let pause = pace.ended(Instant::now());
        pace.report(panics::take_reason().as_deref());
        sleep(pause).await;
        let made = maker.make(true).await;
        let Some(supervised) = supervised.upgrade() else { return };
        match made {
            Ok((client, next)) => {
                supervised.replace(client).await;
                next.0.send_replace(true);
                gate = next;
            }
            // It does not depend on the server: the same settings were good before. The old gate is closed still.
            Err(error) => tracing::error!(%error, "failed to replace an ended connection"),
        }
    }
}
