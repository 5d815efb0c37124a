//! The rollback: activates the recorded closure with its own program, and restores the profile and the boot loader if
//! this job changed them. It is retried until the previous system runs and its connection is confirmed.

use super::confirm::Unconfirmed;
use super::switch::SwitchResult;
use super::{ROLLBACK_TIMEOUT, Worker};
use crate::activation::JobFailure;
use crate::nix::{Nix, Profile};
use crate::protocol::{ErrorCode, PhaseName};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between attempts while another activation holds the lock.
const BUSY_RETRY: Duration = Duration::from_secs(2);
/// The pauses between attempts, in sixteenths of the confirmation timeout. After the last attempt, the last resort
/// follows.
const PAUSES: [u32; 4] = [1, 2, 4, 8];
/// How long a disconnected host waits on its previous system before it is rebooted, in multiples of the confirmation
/// timeout. The wait is long because the fault may be elsewhere.
const DISCONNECTED_FACTOR: u32 = 10;
/// The confirmation timeout if confirmation is disabled.
const DEFAULT_CONFIRM_TIMEOUT: Duration = Duration::from_mins(1);
/// How long each way to reboot may take before a more forceful one follows.
const REBOOT_TIMEOUTS: [Duration; 3] =
    [Duration::from_mins(2), Duration::from_secs(30), Duration::from_mins(1)];

/// The result of one attempt.
enum RollbackAttempt {
    /// The previous system runs and is connected.
    Restored,
    /// The previous system runs, and the network works, but the NATS server refuses the connection or some of its
    /// subjects.
    Refused(String),
    /// The previous system runs, but its connection is not confirmed.
    Disconnected(String),
    /// The previous system does not run.
    Failed(String),
}

impl Worker {
    /// Rolls back, and returns the failure with the result of the rollback.
    pub(super) async fn roll_back(&mut self, mut failure: JobFailure) -> JobFailure {
        self.log_line(&format!("rolling back: {}", failure.message));
        self.record.report.error = Some(failure.code.clone());
        // The rest of the job may need this disk space.
        self.job_dir.release_reserve();
        // If the record cannot be saved, the rollback is more important than the record.
        let _ = self.enter_phase(&PhaseName::Rollback);
        failure.message.clone_into(&mut self.record.report.message);
        let _ = self.save();
        let result = if self.was_activated() {
            self.restore_system().await
        } else {
            self.restore_boot_default().await
        };
        // The rollback has deleted the generation of this job, if it made one.
        let profile = Profile::new(&self.host.profile);
        self.record.report.generation = profile.generation().ok().flatten().or(self.record.report.generation);
        let mut notes = String::new();
        for note in std::mem::take(&mut self.notes) {
            notes.push_str("; ");
            notes.push_str(&note);
        }
        match result {
            Ok(()) => {
                failure.rolled_back = Some(true);
                failure.message = format!("{}; rolled back to the previous system{notes}", failure.message);
            }
            Err(why) => {
                failure.rolled_back = Some(false);
                failure.code = ErrorCode::RollbackFailed;
                failure.message =
                    format!("{}; rollback failed: {why}{notes}; check the host now", failure.message);
            }
        }
        failure
    }

    /// Restores the default of the next boot, if nothing else was changed.
    async fn restore_boot_default(&mut self) -> Result<(), String> {
        self.restore_profile().await?;
        self.restore_boot_loader().await
    }

    async fn restore_system(&mut self) -> Result<(), String> {
        let old = self.record.previous.clone().ok_or("the previous system was not recorded")?;
        let system = old.system.ok_or("the previous system is unknown")?;
        let started_at = Instant::now();
        let unit = Duration::from_secs(self.handover.confirm_timeout_s);
        let unit = if unit.is_zero() { DEFAULT_CONFIRM_TIMEOUT } else { unit };
        let mut pauses = PAUSES.into_iter();
        let why = loop {
            // The running system comes first: a profile that cannot be restored must not leave the host on an
            // unreachable system.
            let profile = self.restore_profile().await;
            let attempt = self.attempt(&system).await;
            let boot = match profile {
                Ok(()) => self.restore_boot_loader().await,
                failed => failed,
            };
            let (why, limit) = match attempt {
                RollbackAttempt::Restored => return boot,
                RollbackAttempt::Refused(why) => {
                    self.notes.push(format!("the connection is not confirmed: {why}"));
                    return boot;
                }
                RollbackAttempt::Disconnected(why) => (why, unit * DISCONNECTED_FACTOR),
                RollbackAttempt::Failed(why) => (why, Duration::ZERO),
            };
            self.log_line(&format!("rollback has not succeeded yet: {why}"));
            let pause = pauses.next();
            if pause.is_none() && started_at.elapsed() >= limit {
                break why;
            }
            sleep(unit * pause.unwrap_or(PAUSES[PAUSES.len() - 1]) / 16).await;
        };
        self.reboot_to_old_system(&why).await
    }

    /// Activates the previous system once, even if it seems to run, because units may have been stopped.
    async fn attempt(&mut self, system: &str) -> RollbackAttempt {
        let switched = match self.test_with_retries(system).await {
            Ok(switched) => switched,
            Err(why) => return RollbackAttempt::Failed(why),
        };
        let how = format!("switch-to-configuration of {system} {}", switched.ended.description);
        let clean = matches!(switched.ended.code, Some(0 | 4)) && !switched.output.script_failed;
        if !clean {
            self.start_leftover_units().await;
            // These snippets may fail on each activation of this system, and then do not count against the next one.
            self.save_failed_snippets(system, &switched.output.failed_snippets);
        }
        if self.host.current_system().as_deref() != Some(system) {
            let why = switched.output.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            return RollbackAttempt::Failed(format!("{how}{why}"));
        }
        let confirmed = self.confirm_old_system().await;
        let is_connected = confirmed.as_ref().err().is_none_or(|unconfirmed| unconfirmed.network_works);
        if !clean && is_connected {
            let parts = &switched.output.failed_snippets;
            let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
            self.notes
                .push(format!("the activation of the previous system {}{parts}", switched.ended.description));
        }
        match confirmed {
            Ok(()) => RollbackAttempt::Restored,
            Err(Unconfirmed { network_works: true, why }) => RollbackAttempt::Refused(why),
            Err(Unconfirmed { network_works: false, why }) => RollbackAttempt::Disconnected(why),
        }
    }

    /// Activates the previous system; waits while an activation that outlived its caller holds the lock.
    async fn test_with_retries(&mut self, system: &str) -> Result<SwitchResult, String> {
        let started_at = Instant::now();
        loop {
            let switched =
                self.switch_to(system, "test", ROLLBACK_TIMEOUT).await.map_err(|failure| failure.message)?;
            if !switched.output.lock_held || started_at.elapsed() > ROLLBACK_TIMEOUT {
                return Ok(switched);
            }
            sleep(BUSY_RETRY).await;
        }
    }

    /// Starts the units that an interrupted activation had stopped. Their names are in its lists until they are
    /// started.
    async fn start_leftover_units(&mut self) {
        for (verb, done, list) in
            [("start", "started", "start-list"), ("restart", "restarted", "restart-list")]
        {
            let file = self.host.root.join("run/nixos").join(list);
            let text = fs::read_to_string(file).unwrap_or_default();
            let mut units: Vec<String> = Vec::new();
            for unit in text.lines().filter(|unit| !unit.is_empty()) {
                if !units.iter().any(|known| known == unit) {
                    units.push(unit.to_owned());
                }
            }
            if !units.is_empty() {
                let note = format!("{done} the units of an interrupted activation: {}", units.join(", "));
                self.log_line(&note);
                self.systemd.enqueue(verb, &units).await;
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
    }

    /// Requests a confirmation from the previous system if the new one had to confirm. The activation may have stopped
    /// the listener, or left it running with a credential or name of the new system, so the listener is restarted once.
    async fn confirm_old_system(&mut self) -> Result<(), Unconfirmed> {
        if let Some(unit) = self.handover.listener_unit.clone()
            // A worker that died may have recorded the restart without doing it.
            && !(self.record.listener_restarted && self.starts() > self.starts_before())
        {
            self.record.listener_restarted = true;
            self.record.handover.get_or_insert_with(|| self.handover.clone()).starts = self.starts();
            let _ = self.save();
            self.systemd.reset_and_restart(&unit).await;
        }
        self.confirm().await
    }

    /// Points the profile at its previous generation, and deletes the generation that this job made.
    async fn restore_profile(&mut self) -> Result<(), String> {
        if !self.record.profile_moved {
            return Ok(());
        }
        let link = self.record.previous.as_ref().and_then(|old| old.profile_link.clone());
        let link = link.ok_or("the profile had no previous generation")?;
        let profile = Profile::new(&self.host.profile);
        let made = profile.generation().map_err(|error| error.to_string())?;
        if self.host.profile_link().as_deref() == Some(&*link) {
            return Ok(());
        }
        profile.switch_link(Path::new(&link)).map_err(|error| error.to_string())?;
        if let Some(made) = made.filter(|made| self.record.newest_generation < Some(*made)) {
            // An extra generation does no harm, because the profile is right.
            if let Err(error) = Nix::new().delete_generation(&profile, made).await {
                self.log_line(&format!("failed to delete generation {made}: {error}"));
            }
        }
        Ok(())
    }

    /// Makes the system of the restored profile the default at boot. It runs that system's own program, because a boot
    /// loader makes the system of the calling program its default, and the running system need not be a generation.
    async fn restore_boot_loader(&mut self) -> Result<(), String> {
        if !self.record.profile_moved || self.boot_loader_restored {
            return Ok(());
        }
        let system = self.host.profile_target().ok_or("the profile does not resolve to a system")?;
        let boot =
            self.switch_to(&system, "boot", ROLLBACK_TIMEOUT).await.map_err(|failure| failure.message)?.ended;
        if !boot.is_success() {
            return Err(format!("switch-to-configuration boot of {system} {}", boot.description));
        }
        self.boot_loader_restored = true;
        Ok(())
    }

    /// The last resort: reboots if the profile and boot loader name the previous system. Returns only if they do not,
    /// if the reboot is not allowed, or if it does not happen.
    pub(super) async fn reboot_to_old_system(&mut self, why: &str) -> Result<(), String> {
        if !self.handover.last_resort_reboot || !self.systemd.is_available() {
            return Err(why.to_owned());
        }
        let old = self.record.previous.as_ref();
        let boots = self.host.profile_target();
        let known = [old.and_then(|old| old.system.clone()), self.host.booted_system()];
        let is_restored = !self.record.profile_moved || self.boot_loader_restored;
        if !is_restored || boots.is_none() || !known.contains(&boots) {
            return Err(format!("{why}; a reboot would not restore the previous system, so it was skipped"));
        }
        self.record.rebooting = true;
        self.log_line(&format!("rebooting, because nothing else restored the previous system: {why}"));
        let _ = self.save();
        self.reboot_with_escalation().await;
        Err(format!("{why}; the host did not reboot when requested"))
    }

    /// Reboots with increasing force, and waits after each attempt.
    pub(super) async fn reboot_with_escalation(&self) {
        let [patient, forced, hard] = REBOOT_TIMEOUTS;
        self.systemd.reboot().await;
        sleep(patient).await;
        self.log_line("the host has not rebooted, forcing a reboot");
        self.systemd.force_reboot(false).await;
        sleep(forced).await;
        self.systemd.force_reboot(true).await;
        sleep(hard).await;
    }
}
