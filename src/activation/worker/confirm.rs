//! The confirmation: a listener that was started after the activation establishes a new connection; otherwise the host
//! rolls back.

use super::Worker;
use crate::activation::JobFailure;
use crate::jobs::HealthRules;
use crate::protocol::ErrorCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long to wait if the NATS server refuses the connection. The network works then, and the server's own host may be
/// part of the same deployment.
const SERVER_DOWN_TIMEOUT: Duration = Duration::from_mins(5);
/// How often the answer of the listener is read.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The reason why a connection is not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unconfirmed {
    /// Whether the network works nevertheless: the NATS server refused the connection or some of its subjects.
    pub(super) network_works: bool,
    /// The reason as a sentence.
    pub(super) why: String,
}

impl Worker {
    /// Requests a confirmation from the new system, and takes over its rules for health checks.
    pub(super) async fn confirm_new_system(&mut self) -> Result<(), JobFailure> {
        if self.handover.confirm_timeout_s == 0 {
            self.log_line("confirmation is disabled; the health checks are those of the old configuration");
            return Ok(());
        }
        if let Some(unit) = self.listener_to_restart() {
            // A listener that died since then was restarted with its old credentials and may not connect either.
            let starts = self.starts();
            self.record.handover.get_or_insert_with(|| self.handover.clone()).starts = starts;
            self.request_confirmation()?;
            self.log_line(&format!("restarting {unit} to confirm its connection"));
            self.systemd.restart(&unit).await;
        } else {
            self.request_confirmation()?;
        }
        self.wait_for_confirmation().await.map_err(unconfirmed)?;
        if let Some(rules) = self.job_dir.confirmation().and_then(|confirmation| confirmation.rules) {
            let HealthRules { health_checks, health_timeout_s, ignore_units } = rules;
            self.handover.health_checks = health_checks;
            self.handover.health_timeout_s = health_timeout_s;
            self.handover.ignore_units = ignore_units;
        }
        Ok(())
    }

    /// Requests a second confirmation before the new system is made persistent. If the activation touched a connection
    /// dependency, it waits before, because the effect may come seconds later.
    pub(super) async fn confirm_again(&mut self) -> Result<(), JobFailure> {
        if self.handover.confirm_timeout_s == 0 {
            return Ok(());
        }
        let hold = Duration::from_secs(self.handover.confirm_hold_s);
        if let Some(what) = self.changed_dependency.clone().filter(|_| !hold.is_zero()) {
            let left = hold.saturating_sub(self.activated_at.elapsed());
            self.log_line(&format!(
                "the activation touched {what}: the connection is confirmed again {} s after it",
                hold.as_secs()
            ));
            sleep(left).await;
        }
        self.confirm().await.map_err(unconfirmed)
    }

    /// Requests a confirmation from the running system, whose listener was restarted already.
    pub(super) async fn confirm(&mut self) -> Result<(), Unconfirmed> {
        if self.handover.confirm_timeout_s == 0 {
            return Ok(());
        }
        if let Err(failure) = self.request_confirmation() {
            return Err(Unconfirmed { network_works: false, why: failure.message });
        }
        self.wait_for_confirmation().await
    }

    fn request_confirmation(&mut self) -> Result<(), JobFailure> {
        self.record.nonce = Some(format!("{:016x}", fastrand::u64(..)));
        self.save()
    }

    /// Waits for the answer to the last request.
    async fn wait_for_confirmation(&mut self) -> Result<(), Unconfirmed> {
        let limit = Duration::from_secs(self.handover.confirm_timeout_s);
        let nonce = self.record.nonce.clone().unwrap_or_default();
        let started_at = Instant::now();
        let mut refused_at = started_at;
        let mut detail = "no listener tried to connect".to_owned();
        loop {
            let (mut refused, mut connected) = (false, false);
            if let Some(confirmation) =
                self.job_dir.confirmation().filter(|confirmation| confirmation.nonce == nonce)
            {
                if confirmation.confirmed {
                    self.log_line("connection confirmed");
                    return Ok(());
                }
                (refused, connected, detail) =
                    (confirmation.refused, confirmation.connected, confirmation.reason);
            }
            if refused {
                refused_at = Instant::now();
            }
            let waited = started_at.elapsed();
            if is_timed_out(waited, refused_at.elapsed(), limit) {
                let why = format!("the connection was not confirmed within {} s: {detail}", waited.as_secs());
                return Err(Unconfirmed { network_works: refused || connected, why });
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// How many times the service had started before the start of the listener that may confirm.
    pub(super) fn starts_before(&self) -> u64 {
        self.record.handover.as_ref().map_or(self.handover.starts, |handover| handover.starts)
    }

    /// Returns the listener's unit if it must be restarted. It is restarted once, because only a listener that was
    /// started after the activation shows that the next start works.
    fn listener_to_restart(&self) -> Option<String> {
        let is_requested = self.record.nonce.is_some();
        let was_restarted = (self.listener_renewed || is_requested) && self.starts() > self.starts_before();
        self.handover.listener_unit.clone().filter(|_| !was_restarted)
    }
}

fn unconfirmed(why: Unconfirmed) -> JobFailure {
    JobFailure::new(ErrorCode::VerificationFailed, why.why)
}

/// Whether the time for a confirmation is over. `since_refusal` is the time since the server last refused the connection:
/// a server that has just started again may not answer the first attempts.
fn is_timed_out(waited: Duration, since_refusal: Duration, limit: Duration) -> bool {
    since_refusal >= limit || waited >= SERVER_DOWN_TIMEOUT.max(limit)
}

#[cfg(test)]
mod tests {
    use super::is_timed_out;
    use std::time::Duration;

    #[test]
    fn refusing_server_has_a_longer_timeout() {
        for (waited, since_refusal, limit, expected) in [
            (59, 59, 60, false),
            (60, 60, 60, true),
            (60, 0, 60, false),
            (90, 59, 60, false),
            (90, 60, 60, true),
            (299, 0, 60, false),
            (300, 0, 60, true),
            (300, 0, 900, false),
            (900, 0, 900, true),
            (300, 300, 900, false),
        ] {
            let seconds = Duration::from_secs;
            assert_eq!(
                is_timed_out(seconds(waited), seconds(since_refusal), seconds(limit)),
                expected,
                "{waited} {since_refusal} {limit}"
            );
        }
    }
}
