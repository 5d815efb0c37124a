//! Runs a closure's own `switch-to-configuration` and watches what it waits for.

use super::child::{self, Ended};
use super::output::SwitchOutput;
use super::{Program, log_failed};
use crate::activation::Failure;
use crate::unattended;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long it may run before the report says what it waits for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often systemd is asked for that.
const ASK: Duration = Duration::from_secs(5);
/// How long the service manager of a user may take: `switch-to-configuration` waits for it without a limit, while the
/// services of the host are stopped.
const USER_PATIENCE: Duration = Duration::from_mins(1);

/// How a run of `switch-to-configuration` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Switched {
    /// The exit code.
    pub(super) ended: Ended,
    /// What it printed.
    pub(super) output: SwitchOutput,
}

impl Program {
    /// Runs it for at most `limit`. A rollback skips the closure's own checks: they may fail because of what the
    /// rollback is to undo.
    pub(super) async fn switch_to(
        &mut self,
        system: &str,
        action: &str,
        limit: Duration,
    ) -> Result<Switched, Failure> {
        let mut command = unattended::command(Path::new(system).join("bin/switch-to-configuration"));
        command.arg(action);
        if self.is_rolling_back() {
            command.env("NIXOS_NO_CHECK", "1");
        }
        let failed = |error| log_failed(&error);
        let mut child = match child::start(command, &self.folder.log(), &self.other_log()).map_err(failed)? {
            Ok(child) => child,
            Err(ended) => return Ok(Switched { ended, output: SwitchOutput::default() }),
        };
        let mut user_since = None;
        let mut ask_at = PATIENCE;
        let message = self.record.report.message.clone();
        let ended = loop {
            let left = limit.saturating_sub(child.age());
            if let Some(ended) = child.wait(LOOK.min(left)).await.map_err(failed)? {
                break ended;
            }
            let is_late = child.age() >= limit;
            if is_late || child.age() >= ask_at {
                ask_at = child.age() + ASK;
                let jobs = self.units.running_jobs().await.join(", ");
                if is_late {
                    let jobs = if jobs.is_empty() { jobs } else { format!("; systemd waited for {jobs}") };
                    break child.end(child::too_long(limit) + &jobs).await.map_err(failed)?;
                }
                self.say_in_report(&message, &jobs);
            }
            let Some(user) = &child.printed.waits_for_user else {
                user_since = None;
                continue;
            };
            if user_since.get_or_insert_with(Instant::now).elapsed() >= USER_PATIENCE {
                let how = format!(
                    "was ended because the service manager of user {user} did not answer for {} s",
                    USER_PATIENCE.as_secs()
                );
                break child.end(how).await.map_err(failed)?;
            }
        };
        self.say_in_report(&message, "");
        Ok(Switched { ended, output: child.printed })
    }

    /// Adds to the report's message what is waited for. Only a change is written: the record is synced each time. During
    /// a rollback the message is the reason for it and stays.
    fn say_in_report(&mut self, message: &str, jobs: &str) {
        let text = if jobs.is_empty() || self.is_rolling_back() {
            message.to_owned()
        } else {
            format!("{message}: systemd waits for {jobs}")
        };
        if text != self.record.report.message {
            self.record.report.message = text;
            // It is news, not a step: going on matters more.
            let _ = self.folder.save_anywhere(&self.record);
        }
    }
}
