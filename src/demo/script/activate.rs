//! From the check of a built system to the system that boots, and back where it does not prove itself.

use super::{Beat, Writer, units};
use crate::activation::Failure;
use crate::demo::machine::{Change, System};
use crate::demo::part::Trouble;
use crate::protocol::{Action, Changes, ErrorCode, OnFailure, PhaseName};

/// The health check of every host.
pub(in crate::demo) const HEALTH_CHECK: &str = "curl -fsS http://localhost/health";
/// How long it may take, in seconds.
pub(in crate::demo) const HEALTH_TIMEOUT: u64 = 5;

impl Writer<'_> {
    pub(super) fn check(&mut self, system: &System) {
        self.enter(PhaseName::Check);
        self.switch_to(system, "check");
        self.pause(300, 800);
        if *system != self.machine.running {
            let changes = self.changes(system);
            let (packages, bytes) = (changes.packages, changes.bytes);
            self.beats.push(Beat::Changes(Box::new(Changes { packages, bytes, ..Changes::default() })));
        }
    }

    pub(super) fn dry_activate(&mut self, system: &System) -> String {
        self.switch_to(system, "dry-activate");
        let changes = if *system == self.machine.running { Changes::default() } else { self.changes(system) };
        let (stop, start) = (&changes.units_stopped, &changes.units_started);
        let restart = &changes.units_restarted;
        for (what, units) in [("stop", stop), ("restart", restart), ("start", start)] {
            if !units.is_empty() {
                self.say(&format!("would {what} the following units: {}", units.join(", ")));
            }
        }
        self.pause(300, 800);
        let (stop, start, restart) = (stop.len(), start.len(), restart.len());
        self.beats.push(Beat::Changes(Box::new(changes)));
        format!("dry-activate done: {stop} units would stop, {start} start, {restart} restart")
    }

    pub(super) fn activate(&mut self, system: &System) {
        let changes = self.changes(system);
        self.enter(PhaseName::Activate);
        self.switch_to(system, "test");
        self.say("activating the configuration...");
        self.pause(300, 900);
        self.beats.push(Beat::Change(Change::Run(system.clone())));
        self.say("setting up /etc...");
        self.say("reloading the following units: dbus.service");
        self.say(&format!("restarting the following units: {}", changes.units_restarted.join(", ")));
        self.pause(600, 1_500);
        if !changes.units_started.is_empty() {
            self.say(&format!("the following new units were started: {}", changes.units_started.join(", ")));
        }
    }

    pub(super) fn verify(&mut self, system: &System) -> Result<(), Failure> {
        let trouble = self.host.part.trouble(system.commit);
        if trouble == Some(Trouble::Unit) {
            self.say(&format!("warning: the following units failed: {}", self.main_service()));
        }
        self.enter(PhaseName::Verify);
        self.pause(500, 1_000);
        self.say("the host proved that it can be reached");
        self.say(&format!("$ /bin/sh -c {HEALTH_CHECK}"));
        let message = match trouble {
            None => {
                self.pause(900, 1_900);
                return Ok(());
            }
            Some(Trouble::HealthCheck) => self.unhealthy(),
            Some(Trouble::Unit) => self.unit_fails(),
        };
        if self.request.on_failure == Some(OnFailure::Keep) {
            self.say(&format!("{message}; left as it is, as was asked for"));
            if trouble == Some(Trouble::Unit) {
                self.beats.push(Beat::Change(Change::UnitFails(self.main_service().to_owned())));
            }
            return Ok(());
        }
        Err(self.go_back(&message))
    }

    /// Makes the system the one that boots; gives the sentence that ends the job.
    pub(super) fn persist(&mut self, system: &System) -> String {
        self.enter(PhaseName::Persist);
        let wanted = match self.request.action {
            // An older generation becomes the present one; none is made.
            Action::Rollback => self.machine.earlier(self.request.generation).ok().map(|(number, _)| number),
            _ => None,
        };
        let generation = wanted.unwrap_or_else(|| self.machine.generation_for(system));
        self.beats.push(Beat::Change(Change::Persist(generation, system.clone())));
        self.beats.push(Beat::Generation(generation));
        self.switch_to(system, "boot");
        self.pause(300, 800);
        let after = if self.request.action == Action::Boot { "; it runs after the next reboot" } else { "" };
        format!("{} done, generation {generation}{after}", self.request.action)
    }

    fn unhealthy(&mut self) -> String {
        for _ in 0..HEALTH_TIMEOUT {
            self.say("curl: (22) The requested URL returned error: 503");
            self.pause(700, 1_000);
        }
        format!(
            "the health check `{HEALTH_CHECK}` did not succeed within {HEALTH_TIMEOUT} s; it last ended with exit code 22"
        )
    }

    fn unit_fails(&mut self) -> String {
        self.pause(900, 1_900);
        let unit = self.main_service();
        self.beats.push(Beat::FailedUnits(vec![unit.to_owned()]));
        format!("a unit started failing: {unit}")
    }

    fn go_back(&mut self, message: &str) -> Failure {
        let old = self.machine.running.clone();
        self.say(&format!("going back: {message}"));
        self.enter(PhaseName::Rollback);
        self.switch_to(&old, "test");
        self.say("activating the configuration...");
        self.pause(700, 1_500);
        self.beats.push(Beat::Change(Change::Run(old)));
        Failure {
            code: ErrorCode::VerificationFailed,
            message: format!("{message}; rolled back to the previous system"),
            rolled_back: Some(true),
        }
    }

    fn switch_to(&mut self, system: &System, action: &str) {
        self.say(&format!("$ {}/bin/switch-to-configuration {action}", system.path));
    }

    fn changes(&self, system: &System) -> Changes {
        units::changes(self.host.role.as_str(), self.machine.running.commit, system.commit)
    }

    fn main_service(&self) -> &'static str {
        units::main_service(self.host.role.as_str())
    }
}
