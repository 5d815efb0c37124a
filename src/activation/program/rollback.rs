//! Rolling back: the recorded closure with its own program, and the profile and boot loader if this job moved them. It is
//! done once the old system runs and its connection is confirmed, and tried again until then.

use super::prove::Unconfirmed;
use super::switch::Switched;
use super::{Program, ROLLBACK};
use crate::activation::Failure;
use crate::nix::{Nix, Profile};
use crate::protocol::{ErrorCode, PhaseName};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause before trying again while another activation holds its lock.
const BUSY: Duration = Duration::from_secs(2);
/// The pauses between two attempts, in sixteenths of the time for a confirmation. The last resort follows the last
/// attempt.
const PAUSES: [u32; 4] = [1, 2, 4, 8];
/// How long a host on its old system waits for its connection before it is rebooted, in times for a confirmation: the
/// fault may be elsewhere.
const DISCONNECTED: u32 = 10;
/// The time for a confirmation where none is asked for.
const CONFIRM: Duration = Duration::from_mins(1);
/// How long each way to reboot may take before a harder one follows.
const REBOOT: [Duration; 3] = [Duration::from_mins(2), Duration::from_secs(30), Duration::from_mins(1)];

/// How far an attempt came.
enum Attempt {
    /// The old system runs and is connected.
    Back,
    /// The old system runs, and the network works: the NATS server refuses connections, or some of its subjects.
    Refused(String),
    /// The old system runs, and its connection is not confirmed.
    Disconnected(String),
    /// The old system does not run.
    Failed(String),
}

impl Program {
    /// Rolls back and gives the failure with what became of that.
    pub(super) async fn go_back(&mut self, mut failure: Failure) -> Failure {
        self.say(&format!("going back: {}", failure.message));
        self.record.report.error = Some(failure.code.clone());
        // Room for what is written from here on.
        self.folder.release_reserve();
        // Where even this cannot be written down, going back matters more than saying so.
        let _ = self.enter(&PhaseName::Rollback);
        failure.message.clone_into(&mut self.record.report.message);
        let _ = self.save();
        let outcome = if self.was_activated() { self.restore().await } else { self.restore_boot().await };
        // A generation that this job made is deleted with it.
        let profile = Profile::new(&self.host.profile);
        self.record.report.generation = profile.generation().ok().flatten().or(self.record.report.generation);
        let mut notes = String::new();
        for note in std::mem::take(&mut self.notes) {
            notes.push_str("; ");
            notes.push_str(&note);
        }
        match outcome {
            Ok(()) => {
                failure.rolled_back = Some(true);
                failure.message = format!("{}; rolled back to the previous system{notes}", failure.message);
            }
            Err(why) => {
                failure.rolled_back = Some(false);
                failure.code = ErrorCode::RollbackFailed;
                failure.message =
                    format!("{}; going back failed: {why}{notes}; look at the host now", failure.message);
            }
        }
        failure
    }

    /// Brings back what boots, where nothing else was changed.
    async fn restore_boot(&mut self) -> Result<(), String> {
        self.restore_profile().await?;
        self.restore_boot_loader().await
    }

    async fn restore(&mut self) -> Result<(), String> {
        let old = self.record.old.clone().ok_or("the previous system was not recorded")?;
        let system = old.system.ok_or("no previous system is known")?;
        let begun = Instant::now();
        let unit = Duration::from_secs(self.orders.confirm_timeout_s);
        let unit = if unit.is_zero() { CONFIRM } else { unit };
        let mut pauses = PAUSES.into_iter();
        let why = loop {
            // What runs comes first: a profile that cannot be restored must not keep the host where it cannot be reached.
            let profile = self.restore_profile().await;
            let attempt = self.attempt(&system).await;
            let boot = match profile {
                Ok(()) => self.restore_boot_loader().await,
                failed => failed,
            };
            let (why, patience) = match attempt {
                Attempt::Back => return boot,
                Attempt::Refused(why) => {
                    self.notes.push(format!("the connection is not confirmed: {why}"));
                    return boot;
                }
                Attempt::Disconnected(why) => (why, unit * DISCONNECTED),
                Attempt::Failed(why) => (why, Duration::ZERO),
            };
            self.say(&format!("going back has not succeeded yet: {why}"));
            let pause = pauses.next();
            if pause.is_none() && begun.elapsed() >= patience {
                break why;
            }
            sleep(unit * pause.unwrap_or(PAUSES[PAUSES.len() - 1]) / 16).await;
        };
        self.reboot_back(&why).await
    }

    /// Activates the old system once, also where it seems to run: units may have been stopped.
    async fn attempt(&mut self, system: &str) -> Attempt {
        let switched = match self.test_patiently(system).await {
            Ok(switched) => switched,
            Err(why) => return Attempt::Failed(why),
        };
        let how = format!("switch-to-configuration of {system} {}", switched.ended.how);
        let clean = matches!(switched.ended.code, Some(0 | 4)) && !switched.output.script_failed;
        if !clean {
            self.start_what_was_left().await;
            // It may be so on each activation of this system: then it says nothing about the next one.
            self.keep_failed_snippets(system, &switched.output.failed_snippets);
        }
        if self.host.current_system().as_deref() != Some(system) {
            let why = switched.output.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            return Attempt::Failed(format!("{how}{why}"));
        }
        let confirmed = self.confirm_old().await;
        let is_back = confirmed.as_ref().err().is_none_or(|unconfirmed| unconfirmed.network_works);
        if !clean && is_back {
            let parts = &switched.output.failed_snippets;
            let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
            self.notes.push(format!("the activation of the old system {}{parts}", switched.ended.how));
        }
        match confirmed {
            Ok(()) => Attempt::Back,
            Err(Unconfirmed { network_works: true, why }) => Attempt::Refused(why),
            Err(Unconfirmed { network_works: false, why }) => Attempt::Disconnected(why),
        }
    }

    /// Waits for an activation that outlived whoever began it.
    async fn test_patiently(&mut self, system: &str) -> Result<Switched, String> {
        let begun = Instant::now();
        loop {
            let switched =
                self.switch_to(system, "test", ROLLBACK).await.map_err(|failure| failure.message)?;
            if !switched.output.lock_held || begun.elapsed() > ROLLBACK {
                return Ok(switched);
            }
            sleep(BUSY).await;
        }
    }

    /// Starts the units that an activation had stopped and did not start again: it keeps their names until it has.
    async fn start_what_was_left(&mut self) {
        for (verb, list) in [("start", "start-list"), ("restart", "restart-list")] {
            let file = self.host.root.join("run/nixos").join(list);
            let text = fs::read_to_string(file).unwrap_or_default();
            let mut units: Vec<String> = Vec::new();
            for unit in text.lines().filter(|unit| !unit.is_empty()) {
                if !units.iter().any(|known| known == unit) {
                    units.push(unit.to_owned());
                }
            }
            if !units.is_empty() {
                let note = format!(
                    "an interrupted activation had left {} to {verb}, which was done",
                    units.join(", ")
                );
                self.say(&note);
                self.units.begin(verb, &units).await;
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
    }

    /// Has the old system confirm its connection, where the new one was asked to. Whatever was activated may have stopped
    /// the listener, or left it running with a key or a name of the new system's: it is restarted once.
    async fn confirm_old(&mut self) -> Result<(), Unconfirmed> {
        if let Some(unit) = self.orders.listener_unit.clone()
            // One that died may have noted the restart and not done it.
            && !(self.record.listener_restarted && self.starts() > self.begun_at_start())
        {
            self.record.listener_restarted = true;
            self.record.orders.get_or_insert_with(|| self.orders.clone()).starts = self.starts();
            let _ = self.save();
            self.units.restart_at_once(&unit).await;
        }
        self.confirm().await
    }

    /// Points the profile at the generation it had, and deletes the one that this job made.
    async fn restore_profile(&mut self) -> Result<(), String> {
        if !self.record.profile_moved {
            return Ok(());
        }
        let link = self.record.old.as_ref().and_then(|old| old.profile_link.clone());
        let link = link.ok_or("the profile had no generation before")?;
        let profile = Profile::new(&self.host.profile);
        let made = profile.generation().map_err(|error| error.to_string())?;
        if self.host.profile_link().as_deref() == Some(&*link) {
            return Ok(());
        }
        profile.switch_link(Path::new(&link)).map_err(|error| error.to_string())?;
        if let Some(made) = made.filter(|made| self.record.newest_generation < Some(*made)) {
            // A generation too many does no harm; the profile is right.
            if let Err(error) = Nix::new().delete_generation(&profile, made).await {
                self.say(&format!("generation {made} is left: {error}"));
            }
        }
        Ok(())
    }

    /// Makes the system of the restored profile the one that boots. A boot loader takes the system whose program is
    /// called for its default, and what runs need not be a generation.
    async fn restore_boot_loader(&mut self) -> Result<(), String> {
        if !self.record.profile_moved || self.boot_loader_restored {
            return Ok(());
        }
        let system = self.host.profile_target().ok_or("the profile leads to no system")?;
        let boot = self.switch_to(&system, "boot", ROLLBACK).await.map_err(|failure| failure.message)?.ended;
        if !boot.is_success() {
            return Err(format!("switch-to-configuration boot of {system} {}", boot.how));
        }
        self.boot_loader_restored = true;
        Ok(())
    }

    /// The last resort: profile and boot loader still name the old system, so a reboot leads to it. Comes back only if
    /// that is not so, not allowed, or does not happen.
    pub(super) async fn reboot_back(&mut self, why: &str) -> Result<(), String> {
        if !self.orders.last_resort_reboot || !self.units.is_there() {
            return Err(why.to_owned());
        }
        let old = self.record.old.as_ref();
        let boots = self.host.profile_target();
        let known = [old.and_then(|old| old.system.clone()), self.host.booted_system()];
        let is_restored = !self.record.profile_moved || self.boot_loader_restored;
        if !is_restored || boots.is_none() || !known.contains(&boots) {
            return Err(format!("{why}; a reboot would not lead to the old system, so it was left out"));
        }
        self.record.rebooting = true;
        self.say(&format!("rebooting, because nothing else has brought the old system back: {why}"));
        let _ = self.save();
        self.reboot_whatever_it_takes().await;
        Err(format!("{why}; the host did not reboot when it was asked to"))
    }

    /// Asks for the reboot of a rollback, ever harder, and waits for it.
    pub(super) async fn reboot_whatever_it_takes(&self) {
        let [patient, forced, hard] = REBOOT;
        self.units.reboot().await;
        sleep(patient).await;
        self.say("the host has not rebooted; rebooting by force");
        self.units.reboot_by_force(false).await;
        sleep(forced).await;
        self.units.reboot_by_force(true).await;
        sleep(hard).await;
    }
}
