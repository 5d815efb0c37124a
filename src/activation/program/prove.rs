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
        let nonce = format!("{:016x}", fastrand::u64(..));
        self.record.nonce = Some(nonce.clone());
        self.save()?;
        self.renew_listener().await;
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
            if waited >= BROKER_AWAY.max(limit) || (waited >= limit && !refused) {
                let message = format!(
                    "the host did not prove within {} s that it can be reached: {said}",
                    waited.as_secs()
                );
                return Err(Failure::new(ErrorCode::VerificationFailed, message));
            }
            sleep(LOOK).await;
        }
    }

    /// Restarts the listener once, unless the activation did: only what was started afterwards proves anything about the next
    /// start. Where no service manager runs it, the present one answers.
    async fn renew_listener(&self) {
        let Some(unit) = &self.orders.listener_unit else { return };
        let before = self.record.orders.as_ref().map_or(self.orders.starts, |orders| orders.starts);
        if self.starts() == before {
            self.say(&format!("restarting {unit}, so that it proves itself"));
            self.units.restart(unit).await;
        }
    }
}
