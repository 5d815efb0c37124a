//! Scatter–gather: one question, many answers, and an end as early as possible.

use super::{Bus, LinkError, Received, Subscription};
use crate::protocol::Purpose;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long to wait for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After the last answer.
    pub quiet: Duration,
    /// In all.
    pub total: Duration,
}

impl Default for Patience {
    /// 250 ms after the last answer, 2 s in all.
    fn default() -> Self {
        Self { quiet: Duration::from_millis(250), total: Duration::from_secs(2) }
    }
}

/// A question to many, and where what comes back is published.
#[derive(Debug)]
pub struct Scatter<'a> {
    /// Where the question goes.
    pub subject: &'a str,
    /// The reply subject that it carries.
    pub reply: &'a str,
    /// A further subject that replies come on.
    pub also: Option<&'a str>,
    /// What it is signed for.
    pub purpose: Purpose,
    /// The question.
    pub payload: Vec<u8>,
}

/// How gathering ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gathered {
    /// With enough replies, or at the end of the patience.
    InTime,
    /// The server said that no client listens there.
    NoListener,
    /// The connection was made again meanwhile: replies may be missing.
    Interrupted,
}

impl Bus {
    /// Publishes a question and hands what comes back to `take`, until that says that it is enough, the patience ends, the
    /// connection was made again, or the server says that no client listens. A refused subject ends it at once.
    pub async fn gather<T>(
        &self,
        scatter: Scatter<'_>,
        read: fn(&str, &[u8]) -> T,
        patience: Patience,
        mut take: impl FnMut(Received<T>) -> bool,
    ) -> Result<Gathered, LinkError> {
        let Scatter { subject, reply, also, purpose, payload } = scatter;
        let mut refusals = self.refusals();
        let mut replies = self.subscribe(reply, read).await?;
        let mut more = match also {
            Some(subject) => Some(self.subscribe(subject, read).await?),
            None => None,
        };
        let mut link = self.link();
        let connects = link.borrow_and_update().connects;
        let begun = Instant::now();
        let last_moment = begun + patience.total;
        let mut until = last_moment;
        self.publish_signed(purpose, subject, Some(reply), payload).await?;
        let ended = loop {
            let received = tokio::select! {
                received = replies.next() => received,
                received = next_of(&mut more) => received,
                () = sleep_until(until) => break Gathered::InTime,
                refusal = refusals.recv() => match refusal {
                    Ok(refusal) if refusal.subject == subject || refusal.subject == reply => {
                        return Err(LinkError::Refused(refusal));
                    }
                    _ => continue,
                },
                Ok(_) = link.wait_for(|link| link.connects > connects) => break Gathered::Interrupted,
            };
            if received.message.is_none() {
                break Gathered::NoListener;
            }
            if take(received) {
                // Those that were on their way when the last expected one came: one round trip's worth.
                if self.ping(Duration::from_millis(250)).await.is_ok() {
                    for replies in [Some(&mut replies), more.as_mut()].into_iter().flatten() {
                        replies.catch_up().await;
                        while let Some(received) = replies.ready() {
                            take(received);
                        }
                    }
                }
                break Gathered::InTime;
            }
            until = last_moment.min(Instant::now() + patience.quiet);
        };
        if let Some(more) = more {
            more.end().await;
        }
        replies.end().await;
        Ok(ended)
    }
}

/// The next message of a subscription that there may be.
async fn next_of<T>(subscription: &mut Option<Subscription<T>>) -> Received<T> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}
