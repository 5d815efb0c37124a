//! Verifies the host after an activation: its connection is confirmed, its health checks succeed, and no unit has newly
//! failed.

use super::Worker;
use super::command;
use super::unit_watch::{UnitStatus, UnitWatch};
use crate::activation::JobFailure;
use crate::protocol::ErrorCode;
use crate::unattended;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two checks.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// Verifies the host. With `no_rollback`, failed units and health checks are reported but do not fail the job.
    pub(super) async fn verify(&mut self) -> Result<(), JobFailure> {
        self.confirm_new_system().await?;
        let checked = match self.run_health_checks().await {
            Ok(()) => self.check_units().await,
            failed => failed,
        };
        match checked {
            Err(failure) if self.handover.no_rollback => {
                self.log_line(&format!("{}; not rolled back, as requested", failure.message));
                self.notes.push(failure.message);
            }
            checked => checked?,
        }
        self.confirm_again().await
    }

    /// Runs each health check until it succeeds, within one time limit for all.
    async fn run_health_checks(&self) -> Result<(), JobFailure> {
        let limit = Duration::from_secs(self.handover.health_timeout_s);
        let started_at = Instant::now();
        for check in &self.handover.health_checks {
            loop {
                let left = limit.saturating_sub(started_at.elapsed());
                let mut program = unattended::command("/bin/sh");
                program.args(["-c", check]);
                let ended = command::run(program, &self.job_dir.log(), &self.fallback_log(), left).await;
                let ended = ended.map_err(|error| super::log_failed(&error))?;
                if ended.is_success() {
                    break;
                }
                if started_at.elapsed() + POLL_INTERVAL >= limit {
                    let message = format!(
                        "the health check `{check}` did not succeed within {} s; the last run {}",
                        limit.as_secs(),
                        ended.description
                    );
                    return Err(JobFailure::new(ErrorCode::VerificationFailed, message));
                }
                sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Watches the units until they are stable, and fails if any has newly failed.
    async fn check_units(&mut self) -> Result<(), JobFailure> {
        if !self.host.has_systemd() {
            return Ok(());
        }
        let mut watch = UnitWatch::new(self, self.systemd.services().await);
        let failed = loop {
            let failed = self.systemd.failed_units().await;
            let inactive = self.systemd.inactive_units(watch.refused()).await;
            watch.update(failed, &inactive, &self.systemd.services().await, Instant::now());
            match watch.status(Instant::now()) {
                UnitStatus::NotYet => sleep(POLL_INTERVAL).await,
                UnitStatus::Failed(failed) => break failed,
                UnitStatus::Unknown => {
                    let message = "systemd did not report which units have failed";
                    return Err(JobFailure::new(ErrorCode::VerificationFailed, message));
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
        Err(JobFailure::new(ErrorCode::VerificationFailed, message))
    }
}
