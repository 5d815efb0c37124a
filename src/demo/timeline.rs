//! The timeline of a job on a simulated machine: events that the engine plays over time and the seed history at once.

use super::commit::{self, BRANCHES, Commit};
use super::machine::{MachineChange, SimulatedMachine, SimulatedSystem};
use super::scenario::{ActivationFault, Scenario};
use super::{DemoHost, unit_changes};
use crate::activation::{JobFailure, JobResult};
use crate::protocol::{Action, Changes, DeployRequest, ErrorCode, OnFailure, PhaseName, Progress};
use std::time::Duration;

/// Health check of all hosts.
pub(super) const HEALTH_CHECK: &str = "curl -fsS http://localhost/health";
/// Time limit of the health check, in seconds.
pub(super) const HEALTH_TIMEOUT: u64 = 5;
/// Packages that a builder host builds, because no cache has them.
const TOOLCHAIN: [&str; 27] = [
    "binutils-2.43.1",
    "gmp-6.3.0",
    "mpfr-4.2.1",
    "isl-0.20",
    "libmpc-1.3.1",
    "gcc-14.2.1",
    "cmake-3.31.5",
    "ninja-1.12.1",
    "llvm-19.1.7",
    "clang-19.1.7",
    "lld-19.1.7",
    "rustc-1.84.1",
    "cargo-1.84.1",
    "go-1.23.6",
    "nodejs-22.14.0",
    "python3-3.12.9",
    "python3.12-pip-25.0",
    "python3.12-numpy-2.2.2",
    "openjdk-21.0.6",
    "gradle-8.12.1",
    "postgresql-17.4",
    "sqlite-3.48.0",
    "protobuf-29.3",
    "buildkit-0.19.0",
    "runc-1.2.5",
    "containerd-2.0.3",
    "docker-27.5.1",
];
/// Error of the package that does not build.
const BUILD_ERROR: &str = "brotli/encode.h: No such file or directory";
/// Sizes of the downloads, in MiB.
const SIZES: [u64; 5] = [4, 11, 18, 37, 62];

/// An event of a job.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TimelineEvent {
    Enter(PhaseName),
    /// Time passes.
    Pause(Duration),
    /// A line of the log.
    LogLine(String),
    Progress(Progress),
    Commit(String),
    System(String),
    Generation(u64),
    Changes(Box<Changes>),
    FailedUnits(Vec<String>),
    /// After this event the job can no longer be cancelled.
    Handover,
    Change(MachineChange),
    Reboot,
}

/// The events and the result of a job.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) events: Vec<TimelineEvent>,
    pub(super) outcome: JobResult,
}

impl Timeline {
    /// The timeline for a request, on a machine in its current state.
    pub(super) fn of(
        request: &DeployRequest,
        host: &DemoHost,
        machine: &SimulatedMachine,
        flake: &str,
    ) -> Self {
        let label = request.revision.as_ref().map(ToString::to_string).unwrap_or_default();
        let seed = commit::seed(&format!("{} {} {label}", host.name, request.action));
        let random = fastrand::Rng::with_seed(seed);
        let mut writer = TimelineWriter { request, host, machine, flake, random, events: Vec::new() };
        let outcome = writer.write();
        Self { events: writer.events, outcome }
    }

    /// The same timeline, cancelled during the build.
    pub(super) fn cancelled(mut self) -> Self {
        let build = self.events.iter().position(|event| *event == TimelineEvent::Enter(PhaseName::Build));
        self.events.truncate(build.unwrap_or(0) + 8);
        let message = "stopped in build; nothing was changed";
        Self { outcome: Err(JobFailure::new(ErrorCode::Cancelled, message)), ..self }
    }
}

/// Builds a timeline.
struct TimelineWriter<'a> {
    request: &'a DeployRequest,
    host: &'a DemoHost,
    machine: &'a SimulatedMachine,
    flake: &'a str,
    random: fastrand::Rng,
    events: Vec<TimelineEvent>,
}

impl TimelineWriter<'_> {
    fn write(&mut self) -> JobResult {
        let action = &self.request.action;
        self.enter(PhaseName::Prepare);
        self.pause(300, 900);
        let system = match action {
            Action::Reboot => return Ok(self.reboot()),
            Action::Rollback => self.earlier_system()?,
            _ => {
                let commit = self.resolve()?;
                self.build(commit)?
            }
        };
        if *action == Action::Build {
            return Ok("build done".to_owned());
        }
        self.events.push(TimelineEvent::System(system.path.clone()));
        self.check(&system);
        if *action == Action::DryActivate {
            return Ok(self.dry_activate(&system));
        }
        self.log_line("handing over to the worker");
        self.events.push(TimelineEvent::Handover);
        if *action == Action::Boot {
            return Ok(self.persist(&system));
        }
        let is_unchanged = self.machine.failed_units.is_empty() && self.machine.running == system;
        if !is_unchanged {
            self.activate(&system);
            self.verify(&system)?;
        }
        if *action == Action::Test {
            return Ok("test done; the next boot returns to the previous system".to_owned());
        }
        Ok(self.persist(&system))
    }

    fn resolve(&mut self) -> Result<&'static Commit, JobFailure> {
        let invalid = |reason: String| JobFailure::new(ErrorCode::InvalidRevision, reason);
        let Some(revision) = &self.request.revision else {
            return Err(invalid("the request has no revision".to_owned()));
        };
        let requested = self.request.commit.as_deref().unwrap_or(revision.as_str());
        let commit = Commit::named(requested).ok_or_else(|| {
            let branches: Vec<_> = BRANCHES.iter().map(|(name, _)| *name).collect();
            let (flake, branches) = (self.flake, branches.join(", "));
            invalid(format!("{requested:?} is not a branch or tag of {flake}; it has {branches}"))
        })?;
        let branch = BRANCHES.iter().find(|(name, _)| *name == revision.as_str());
        let reference = branch.map(|(name, _)| format!("ref=refs/heads/{name}&")).unwrap_or_default();
        self.log_line(&format!("deploying {}?{reference}rev={}", self.flake, commit.hash));
        self.events.push(TimelineEvent::Commit(commit.hash.to_owned()));
        Ok(commit)
    }

    fn earlier_system(&mut self) -> Result<SimulatedSystem, JobFailure> {
        let found = self.machine.earlier_generation(self.request.generation);
        let (number, system) = found.map_err(|reason| {
            JobFailure::new(ErrorCode::NotFound, format!("{reason}; nothing was changed"))
        })?;
        self.log_line(&format!("rolling back to generation {number}"));
        self.events.push(TimelineEvent::Generation(number));
        Ok(system)
    }

    fn reboot(&mut self) -> String {
        self.events.push(TimelineEvent::Handover);
        self.enter(PhaseName::Activate);
        self.log_line("requesting a reboot");
        self.events.push(TimelineEvent::Reboot);
        "reboot done".to_owned()
    }

    fn enter(&mut self, phase: PhaseName) {
        self.events.push(TimelineEvent::Enter(phase));
    }

    fn log_line(&mut self, line: &str) {
        self.events.push(TimelineEvent::LogLine(line.to_owned()));
    }

    /// Adds a random pause in this range, in milliseconds on a normal host.
    fn pause(&mut self, least: u64, most: u64) {
        let millis = Duration::from_millis(self.random.u64(least..=most));
        let slowdown = self.host.scenario.slowdown(self.host.role.as_str());
        self.events.push(TimelineEvent::Pause(millis.mul_f64(slowdown)));
    }

    fn check(&mut self, system: &SimulatedSystem) {
        self.enter(PhaseName::Check);
        self.switch_to(system, "check");
        self.pause(300, 800);
        if *system != self.machine.running {
            let changes = self.changes(system);
            let (packages, bytes) = (changes.packages, changes.bytes);
            self.events.push(TimelineEvent::Changes(Box::new(Changes {
                packages,
                bytes,
                ..Changes::default()
            })));
        }
    }

    fn dry_activate(&mut self, system: &SimulatedSystem) -> String {
        self.switch_to(system, "dry-activate");
        let changes = if *system == self.machine.running { Changes::default() } else { self.changes(system) };
        let (stop, start) = (&changes.units_stopped, &changes.units_started);
        let restart = &changes.units_restarted;
        for (what, units) in [("stop", stop), ("restart", restart), ("start", start)] {
            if !units.is_empty() {
                self.log_line(&format!("would {what} the following units: {}", units.join(", ")));
            }
        }
        self.pause(300, 800);
        let (stop, start, restart) = (stop.len(), start.len(), restart.len());
        self.events.push(TimelineEvent::Changes(Box::new(changes)));
        format!("dry-activate done: {stop} units would stop, {start} start, {restart} restart")
    }

    fn activate(&mut self, system: &SimulatedSystem) {
        let changes = self.changes(system);
        self.enter(PhaseName::Activate);
        self.switch_to(system, "test");
        self.log_line("activating the configuration...");
        self.pause(300, 900);
        self.events.push(TimelineEvent::Change(MachineChange::Run(system.clone())));
        self.log_line("setting up /etc...");
        self.log_line("reloading the following units: dbus.service");
        self.log_line(&format!("restarting the following units: {}", changes.units_restarted.join(", ")));
        self.pause(600, 1_500);
        if !changes.units_started.is_empty() {
            self.log_line(&format!(
                "the following new units were started: {}",
                changes.units_started.join(", ")
            ));
        }
    }

    fn verify(&mut self, system: &SimulatedSystem) -> Result<(), JobFailure> {
        let activation_fault = self.host.scenario.activation_fault(system.commit);
        if activation_fault == Some(ActivationFault::FailedUnit) {
            self.log_line(&format!("warning: the following units failed: {}", self.main_service()));
        }
        self.enter(PhaseName::Verify);
        self.pause(500, 1_000);
        self.log_line("connection confirmed");
        self.log_line(&format!("$ /bin/sh -c {HEALTH_CHECK}"));
        let message = match activation_fault {
            None => {
                self.pause(900, 1_900);
                return Ok(());
            }
            Some(ActivationFault::HealthCheck) => self.unhealthy(),
            Some(ActivationFault::FailedUnit) => self.unit_fails(),
        };
        if self.request.on_failure == Some(OnFailure::Keep) {
            self.log_line(&format!("{message}; not rolled back, as requested"));
            if activation_fault == Some(ActivationFault::FailedUnit) {
                self.events
                    .push(TimelineEvent::Change(MachineChange::UnitFails(self.main_service().to_owned())));
            }
            return Ok(());
        }
        Err(self.roll_back(&message))
    }

    /// Makes the system the default for the next boot; returns the final message of the job.
    fn persist(&mut self, system: &SimulatedSystem) -> String {
        self.enter(PhaseName::Persist);
        let requested = match self.request.action {
            // A rollback selects an existing generation and creates none.
            Action::Rollback => {
                self.machine.earlier_generation(self.request.generation).ok().map(|(number, _)| number)
            }
            _ => None,
        };
        let generation = requested.unwrap_or_else(|| self.machine.generation_for(system));
        self.events.push(TimelineEvent::Change(MachineChange::Persist(generation, system.clone())));
        self.events.push(TimelineEvent::Generation(generation));
        self.switch_to(system, "boot");
        self.pause(300, 800);
        let after = if self.request.action == Action::Boot { "; it runs after the next reboot" } else { "" };
        format!("{} done, generation {generation}{after}", self.request.action)
    }

    fn unhealthy(&mut self) -> String {
        for _ in 0..HEALTH_TIMEOUT {
            self.log_line("curl: (22) The requested URL returned error: 503");
            self.pause(700, 1_000);
        }
        format!(
            "the health check `{HEALTH_CHECK}` did not succeed within {HEALTH_TIMEOUT} s; the last run ended with exit code 22"
        )
    }

    fn unit_fails(&mut self) -> String {
        self.pause(900, 1_900);
        let unit = self.main_service();
        self.events.push(TimelineEvent::FailedUnits(vec![unit.to_owned()]));
        format!("a unit started failing: {unit}")
    }

    fn roll_back(&mut self, message: &str) -> JobFailure {
        let old = self.machine.running.clone();
        self.log_line(&format!("rolling back: {message}"));
        self.enter(PhaseName::Rollback);
        self.switch_to(&old, "test");
        self.log_line("activating the configuration...");
        self.pause(700, 1_500);
        self.events.push(TimelineEvent::Change(MachineChange::Run(old)));
        JobFailure {
            code: ErrorCode::VerificationFailed,
            message: format!("{message}; rolled back to the previous system"),
            rolled_back: Some(true),
        }
    }

    fn switch_to(&mut self, system: &SimulatedSystem, action: &str) {
        self.log_line(&format!("$ {}/bin/switch-to-configuration {action}", system.path));
    }

    fn changes(&self, system: &SimulatedSystem) -> Changes {
        unit_changes::changes(self.host.role.as_str(), self.machine.running.commit, system.commit)
    }

    fn main_service(&self) -> &'static str {
        unit_changes::main_service(self.host.role.as_str())
    }

    fn build(&mut self, commit: &'static Commit) -> Result<SimulatedSystem, JobFailure> {
        self.enter(PhaseName::Build);
        let activity = "evaluating derivation".to_owned();
        self.events.push(TimelineEvent::Progress(Progress { activity, ..Progress::default() }));
        self.pause(400, 900);
        let system = SimulatedSystem::of(self.host, commit);
        if self.machine.is_built(&system) {
            return Ok(system);
        }
        let packages = self.packages(commit);
        let configuration = self.configuration(commit);
        let derivations: Vec<_> = packages.iter().chain(&configuration).collect();
        let expected = derivations.len() as u64;
        let sizes: Vec<u64> =
            derivations.iter().map(|name| SIZES[name.len() % SIZES.len()] << 20).take(12).collect();
        let expected_bytes = sizes.iter().sum();
        let progress = Progress { expected, expected_bytes, ..Progress::default() };
        let mut downloaded_bytes = 0;
        for (at, size) in sizes.iter().enumerate() {
            let activity = format!("copying {} paths", sizes.len() - at);
            self.events.push(TimelineEvent::Progress(Progress {
                downloaded_bytes,
                activity,
                ..progress.clone()
            }));
            self.pause(60, 260);
            downloaded_bytes += size;
        }
        for (done, name) in (0..).zip(derivations) {
            let (running, activity) = ((expected - done).min(3), format!("building {name}"));
            let progress = Progress { done, running, downloaded_bytes, activity, ..progress.clone() };
            self.events.push(TimelineEvent::Progress(progress));
            let derivation = format!("{}.drv", commit::store_path(name, commit.hash));
            self.log_line(&format!("building '{derivation}'..."));
            self.pause(150, 700);
            if commit.is_broken() && name.starts_with("nginx-") {
                return Err(self.broken(name, &derivation));
            }
            if packages.contains(name) {
                self.log_line(&format!("{name}> post-installation fixup"));
            }
        }
        self.events.push(TimelineEvent::Change(MachineChange::Built(system.clone())));
        Ok(system)
    }

    /// The packages to build: those that differ from the running system.
    fn packages(&self, commit: &Commit) -> Vec<String> {
        let role = self.host.role.as_str();
        let running = self.machine.running.commit.packages_of(role);
        let requested = commit.packages_of(role);
        let new = requested.iter().filter(|(name, version)| running.get(**name) != Some(*version));
        let mut packages: Vec<_> = new.map(|(name, version)| format!("{name}-{version}")).collect();
        if self.host.scenario == Scenario::Builder {
            packages.extend(TOOLCHAIN.map(str::to_owned));
        }
        packages
    }

    /// The derivations that depend on the packages.
    fn configuration(&self, commit: &Commit) -> Vec<String> {
        let mut configuration = Vec::new();
        let kernel = commit.kernel();
        if kernel != self.machine.running.commit.kernel() {
            configuration.push(format!("initrd-linux-{kernel}"));
        }
        let service = unit_changes::main_service(self.host.role.as_str());
        configuration.push(format!("unit-{service}"));
        configuration.extend(["system-units", "etc-hosts", "system-path", "etc"].map(str::to_owned));
        configuration.push(format!("nixos-system-{}-{}", self.host.name, self.host.scenario.release().0));
        configuration
    }

    fn broken(&mut self, name: &str, derivation: &str) -> JobFailure {
        for line in broken_log(name, derivation) {
            self.log_line(&line);
        }
        let message = format!(
            "\"{}\" did not build: build of {name} failed with exit code 2; its log ends: fatal error: {BUILD_ERROR}; look at the \
             job's log",
            self.host.name
        );
        JobFailure::new(ErrorCode::BuildFailed, message)
    }
}

/// Log of the package that does not build.
pub(super) fn broken_log(name: &str, derivation: &str) -> Vec<String> {
    let lines = [
        "unpacking source archive",
        "configuring",
        "checking for brotli ... not found",
        "building",
        &format!("ngx_http_brotli_filter_module.c:12:10: fatal error: {BUILD_ERROR}"),
        "compilation terminated.",
        "make[1]: *** [objs/Makefile:1231: objs/addon/brotli.o] Error 1",
    ];
    let mut log: Vec<_> = lines.iter().map(|line| format!("{name}> {line}")).collect();
    log.push(format!("error: builder for '{derivation}' failed with exit code 2"));
    log.push(format!("error: build of {name} failed"));
    log
}
