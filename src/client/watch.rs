//! Watches the fleet: reports of all operators, presence messages, and replies to a periodic query.

use super::host_messages::{Arrival, HostMessages, Message};
use super::message_tap::MessageFanout;
use super::operator::fresh_id;
use super::peer_confirmer::PeerConfirmer;
use super::{Inventory, KnownHosts, MessageTap, Operator, RolloutStatuses};
use crate::nats::{Client, ConnectionState, NatsError, PermissionViolation, Received, Subscription};
use crate::protocol::{
    BUILD_REPORTS, BuildReport, DISCOVER, Id, Inbound, Purpose, Query, QueryReply, REPORTS, REPORTS_PER_HOST,
    ReplyTo, RolloutStatus, WireError, is_rollout_subject, per_host_reply_subject,
};
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

/// Interval of the query to all hosts, which catches changes that presence messages missed.
const ASK_AGAIN: Duration = Duration::from_mins(1);
/// Minimum interval between two queries because of hosts whose keys are not known yet.
const EARLY: Duration = Duration::from_secs(3);
/// Delay before a query for lost messages.
const LOST: Duration = Duration::from_secs(1);
/// Maximum number of messages per event.
const BATCH: usize = 512;

/// An event of the watch.
#[derive(Debug)]
pub enum WatchEvent {
    /// Messages in the order of their arrival.
    Messages(Vec<Message>),
    /// The connection state changed.
    Connection(ConnectionState),
    /// The server denied a subject.
    PermissionDenied(PermissionViolation),
    /// The builder sent a report.
    Build(Box<(Id, BuildReport)>),
    /// The server denies this key the builder's reports.
    BuildsDenied,
    /// A rollout has a new status.
    Rollout(Box<RolloutStatus>),
    /// The server denies this key a subject of rollouts.
    RolloutsDenied(PermissionViolation),
}

/// Watches everything that changes in the fleet.
pub struct Watch {
    nats: Client,
    messages: HostMessages,
    known: KnownHosts,
    builds: Subscription<Result<BuildReport, WireError>>,
    rollouts: RolloutStatuses,
    answers_to: ReplyTo,
    connection: watch::Receiver<ConnectionState>,
    violations: broadcast::Receiver<PermissionViolation>,
    /// The hosts seen so far.
    inventory: Inventory,
    fanout: MessageFanout,
    peer_confirmer: PeerConfirmer,
    /// Connection count and dropped messages at the last check.
    connects: u64,
    dropped: u64,
    next_query_at: Instant,
    last_query_at: Instant,
}

impl Watch {
    /// Watches the fleet. Starts without a connection and survives every loss of it. The watch takes over the
    /// inventory.
    pub async fn start(operator: &mut Operator) -> Result<Self, NatsError> {
        // Subscribed first, so that no violation of the following subscriptions is missed.
        let violations = operator.nats.permission_violations();
        let answers_to = ReplyTo::replies(fresh_id());
        let subjects = [
            REPORTS.to_owned(),
            REPORTS_PER_HOST.to_owned(),
            answers_to.to_string(),
            per_host_reply_subject(answers_to.id()),
        ];
        let mut connection = operator.nats.connection_state();
        connection.mark_changed();
        operator.inventory.begin_query();
        Ok(Self {
            nats: operator.nats.clone(),
            messages: HostMessages::open(
                &operator.nats,
                &operator.known,
                subjects.iter().map(String::as_str),
            )
            .await?,
            known: operator.known.clone(),
            builds: operator.nats.subscribe(BUILD_REPORTS, |_, payload| BuildReport::parse(payload)).await?,
            rollouts: RolloutStatuses::subscribe(operator).await?,
            answers_to,
            connection,
            violations,
            inventory: std::mem::take(&mut operator.inventory),
            fanout: MessageFanout::new(),
            peer_confirmer: PeerConfirmer::new(operator.nats.clone()),
            connects: 0,
            dropped: 0,
            next_query_at: Instant::now() + ASK_AGAIN,
            last_query_at: Instant::now(),
        })
    }

    /// The next event. Queries all hosts once connected, every minute, and whenever messages were lost.
    pub async fn next(&mut self) -> WatchEvent {
        loop {
            let first = tokio::select! {
                biased;
                Ok(violation) = self.violations.recv() => return match violation.subject.as_str() {
                    // A key without permissions for builds is common.
                    BUILD_REPORTS => WatchEvent::BuildsDenied,
                    // A server's permissions may be older than rollouts.
                    subject if is_rollout_subject(subject) => WatchEvent::RolloutsDenied(violation),
                    _ => WatchEvent::PermissionDenied(violation),
                },
                Ok(()) = self.connection.changed() => return WatchEvent::Connection(self.on_connection().await),
                () = sleep_until(self.next_query_at) => {
                    self.send_query().await;
                    continue;
                }
                received = self.builds.next() => match build_of(received) {
                    Some(build) => return WatchEvent::Build(Box::new(build)),
                    None => continue,
                },
                status = self.rollouts.next() => return WatchEvent::Rollout(Box::new(status)),
                arrival = self.messages.next() => match arrival {
                    Arrival::Message(message) => message,
                    Arrival::Early => {
                        self.query_soon();
                        continue;
                    }
                    Arrival::NoResponders => continue,
                },
            };
            let mut messages = vec![first];
            while messages.len() < BATCH
                && let Some(message) = self.messages.try_next()
            {
                messages.push(message);
            }
            if self.messages.take_early() {
                self.query_soon();
            }
            self.record(&messages);
            self.fanout.send(&messages);
            return WatchEvent::Messages(messages);
        }
    }

    /// The hosts seen so far.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// A source of the messages of single hosts, without further subscriptions.
    pub fn message_tap(&self) -> MessageTap {
        self.fanout.message_tap()
    }

    async fn on_connection(&mut self) -> ConnectionState {
        let connection = self.connection.borrow_and_update().clone();
        if connection.up && connection.connects != self.connects {
            self.send_query().await;
        } else if connection.dropped != self.dropped {
            // A client that reads too slowly must not be flooded with replies at once.
            self.next_query_at = self.next_query_at.min(Instant::now() + LOST);
        }
        (self.connects, self.dropped) = (connection.connects, connection.dropped);
        connection
    }

    /// Queries hosts whose keys are not known yet, at a limited rate, because any client can announce a host.
    fn query_soon(&mut self) {
        let soon = (Instant::now() + LOST).max(self.last_query_at + EARLY);
        self.next_query_at = self.next_query_at.min(soon);
    }

    async fn send_query(&mut self) {
        self.last_query_at = Instant::now();
        self.next_query_at = self.last_query_at + ASK_AGAIN;
        // While disconnected, the query is lost; the next connect sends one.
        let query = Query { reply_per_host: Some(true), ..Query::new(self.answers_to.clone()) };
        let _ = self.nats.publish_signed(Purpose::Query, DISCOVER, None, query.encode()).await;
    }

    fn record(&mut self, messages: &[Message]) {
        let now = Timestamp::now();
        for message in messages {
            match message {
                Ok(Inbound::Presence(answer) | Inbound::Reply(_, QueryReply::Host(answer))) => {
                    self.inventory.record(answer, &self.known, now);
                }
                Ok(Inbound::Report(report)) => self.peer_confirmer.on_report(report),
                _ => {}
            }
        }
    }
}

/// The report of a build, with its id.
fn build_of(received: Received<Result<BuildReport, WireError>>) -> Option<(Id, BuildReport)> {
    let report = received.message?.ok()?;
    Some((report.id_on(&received.subject)?, report))
}
