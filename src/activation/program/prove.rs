//! The confirmation: a listener that was started after the activation makes a fresh connection, or the host rolls back.

use super::Program;
use crate::activation::Failure;
use crate::jobs::HealthRules;
use crate::protocol::ErrorCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long to wait where the connection is refused: the network works, and the broker's own host may be in the same
/// deployment.
const BROKER_AWAY: Duration = Duration::from_mins(5);
/// How often the proof is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Why a connection is not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unconfirmed {
    /// Whether the network works all the same: the NATS server refused the connection, or some of its subjects.
    pub(super) network_works: bool,
    /// In words.
    pub(super) why: String,
}

impl Program {
    /// Has the new system confirm its connection, and takes over the rules by which it is to be judged.
    pub(super) async fn prove(&mut self) -> Result<(), Failure> {
        if self.orders.confirm_timeout_s == 0 {
            self.say("no proof is asked for, as the listener was told; the checks are those of the old configuration");
            return Ok(());
        }
        if let Some(unit) = self.listener_to_renew() {
            // One that died meanwhile was started again with what it had before: it may not answer either.
            let starts = self.starts();
            self.record.orders.get_or_insert_with(|| self.orders.clone()).starts = starts;
            self.ask_for_confirmation()?;
            self.say(&format!("restarting {unit}, so that it proves itself"));
            self.units.restart(&unit).await;
        } else {
            self.ask_for_confirmation()?;
        }
        self.await_confirmation().await.map_err(unconfirmed)?;
        if let Some(rules) = self.folder.proof().and_then(|proof| proof.rules) {
            let HealthRules { health_checks, health_timeout_s, ignore_units } = rules;
            self.orders.health_checks = health_checks;
            self.orders.health_timeout_s = health_timeout_s;
            self.orders.ignore_units = ignore_units;
        }
        Ok(())
    }

    /// Confirms the connection once more before anything is kept: not at once if the activation touched what the connection
    /// depends on, because that may take effect seconds later.
    pub(super) async fn confirm_again(&mut self) -> Result<(), Failure> {
        if self.orders.confirm_timeout_s == 0 {
            return Ok(());
        }
        let hold = Duration::from_secs(self.orders.confirm_hold_s);
        if let Some(what) = self.touched.clone().filter(|_| !hold.is_zero()) {
            let left = hold.saturating_sub(self.activated_at.elapsed());
            self.say(&format!(
                "the activation touched {what}: its connection is confirmed again {} s after it",
                hold.as_secs()
            ));
            sleep(left).await;
        }
        self.confirm().await.map_err(unconfirmed)
    }

    /// Has the present system confirm its connection, by a listener that has been restarted already.
    pub(super) async fn confirm(&mut self) -> Result<(), Unconfirmed> {
        if self.orders.confirm_timeout_s == 0 {
            return Ok(());
        }
        if let Err(failure) = self.ask_for_confirmation() {
            return Err(Unconfirmed { network_works: false, why: failure.message });
        }
        self.await_confirmation().await
    }

    fn ask_for_confirmation(&mut self) -> Result<(), Failure> {
        self.record.nonce = Some(format!("{:016x}", fastrand::u64(..)));
        self.save()
    }

    /// Waits for the answer to what was last asked.
    async fn await_confirmation(&mut self) -> Result<(), Unconfirmed> {
        let limit = Duration::from_secs(self.orders.confirm_timeout_s);
        let nonce = self.record.nonce.clone().unwrap_or_default();
        let begun = Instant::now();
        let mut said = "no listener has tried".to_owned();
        loop {
            let (mut refused, mut connected) = (false, false);
            if let Some(proof) = self.folder.proof().filter(|proof| proof.nonce == nonce) {
                if proof.proved {
                    self.say("the host proved that it can be reached");
                    return Ok(());
                }
                (refused, connected, said) = (proof.refused, proof.connected, proof.said);
            }
            let waited = begun.elapsed();
            if is_given_up(waited, limit, refused) {
                let why = format!(
                    "the host did not prove within {} s that it can be reached: {said}",
                    waited.as_secs()
                );
                return Err(Unconfirmed { network_works: refused || connected, why });
            }
            sleep(LOOK).await;
        }
    }

    /// How often the service had started before the listener that may confirm.
    pub(super) fn begun_at_start(&self) -> u64 {
        self.record.orders.as_ref().map_or(self.orders.starts, |orders| orders.starts)
    }

    /// The listener's unit where it is to be restarted, once: only what was started after the activation, and with all
    /// that the activation brought, proves anything about the next start.
    fn listener_to_renew(&self) -> Option<String> {
        let asked = self.record.nonce.is_some();
        let renewed = (self.listener_renewed || asked) && self.starts() > self.begun_at_start();
        self.orders.listener_unit.clone().filter(|_| !renewed)
    }
}

fn unconfirmed(why: Unconfirmed) -> Failure {
    Failure::new(ErrorCode::VerificationFailed, why.why)
}

/// Whether no proof comes any more.
fn is_given_up(waited: Duration, limit: Duration, refused: bool) -> bool {
    waited >= if refused { BROKER_AWAY.max(limit) } else { limit }
}

#[cfg(test)]
mod tests {
    use super::is_given_up;
    use std::time::Duration;

    #[test]
    fn a_broker_that_refuses_is_waited_for_longer() {
        for (waited, limit, refused, expected) in [
            (59, 60, false, false),
            (60, 60, false, true),
            (60, 60, true, false),
            (299, 60, true, false),
            (300, 60, true, true),
            (300, 900, true, false),
            (900, 900, true, true),
            (300, 900, false, false),
        ] {
            let seconds = Duration::from_secs;
            assert_eq!(
                is_given_up(seconds(waited), seconds(limit), refused),
                expected,
                "{waited} {limit} {refused}"
            );
        }
    }
}
