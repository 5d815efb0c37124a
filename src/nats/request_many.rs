//! Scatter–gather: one query, many replies, finished as early as possible.

use super::{Client, NatsError, Received, Subscription};
use crate::protocol::Purpose;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long to wait for replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherTimeout {
    /// The maximum time after the last reply.
    pub idle: Duration,
    /// The maximum total time.
    pub total: Duration,
}

impl Default for GatherTimeout {
    /// 250 ms after the last reply, 2 s in total.
    fn default() -> Self {
        Self { idle: Duration::from_millis(250), total: Duration::from_secs(2) }
    }
}

/// A query to many hosts, and the subjects of the replies.
#[derive(Debug)]
pub struct ScatterRequest<'a> {
    /// The subject of the query.
    pub subject: &'a str,
    /// The reply subject of the query.
    pub reply: &'a str,
    /// An additional subject for replies.
    pub extra_subject: Option<&'a str>,
    /// The purpose that is part of the signed data.
    pub purpose: Purpose,
    /// The content of the query.
    pub payload: Vec<u8>,
}

impl ScatterRequest<'_> {
    /// Publishes a query and passes the replies to `take`. It ends when `take` returns true, the timeout expires, the
    /// client reconnects, or the server reports that no client is subscribed. A permission violation ends it with an
    /// error.
    pub async fn send<T>(
        self,
        client: &Client,
        read: fn(&str, &[u8]) -> T,
        timeout: GatherTimeout,
        mut take: impl FnMut(Received<T>) -> bool,
    ) -> Result<GatherStatus, NatsError> {
        let ScatterRequest { subject, reply, extra_subject, purpose, payload } = self;
        let mut violations = client.permission_violations();
        let mut replies = client.subscribe(reply, read).await?;
        let mut extra_replies = match extra_subject {
            Some(subject) => Some(client.subscribe(subject, read).await?),
            None => None,
        };
        let mut state = client.connection_state();
        let connects = state.borrow_and_update().connects;
        let started = Instant::now();
        let last_moment = started + timeout.total;
        let mut until = last_moment;
        client.publish_signed(purpose, subject, Some(reply), payload).await?;
        let ended = loop {
            let received = tokio::select! {
                received = replies.next() => received,
                received = next_message(&mut extra_replies) => received,
                () = sleep_until(until) => break GatherStatus::Complete,
                violation = violations.recv() => match violation {
                    Ok(violation) if violation.subject == subject || violation.subject == reply => {
                        return Err(NatsError::PermissionViolation(violation));
                    }
                    _ => continue,
                },
                Ok(_) = state.wait_for(|state| state.connects > connects) => break GatherStatus::Reconnected,
            };
            if received.message.is_none() {
                break GatherStatus::NoResponders;
            }
            if take(received) {
                // Wait one round trip for replies that were in flight when the last expected one arrived.
                if client.ping(Duration::from_millis(250)).await.is_ok() {
                    for replies in [Some(&mut replies), extra_replies.as_mut()].into_iter().flatten() {
                        replies.catch_up().await;
                        while let Some(received) = replies.try_next() {
                            take(received);
                        }
                    }
                }
                break GatherStatus::Complete;
            }
            until = last_moment.min(Instant::now() + timeout.idle);
        };
        if let Some(extra_replies) = extra_replies {
            extra_replies.unsubscribe().await;
        }
        replies.unsubscribe().await;
        Ok(ended)
    }
}

/// How gathering ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatherStatus {
    /// Enough replies arrived, or the timeout expired.
    Complete,
    /// The server reported that no client is subscribed to the subject.
    NoResponders,
    /// The client reconnected, so replies may be missing.
    Reconnected,
}

/// Returns the next message of an optional subscription; without one, never returns.
async fn next_message<T>(subscription: &mut Option<Subscription<T>>) -> Received<T> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}
