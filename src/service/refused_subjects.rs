//! Subjects that the server has refused: their warnings, and whether it still refuses them.
//!
//! A server that reloads its configuration keeps all connections, but does not make a subscription that it has refused
//! before.

use crate::nats::PermissionViolation;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The maximum number of warnings: operators choose a part of some subjects.
const MAX_REFUSED: usize = 10;
/// The pause before subscriptions are tried again. It doubles up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_mins(10);
/// How long the server may take to refuse a subscription again.
const CHECK_TIME: Duration = Duration::from_secs(3);
/// How long a subject for publishing counts as refused. A service publishes its presence more often.
const PUBLISH_AGE: Duration = Duration::from_mins(10);

/// The subjects that the server has refused on the current connection.
#[derive(Debug)]
pub(super) struct RefusedSubjects {
    refused: Vec<(PermissionViolation, Instant)>,
    pause: Duration,
    due: Instant,
    /// When subscriptions were last tried again, until the result is known.
    retried_at: Option<Instant>,
}

impl Default for RefusedSubjects {
    fn default() -> Self {
        Self { refused: Vec::new(), pause: FIRST_PAUSE, due: Instant::now(), retried_at: None }
    }
}

impl RefusedSubjects {
    /// Adds a subject, and its warning.
    pub(super) fn add(&mut self, violation: PermissionViolation, warnings: &mut BTreeSet<String>) {
        let now = Instant::now();
        if let Some((_, at)) = self.refused.iter_mut().find(|(known, _)| *known == violation) {
            *at = now;
        } else if self.refused.len() < MAX_REFUSED {
            if self.refused.is_empty() {
                self.due = now + self.pause;
            }
            warnings.insert(violation.to_string());
            self.refused.push((violation, now));
        }
    }

    /// Removes all subjects and their warnings, because there is a new connection.
    pub(super) fn clear(&mut self, warnings: &mut BTreeSet<String>) {
        for (violation, _) in std::mem::take(self).refused {
            warnings.remove(&violation.to_string());
        }
    }

    /// Waits until [`RefusedSubjects::update`] has something to do; forever if no subject is refused.
    pub(super) async fn due(&self) {
        if self.refused.is_empty() {
            std::future::pending::<()>().await;
        }
        sleep_until(self.due).await;
    }

    /// Removes subjects that the server permits now, with their warnings. Returns the subscriptions to try again.
    pub(super) fn update(&mut self, warnings: &mut BTreeSet<String>) -> Vec<String> {
        let now = Instant::now();
        let retried_at = self.retried_at.take();
        self.refused.retain(|(violation, at)| {
            let is_refused = if violation.is_publish {
                now.duration_since(*at) < PUBLISH_AGE
            } else {
                retried_at.is_none_or(|retried_at| *at >= retried_at)
            };
            if !is_refused {
                warnings.remove(&violation.to_string());
            }
            is_refused
        });
        if retried_at.is_some() {
            self.due = now + self.pause;
            self.pause = (self.pause * 2).min(MAX_PAUSE);
            return Vec::new();
        }
        self.retried_at = Some(now);
        self.due = now + CHECK_TIME;
        let subscriptions = self.refused.iter().filter(|(violation, _)| !violation.is_publish);
        subscriptions.map(|(violation, _)| violation.subject.clone()).collect()
    }
}
