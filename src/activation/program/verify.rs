//! Whether the host is well after an activation: it proves that it can be reached, its checks succeed, and nothing has newly
//! failed.

use super::Program;
use crate::activation::Failure;
use crate::protocol::ErrorCode;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use wildmatch::WildMatch;

/// How long the failed units must stay the same.
const SETTLED: Duration = Duration::from_secs(5);
/// How long settling may take: a unit that flaps must not hold a verdict up for ever.
const SETTLING: Duration = Duration::from_mins(1);
/// How many restarts after a failure count as one that lasts.
const FLAPS: u64 = 2;
/// The pause between two looks.
const LOOK: Duration = Duration::from_secs(1);

impl Program {
    /// Verifies, or gives what is wrong. With `keep` failed units and checks are told and let be.
    pub(super) async fn verify(&mut self) -> Result<(), Failure> {
        self.prove().await?;
        let checked = match self.health().await {
            Ok(()) => self.units_are_well().await,
            failed => failed,
        };
        match checked {
            Err(failure) if self.orders.keep => {
                self.say(&format!("{}; left as it is, as was asked for", failure.message));
                self.record.report.message = failure.message;
                Ok(())
            }
            checked => checked,
        }
    }

    /// Runs each health check until it succeeds, all of them within their time.
    async fn health(&self) -> Result<(), Failure> {
        let limit = Duration::from_secs(self.orders.health_timeout_s);
        let begun = Instant::now();
        for check in &self.orders.health_checks {
            loop {
                let left = limit.saturating_sub(begun.elapsed());
                let mut command = Command::new("/bin/sh");
                command.args(["-c", check]);
                let ended = super::child::run(command, &self.folder.log(), left).await;
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

    /// Looks until the failed units stay the same, then compares them with those before.
    async fn units_are_well(&mut self) -> Result<(), Failure> {
        if !self.host.has_systemd() {
            return Ok(());
        }
        let begun = Instant::now();
        let mut settled = Instant::now();
        // Nothing as long as systemd does not tell.
        let mut failed = None;
        let restarts = self.units.restarts().await;
        loop {
            let mut now = self.units.failed().await;
            // Once is bad luck, twice is a failure.
            let flaps = |unit: &String, count: u64| count >= restarts.get(unit).copied().unwrap_or(0) + FLAPS;
            let flapping =
                self.units.restarts().await.into_iter().filter(|(unit, count)| flaps(unit, *count));
            if let Some(now) = &mut now {
                now.extend(flapping.map(|(unit, _)| unit));
            }
            if now != failed {
                (failed, settled) = (now, Instant::now());
            }
            if (settled.elapsed() >= SETTLED && failed.is_some()) || begun.elapsed() >= SETTLING {
                break;
            }
            sleep(LOOK).await;
        }
        let Some(failed) = failed else {
            let message = "systemd does not tell which units have failed";
            return Err(Failure::new(ErrorCode::VerificationFailed, message));
        };
        let before = self.record.old.as_ref().map(|old| old.failed_units.as_slice()).unwrap_or_default();
        let ignored = |unit: &String| {
            self.orders.ignore_units.iter().any(|pattern| WildMatch::new(pattern).matches(unit))
        };
        let new: Vec<String> =
            failed.into_iter().filter(|unit| !before.contains(unit) && !ignored(unit)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{} newly failed: {}",
            if new.len() == 1 { "a unit has" } else { "units have" },
            new.join(", ")
        );
        self.record.report.failed_units = new;
        Err(Failure::new(ErrorCode::VerificationFailed, message))
    }
}
