//! The proof of life: a listener that was started after the activation makes a fresh connection, or the host goes back.

use super::Program;
use crate::activation::Failure;
use crate::protocol::ErrorCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long to wait where the connection is refused: the network works, and the broker's own host may be in the same
/// deployment.
const BROKER_AWAY: Duration = Duration::from_mins(5);
/// How often the proof is looked for.
const LOOK: Duration = Duration::from_millis(100);

impl Program {
    /// Asks for the proof and waits for it.
    pub(super) async fn prove(&mut self) -> Result<(), Failure> {
        let limit = Duration::from_secs(self.orders.confirm_timeout_s);
        if limit.is_zero() {
            self.say("no proof is asked for, as the listener was told");
            return Ok(());
        }
        let renew = self.listener_to_renew();
        if renew.is_some() {
            // One that died meanwhile was started again with what it had before: it may not answer either.
            let starts = self.starts();
            self.record.orders.get_or_insert_with(|| self.orders.clone()).starts = starts;
        }
        let nonce = format!("{:016x}", fastrand::u64(..));
        self.record.nonce = Some(nonce.clone());
        self.save()?;
        if let Some(unit) = renew {
            self.say(&format!("restarting {unit}, so that it proves itself"));
            self.units.restart(&unit).await;
        }
        let begun = Instant::now();
        let mut said = "no listener has tried".to_owned();
        loop {
            let mut refused = false;
            if let Some(proof) = self.folder.proof().filter(|proof| proof.nonce == nonce) {
                if proof.proved {
                    self.say("the host proved that it can be reached");
                    return Ok(());
                }
                (refused, said) = (proof.refused, proof.said);
            }
            let waited = begun.elapsed();
            if is_given_up(waited, limit, refused) {
                let message = format!(
                    "the host did not prove within {} s that it can be reached: {said}",
                    waited.as_secs()
                );
                return Err(Failure::new(ErrorCode::VerificationFailed, message));
            }
            sleep(LOOK).await;
        }
    }

    /// The listener's unit where it is to be restarted, once: only what was started after the activation, and with all
    /// that the activation brought, proves anything about the next start.
    fn listener_to_renew(&self) -> Option<String> {
        let asked = self.record.nonce.is_some();
        let begun = self.record.orders.as_ref().map_or(self.orders.starts, |orders| orders.starts);
        let renewed = (self.listener_renewed || asked) && self.starts() > begun;
        self.orders.listener_unit.clone().filter(|_| !renewed)
    }
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
