//! Runs a closure's own `switch-to-configuration` and watches what it waits for.

use super::command::{self, CommandExit};
use super::switch_output::SwitchOutput;
use super::{Worker, log_failed};
use crate::activation::JobFailure;
use crate::unattended;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How often the program is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long it may run before the report shows what it waits for.
const REPORT_AFTER: Duration = Duration::from_secs(10);
/// How often the running jobs of systemd are queried.
const QUERY_INTERVAL: Duration = Duration::from_secs(5);
/// How long the service manager of a user may take. `switch-to-configuration` waits for it without a limit, while
/// services of the host are stopped.
const USER_TIMEOUT: Duration = Duration::from_mins(1);

/// The result of a run of `switch-to-configuration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SwitchResult {
    /// How the program ended.
    pub(super) ended: CommandExit,
    /// Its parsed output.
    pub(super) output: SwitchOutput,
}

impl Worker {
    /// Runs it for at most `limit`. A rollback skips the closure's own checks, because they may fail due to the state
    /// that the rollback restores.
    pub(super) async fn switch_to(
        &mut self,
        system: &str,
        action: &str,
        limit: Duration,
    ) -> Result<SwitchResult, JobFailure> {
        let mut program = unattended::command(Path::new(system).join("bin/switch-to-configuration"));
        program.arg(action);
        if self.is_rolling_back() {
            program.env("NIXOS_NO_CHECK", "1");
        }
        let failed = |error| log_failed(&error);
        let mut child =
            match command::start(program, &self.job_dir.log(), &self.fallback_log()).map_err(failed)? {
                Ok(child) => child,
                Err(ended) => return Ok(SwitchResult { ended, output: SwitchOutput::default() }),
            };
        let mut user_since = None;
        let mut query_at = REPORT_AFTER;
        let message = self.record.report.message.clone();
        let ended = loop {
            let left = limit.saturating_sub(child.age());
            if let Some(ended) = child.wait(POLL_INTERVAL.min(left)).await.map_err(failed)? {
                break ended;
            }
            let is_late = child.age() >= limit;
            if is_late || child.age() >= query_at {
                query_at = child.age() + QUERY_INTERVAL;
                let jobs = self.systemd.running_jobs().await.join(", ");
                if is_late {
                    let jobs = if jobs.is_empty() { jobs } else { format!("; systemd waited for {jobs}") };
                    break child.end(command::timeout_description(limit) + &jobs).await.map_err(failed)?;
                }
                self.report_waiting(&message, &jobs);
            }
            let Some(user) = &child.printed.waits_for_user else {
                user_since = None;
                continue;
            };
            if user_since.get_or_insert_with(Instant::now).elapsed() >= USER_TIMEOUT {
                let how = format!(
                    "was ended because the service manager of user {user} did not answer for {} s",
                    USER_TIMEOUT.as_secs()
                );
                break child.end(how).await.map_err(failed)?;
            }
        };
        self.report_waiting(&message, "");
        Ok(SwitchResult { ended, output: child.printed })
    }

    /// Adds what systemd waits for to the report's message. Writes changes only, because each write syncs the record.
    /// The message of a rollback is its reason and is not replaced.
    fn report_waiting(&mut self, message: &str, jobs: &str) {
        let text = if jobs.is_empty() || self.is_rolling_back() {
            message.to_owned()
        } else {
            format!("{message}: systemd waits for {jobs}")
        };
        if text != self.record.report.message {
            self.record.report.message = text;
            // The message is informative only, so errors are ignored.
            let _ = self.job_dir.save_with_fallback(&self.record);
        }
    }
}
