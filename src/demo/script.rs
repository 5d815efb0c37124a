//! What will happen in a job on a simulated machine: a list of beats that the engine plays in time and the past at once.

mod activate;
mod build;
mod units;

pub(super) use activate::{HEALTH_CHECK, HEALTH_TIMEOUT};
pub(super) use build::broken_log;
pub(super) use units::journal;

use super::DemoHost;
use super::commit::{BRANCHES, Commit};
use super::machine::{Change, Machine, System};
use super::store;
use crate::activation::{Failure, Outcome};
use crate::protocol::{Action, Changes, DeployRequest, ErrorCode, PhaseName, Progress};
use std::time::Duration;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Beat {
    Enter(PhaseName),
    /// Time passes.
    Pause(Duration),
    /// A line of the log.
    Say(String),
    Progress(Progress),
    Commit(String),
    System(String),
    Generation(u64),
    Changes(Box<Changes>),
    FailedUnits(Vec<String>),
    /// From here on nothing stops the job.
    HandOver,
    Change(Change),
    Reboot,
}

/// A whole job.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) beats: Vec<Beat>,
    pub(super) outcome: Outcome,
}

impl Script {
    /// The job that a request is on a machine as it stands now.
    pub(super) fn of(request: &DeployRequest, host: &DemoHost, machine: &Machine, flake: &str) -> Self {
        let label = request.revision.as_ref().map(ToString::to_string).unwrap_or_default();
        let seed = store::seed(&format!("{} {} {label}", host.name, request.action));
        let random = fastrand::Rng::with_seed(seed);
        let mut writer = Writer { request, host, machine, flake, random, beats: Vec::new() };
        let outcome = writer.write();
        Self { beats: writer.beats, outcome }
    }

    /// The same job, stopped in the middle of its build.
    pub(super) fn cancelled(mut self) -> Self {
        let build = self.beats.iter().position(|beat| *beat == Beat::Enter(PhaseName::Build));
        self.beats.truncate(build.unwrap_or(0) + 8);
        let message = "stopped in build; nothing was changed";
        Self { outcome: Err(Failure::new(ErrorCode::Cancelled, message)), ..self }
    }
}

/// Writes a script.
struct Writer<'a> {
    request: &'a DeployRequest,
    host: &'a DemoHost,
    machine: &'a Machine,
    flake: &'a str,
    random: fastrand::Rng,
    beats: Vec<Beat>,
}

impl Writer<'_> {
    fn write(&mut self) -> Outcome {
        let action = &self.request.action;
        self.enter(PhaseName::Prepare);
        self.pause(300, 900);
        let system = match action {
            Action::Reboot => return Ok(self.reboot()),
            Action::Rollback => self.earlier()?,
            _ => {
                let commit = self.resolve()?;
                self.build(commit)?
            }
        };
        if *action == Action::Build {
            return Ok("build done".to_owned());
        }
        self.beats.push(Beat::System(system.path.clone()));
        self.check(&system);
        if *action == Action::DryActivate {
            return Ok(self.dry_activate(&system));
        }
        self.say("handing over to the activation program");
        self.beats.push(Beat::HandOver);
        if *action == Action::Boot {
            return Ok(self.persist(&system));
        }
        let is_there = self.machine.failed_units.is_empty() && self.machine.running == system;
        if !is_there {
            self.activate(&system);
            self.verify(&system)?;
        }
        if *action == Action::Test {
            return Ok("test done; the next boot brings the system before it back".to_owned());
        }
        Ok(self.persist(&system))
    }

    fn resolve(&mut self) -> Result<&'static Commit, Failure> {
        let invalid = |why: String| Failure::new(ErrorCode::InvalidRevision, why);
        let Some(revision) = &self.request.revision else {
            return Err(invalid("the request names no revision".to_owned()));
        };
        let wanted = self.request.commit.as_deref().unwrap_or(revision.as_str());
        let commit = Commit::named(wanted).ok_or_else(|| {
            let branches: Vec<_> = BRANCHES.iter().map(|(name, _)| *name).collect();
            let (flake, branches) = (self.flake, branches.join(", "));
            invalid(format!("{wanted:?} is not a branch or tag of {flake}; it has {branches}"))
        })?;
        let branch = BRANCHES.iter().find(|(name, _)| *name == revision.as_str());
        let reference = branch.map(|(name, _)| format!("ref=refs/heads/{name}&")).unwrap_or_default();
        self.say(&format!("deploying {}?{reference}rev={}", self.flake, commit.hash));
        self.beats.push(Beat::Commit(commit.hash.to_owned()));
        Ok(commit)
    }

    fn earlier(&mut self) -> Result<System, Failure> {
        let found = self.machine.earlier(self.request.generation);
        let (number, system) =
            found.map_err(|why| Failure::new(ErrorCode::NotFound, format!("{why}; nothing was changed")))?;
        self.say(&format!("going back to generation {number}"));
        self.beats.push(Beat::Generation(number));
        Ok(system)
    }

    fn reboot(&mut self) -> String {
        self.beats.push(Beat::HandOver);
        self.enter(PhaseName::Activate);
        self.say("asking for a reboot");
        self.beats.push(Beat::Reboot);
        "reboot done".to_owned()
    }

    fn enter(&mut self, phase: PhaseName) {
        self.beats.push(Beat::Enter(phase));
    }

    fn say(&mut self, line: &str) {
        self.beats.push(Beat::Say(line.to_owned()));
    }

    /// Time passes: so many milliseconds on an ordinary host.
    fn pause(&mut self, least: u64, most: u64) {
        let millis = Duration::from_millis(self.random.u64(least..=most));
        let slowness = self.host.part.slowness(self.host.role.as_str());
        self.beats.push(Beat::Pause(millis.mul_f64(slowness)));
    }
}
