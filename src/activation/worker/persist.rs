//! Makes the new system the default at boot: the profile first, because the boot loader entries are made from it.

use super::{BOOT_LOADER_TIMEOUT, Worker};
use crate::activation::{JobFailure, JobResult};
use crate::nix::{Nix, NixError, Profile};
use crate::protocol::{Action, ErrorCode, PhaseName};
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// How long a reboot may take to start.
const REBOOT_TIMEOUT: Duration = Duration::from_mins(5);

impl Worker {
    /// Sets the profile and the boot loader, or rolls back.
    pub(super) async fn persist(&mut self) -> JobResult {
        match self.make_default().await {
            Ok(()) => Ok(self.completion_message()),
            Err(why) => Err(self.roll_back(JobFailure::new(ErrorCode::PersistFailed, why)).await),
        }
    }

    async fn make_default(&mut self) -> Result<(), String> {
        self.enter_phase(&PhaseName::Persist).map_err(|failure| failure.message)?;
        let system = &self.system().map_err(|failure| failure.message)?;
        let profile = Profile::new(&self.host.profile);
        let describe = |error: NixError| error.to_string();
        if self.host.profile_target().as_ref() != Some(system) {
            // Saved before the change, so that a worker that recovers checks the profile.
            self.record.profile_moved = true;
            let all = profile.generations().map_err(describe)?;
            self.record.newest_generation = all.last().map(|generation| generation.number);
            self.save().map_err(|failure| failure.message)?;
            let generation = self.record.report.generation;
            match generation.filter(|_| self.record.request.action == Action::Rollback) {
                Some(generation) => {
                    profile.switch_link(&profile.generation_link(generation)).map_err(describe)?;
                }
                None => drop(Nix::new().set_profile(&profile, Path::new(system)).await.map_err(describe)?),
            }
        }
        self.record.report.generation = profile.generation().map_err(describe)?;
        self.save().map_err(|failure| failure.message)?;
        let ended = self
            .switch_to(system, "boot", BOOT_LOADER_TIMEOUT)
            .await
            .map_err(|failure| failure.message)?
            .ended;
        if ended.is_success() {
            Ok(())
        } else {
            Err(format!("switch-to-configuration boot {}", ended.description))
        }
    }

    fn completion_message(&self) -> String {
        let action = &self.record.request.action;
        let generation =
            self.record.report.generation.map(|n| format!(", generation {n}")).unwrap_or_default();
        let old = self.record.previous.as_ref().and_then(|old| old.system.as_deref());
        let is_old = old.is_some() && old == self.record.report.system.as_deref();
        match action {
            // The system was running and the default already.
            Action::Switch if is_old && !self.record.profile_moved => {
                format!("switch done, this system was already running{generation}")
            }
            Action::Boot => format!("boot done{generation}; it runs after the next reboot"),
            action => format!("{action} done{generation}"),
        }
    }

    /// Reboots the host. The listener of the next boot sees its success in the new boot id.
    pub(super) async fn reboot(&mut self) -> JobResult {
        self.enter_phase(&PhaseName::Activate)?;
        self.log_line("requesting a reboot");
        self.systemd.reboot().await;
        self.wait_for_reboot().await
    }

    /// Waits for the end of this boot.
    pub(super) async fn wait_for_reboot(&mut self) -> JobResult {
        sleep(REBOOT_TIMEOUT).await;
        let message = format!("the host did not reboot within {} s", REBOOT_TIMEOUT.as_secs());
        Err(JobFailure::new(ErrorCode::ActivationFailed, message))
    }
}
