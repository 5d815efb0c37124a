//! Making the new system the one that boots: the profile first, for the boot loader is made from it.

use super::{BOOT_LOADER, Program};
use crate::activation::{Failure, Outcome};
use crate::nix::{Nix, NixError, Profile};
use crate::protocol::{Action, ErrorCode, PhaseName};
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// How long a reboot may take to begin.
const REBOOT: Duration = Duration::from_mins(5);

impl Program {
    /// Sets the profile and the boot loader, or goes back.
    pub(super) async fn persist(&mut self) -> Outcome {
        match self.make_default().await {
            Ok(()) => Ok(self.done()),
            Err(why) => Err(self.go_back(Failure::new(ErrorCode::PersistFailed, why)).await),
        }
    }

    async fn make_default(&mut self) -> Result<(), String> {
        self.enter(&PhaseName::Persist).map_err(|failure| failure.message)?;
        let system = &self.system().map_err(|failure| failure.message)?;
        let profile = Profile::new(&self.host.profile);
        let said = |error: NixError| error.to_string();
        if self.host.profile_target().as_ref() != Some(system) {
            // Before it is done, so that whoever comes after looks.
            self.record.profile_moved = true;
            let all = profile.generations().map_err(said)?;
            self.record.newest_generation = all.last().map(|generation| generation.number);
            self.save().map_err(|failure| failure.message)?;
            let generation = self.record.report.generation;
            match generation.filter(|_| self.record.request.action == Action::Rollback) {
                Some(generation) => profile.switch_link(&profile.link_of(generation)).map_err(said)?,
                None => drop(Nix::new().set(&profile, Path::new(system)).await.map_err(said)?),
            }
        }
        self.record.report.generation = profile.generation().map_err(said)?;
        self.save().map_err(|failure| failure.message)?;
        let ended =
            self.switch_to(system, "boot", BOOT_LOADER).await.map_err(|failure| failure.message)?.ended;
        if ended.is_success() { Ok(()) } else { Err(format!("switch-to-configuration boot {}", ended.how)) }
    }

    fn done(&self) -> String {
        let action = &self.record.request.action;
        let generation =
            self.record.report.generation.map(|n| format!(", generation {n}")).unwrap_or_default();
        let old = self.record.old.as_ref().and_then(|old| old.system.as_deref());
        let is_old = old.is_some() && old == self.record.report.system.as_deref();
        match action {
            // It was the running system and the default before.
            Action::Switch if is_old && !self.record.profile_moved => {
                format!("switch done, this system ran already{generation}")
            }
            Action::Boot => format!("boot done{generation}; it runs after the next reboot"),
            action => format!("{action} done{generation}"),
        }
    }

    /// Reboots the host. That it has is seen by the boot id when the listener is back.
    pub(super) async fn reboot(&mut self) -> Outcome {
        self.enter(&PhaseName::Activate)?;
        self.say("asking for a reboot");
        self.units.reboot().await;
        self.await_reboot().await
    }

    /// Waits for the end of this boot.
    pub(super) async fn await_reboot(&mut self) -> Outcome {
        sleep(REBOOT).await;
        let message = format!("the host did not reboot within {} s of being asked to", REBOOT.as_secs());
        Err(Failure::new(ErrorCode::ActivationFailed, message))
    }
}
