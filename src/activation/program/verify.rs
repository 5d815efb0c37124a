//! Whether the host is well after an activation: its connection is confirmed, its checks succeed, and nothing has newly
//! failed.

use super::Program;
use super::child;
use super::unit_watch::Settled;
use crate::activation::Failure;
use crate::protocol::ErrorCode;
use crate::unattended;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two looks.
const LOOK: Duration = Duration::from_secs(1);

impl Program {
    /// Verifies, or gives what is wrong. With `keep` failed units and checks are reported and left as they are.
    pub(super) async fn verify(&mut self) -> Result<(), Failure> {
        self.prove().await?;
        let checked = match self.health().await {
            Ok(()) => self.units_are_well().await,
            failed => failed,
        };
        match checked {
            Err(failure) if self.orders.keep => {
                self.say(&format!("{}; left as it is, as was asked for", failure.message));
                self.notes.push(failure.message);
            }
            checked => checked?,
        }
        self.confirm_again().await
    }

    /// Runs each health check until it succeeds, all of them within their time.
    async fn health(&self) -> Result<(), Failure> {
        let limit = Duration::from_secs(self.orders.health_timeout_s);
        let begun = Instant::now();
        for check in &self.orders.health_checks {
            loop {
                let left = limit.saturating_sub(begun.elapsed());
                let mut command = unattended::command("/bin/sh");
                command.args(["-c", check]);
                let ended = child::run(command, &self.folder.log(), &self.other_log(), left).await;
                let ended = ended.map_err(|error| super::log_failed(&error))?;
                if ended.is_success() {
                    break;
                }
                if begun.elapsed() + LOOK >= limit {
                    let message = format!(
                        "the health check `{check}` did not succeed within {} s; it last {}",
                        limit.as_secs(),
                        ended.how
                    );
                    return Err(Failure::new(ErrorCode::VerificationFailed, message));
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Watches the units until they stay the same, then compares them with those before.
    async fn units_are_well(&mut self) -> Result<(), Failure> {
        if !self.host.has_systemd() {
            return Ok(());
        }
        let mut watch = self.unit_watch(self.units.services().await);
        let failed = loop {
            let failed = self.units.failed().await;
            let inactive = self.units.inactive(watch.refused()).await;
            watch.look(failed, &inactive, &self.units.services().await, Instant::now());
            match watch.settled(Instant::now()) {
                Settled::NotYet => sleep(LOOK).await,
                Settled::Failed(failed) => break failed,
                Settled::Unknown => {
                    let message = "systemd does not tell which units have failed";
                    return Err(Failure::new(ErrorCode::VerificationFailed, message));
                }
            }
        };
        if failed.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{} started failing: {}",
            if failed.len() == 1 { "a unit" } else { "units" },
            failed.join(", ")
        );
        self.record.report.failed_units = failed;
        Err(Failure::new(ErrorCode::VerificationFailed, message))
    }
}
