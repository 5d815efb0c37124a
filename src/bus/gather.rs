//! Scatter–gather: one question, many answers, and an end as early as possible.

use super::{Bus, LinkError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

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

/// What a question brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered<T> {
    /// The answers in the order they came.
    pub answers: Vec<T>,
    /// The server said that nobody listens there.
    pub nobody: bool,
}

impl Bus {
    /// Publishes `payload` on `subject` and gathers what comes back on `reply`, until `enough` says so, the
    /// patience ends, or the server tells that nobody listens. A refused subject ends it at once.
    pub async fn gather<T>(
        &self,
        subject: &str,
        reply: &str,
        payload: Vec<u8>,
        read: fn(&str, &[u8]) -> T,
        patience: Patience,
        mut enough: impl FnMut(&T) -> bool,
    ) -> Result<Gathered<T>, LinkError> {
        let mut refusals = self.refusals();
        let mut replies = self.subscribe(reply, read).await?;
        let begun = Instant::now();
        let last_moment = begun + patience.total;
        let mut until = last_moment;
        self.publish_with_reply(subject, reply, payload).await?;
        let mut gathered = Gathered { answers: Vec::new(), nobody: false };
        loop {
            let received = tokio::select! {
                received = timeout_at(until, replies.next()) => received,
                refusal = refusals.recv() => {
                    match refusal {
                        Ok(refusal) if refusal.subject == subject || refusal.subject == reply => {
                            return Err(LinkError::Refused(refusal));
                        }
                        _ => continue,
                    }
                }
            };
            match received {
                Err(_) | Ok(None) => break,
                Ok(Some(received)) => match received.message {
                    None => {
                        gathered.nobody = true;
                        break;
                    }
                    Some(answer) => {
                        let last = enough(&answer);
                        gathered.answers.push(answer);
                        if last {
                            self.sweep(&mut replies, &mut gathered.answers).await;
                            break;
                        }
                        until = last_moment.min(Instant::now() + patience.quiet);
                    }
                },
            }
        }
        replies.end().await;
        Ok(gathered)
    }

    /// Takes the answers that were on their way when the last expected one came: one round trip's worth.
    async fn sweep<T>(&self, replies: &mut super::Subscription<T>, answers: &mut Vec<T>) {
        if self.ping(Duration::from_millis(250)).await.is_ok() {
            while let Some(received) = replies.ready() {
                answers.extend(received.message);
            }
        }
    }
}
