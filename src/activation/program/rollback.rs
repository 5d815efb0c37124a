//! Going back to what ran before: the recorded closure with its own program, and the profile link if this job moved it.

use super::child::Ended;
use super::verdict::{Activated, judge};
use super::{Program, ROLLBACK};
use crate::activation::Failure;
use crate::nix::{Nix, Profile};
use crate::protocol::{ErrorCode, PhaseName};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause before trying again while another activation holds its lock.
const BUSY: Duration = Duration::from_secs(2);

impl Program {
    /// Goes back and gives the failure with what became of that.
    pub(super) async fn go_back(&mut self, mut failure: Failure) -> Failure {
        self.say(&format!("going back: {}", failure.message));
        self.record.report.error = Some(failure.code.clone());
        // Where even this cannot be written down, going back matters more than saying so.
        let _ = self.enter(&PhaseName::Rollback);
        failure.message.clone_into(&mut self.record.report.message);
        let _ = self.save();
        match self.restore().await {
            Ok(()) => {
                failure.rolled_back = Some(true);
                failure.message = format!("{}; back on what ran before", failure.message);
            }
            Err(why) => {
                failure.rolled_back = Some(false);
                failure.code = ErrorCode::RollbackFailed;
                failure.message =
                    format!("{}; going back failed: {why}; look at the host now", failure.message);
            }
        }
        if let Some(unit) = &self.orders.listener_unit {
            // Whatever was activated may have stopped it, or left it running with a key or a name of the new system's, also
            // where it was started anew on the way back: then nobody would ever hear of this.
            self.units.restart_at_once(unit).await;
        }
        failure
    }

    async fn restore(&mut self) -> Result<(), String> {
        let old = self.record.old.clone().ok_or("what ran before was not written down")?;
        // What runs comes first: a profile that cannot be restored must not keep the host where it cannot be reached.
        let profile = if self.record.profile_moved {
            self.restore_profile(old.profile_link.as_deref()).await
        } else {
            Ok(())
        };
        let system = old.system.ok_or("no system ran before")?;
        let ended = self.test_patiently(&system).await?;
        match ended.code {
            // Units may fail in the old system as they did before.
            Some(0 | 4) => {}
            _ => return Err(format!("switch-to-configuration of {system} {}", ended.how)),
        }
        profile?;
        if self.record.profile_moved {
            let boot = self.switch_to(&system, "boot", ROLLBACK).await.map_err(|failure| failure.message)?;
            if !boot.is_success() {
                return Err(format!("switch-to-configuration boot of {system} {}", boot.how));
            }
        }
        Ok(())
    }

    /// Activates the old system, always, also where it seems to run: units may have been stopped. Waits for an activation
    /// that outlived whoever began it.
    async fn test_patiently(&self, system: &str) -> Result<Ended, String> {
        let begun = Instant::now();
        loop {
            let ended = self.switch_to(system, "test", ROLLBACK).await.map_err(|failure| failure.message)?;
            if judge(&ended) != Activated::Busy || begun.elapsed() > ROLLBACK {
                return Ok(ended);
            }
            sleep(BUSY).await;
        }
    }

    /// Points the profile at the generation it had, and deletes the one that this job made.
    async fn restore_profile(&mut self, link: Option<&str>) -> Result<(), String> {
        let link = link.ok_or("the profile had no generation before")?;
        let profile = Profile::new(&self.host.profile);
        let made = profile.generation().map_err(|error| error.to_string())?;
        if self.host.profile_link().as_deref() == Some(link) {
            return Ok(());
        }
        profile.switch_link(Path::new(link)).map_err(|error| error.to_string())?;
        if let Some(made) = made.filter(|made| self.record.generation_made == Some(*made)) {
            // A generation too many does no harm; the profile is right.
            if let Err(error) = Nix::new().delete_generation(&profile, made).await {
                self.say(&format!("generation {made} is left: {error}"));
            }
        }
        Ok(())
    }
}
