//! A simulated machine: its generations, the running and the booted system, and what changes them.

use super::DemoHost;
use super::commit::{self, COMMITS, Commit};
use super::scenario::Scenario;
use crate::activation::Facts;
use crate::jobs;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashSet};

/// The failed unit of a degraded host.
const FAILED_UNIT: &str = "smartd.service";

/// A built system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SimulatedSystem {
    pub(super) path: String,
    pub(super) commit: &'static Commit,
}

/// A change that a job makes to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MachineChange {
    /// A system was added to the store.
    Built(SimulatedSystem),
    /// A system was activated.
    Run(SimulatedSystem),
    /// The profile was set to this generation with this system.
    Persist(u64, SimulatedSystem),
    /// A unit has failed and stays failed.
    UnitFails(String),
}

/// The machine of one host.
#[derive(Debug)]
pub(super) struct SimulatedMachine {
    host: DemoHost,
    /// The generations of the system profile, oldest first.
    generations: Vec<(u64, SimulatedSystem)>,
    /// The current generation of the profile.
    profile: u64,
    pub(super) running: SimulatedSystem,
    booted: SimulatedSystem,
    built: HashSet<String>,
    booted_at: Timestamp,
    boot_id: String,
    pub(super) failed_units: Vec<String>,
    nix_free: u64,
    boot_free: u64,
    /// Whether a job is running.
    pub(super) busy: bool,
}

impl SimulatedMachine {
    /// Creates a machine that was installed from `commit` at this time.
    pub(super) fn installed(host: &DemoHost, commit: &'static Commit, at: Timestamp) -> Self {
        let mut random = fastrand::Rng::with_seed(commit::seed(host.name.as_str()));
        let system = SimulatedSystem::of(host, commit);
        let generation = random.u64(60..180);
        let cramped = host.scenario == Scenario::LowBootSpace;
        Self {
            generations: vec![(generation, system.clone())],
            profile: generation,
            booted: system.clone(),
            built: HashSet::from([system.path.clone()]),
            running: system,
            booted_at: at,
            boot_id: boot_id(),
            failed_units: Vec::new(),
            nix_free: random.u64(24 << 30..420 << 30),
            boot_free: if cramped { 31 << 20 } else { random.u64(180 << 20..820 << 20) },
            busy: false,
            host: host.clone(),
        }
    }

    /// The machine of another host with the same scenario, role and jobs. It has the names and numbers that a replay of
    /// those jobs on that host would give.
    pub(super) fn moved_to(&self, host: &DemoHost) -> Self {
        let moved = Self::installed(host, &COMMITS[0], self.booted_at);
        let first = |machine: &Self| machine.generations.first().map_or(0, |(number, _)| *number);
        let shifted = |number: u64| number - first(self) + first(&moved);
        let of = |system: &SimulatedSystem| SimulatedSystem::of(host, system.commit);
        let used = Self::installed(&self.host, &COMMITS[0], self.booted_at).nix_free - self.nix_free;
        Self {
            generations: self.generations.iter().map(|(number, s)| (shifted(*number), of(s))).collect(),
            profile: shifted(self.profile),
            running: of(&self.running),
            booted: of(&self.booted),
            failed_units: self.failed_units.clone(),
            nix_free: moved.nix_free - used,
            ..moved
        }
    }

    /// The facts that a listener reports about the machine.
    pub(super) fn facts(&self) -> Facts {
        let (release, name) = self.host.scenario.release();
        Facts {
            os_version: Some(format!("NixOS {release} ({name})")),
            system: Some(self.running.path.clone()),
            booted_system: Some(self.booted.path.clone()),
            generation: Some(self.profile),
            reboot_needed: Some(self.booted.commit.kernel() != self.running.commit.kernel()),
            booted_at: Some(self.booted_at),
            nix_free_bytes: Some(self.nix_free),
            boot_free_bytes: Some(self.boot_free),
            failed_units: self.failed_units.clone(),
        }
    }

    /// The previous system, which a job records before it changes anything.
    pub(super) fn snapshot(&self) -> jobs::PreviousSystem {
        let target = self.at(self.profile).map(|system| system.path.clone());
        jobs::PreviousSystem {
            system: Some(self.running.path.clone()),
            profile_link: Some(format!("system-{}-link", self.profile)),
            profile_target: target,
            failed_units: self.failed_units.clone(),
            looping_units: Vec::new(),
            restarts: BTreeMap::new(),
            boot_id: Some(self.boot_id.clone()),
        }
    }

    pub(super) fn boot_id(&self) -> String {
        self.boot_id.clone()
    }

    /// Whether the system needs no build. The store of a builder host is collected often, so only its running system is
    /// available.
    pub(super) fn is_built(&self, system: &SimulatedSystem) -> bool {
        let collected = self.host.scenario == Scenario::Builder && self.running != *system;
        self.built.contains(&system.path) && !collected
    }

    /// The generation of a system after the profile is set to it: a new one, unless the newest has the same system.
    pub(super) fn generation_for(&self, system: &SimulatedSystem) -> u64 {
        let newest = self.generations.last();
        newest.map_or(1, |(number, newest)| if newest == system { *number } else { number + 1 })
    }

    /// The generation for a rollback: the requested one, or the system before the last change.
    pub(super) fn earlier_generation(
        &self,
        requested: Option<u64>,
    ) -> Result<(u64, SimulatedSystem), String> {
        let is_test = self.at(self.profile) != Some(&self.running);
        let found = match requested {
            Some(requested) => self.generations.iter().find(|(number, _)| *number == requested),
            None if is_test => self.generations.iter().find(|(number, _)| *number == self.profile),
            None => self.generations.iter().rfind(|(number, _)| *number < self.profile),
        };
        found.cloned().ok_or_else(|| {
            let available: Vec<_> = self.generations.iter().map(|(number, _)| number.to_string()).collect();
            let available = available.join(", ");
            match requested {
                Some(requested) => format!("generation {requested} does not exist; the host has {available}"),
                None => {
                    format!("the host has no earlier generation than the current one; it has {available}")
                }
            }
        })
    }

    pub(super) fn apply(&mut self, change: &MachineChange) {
        match change {
            MachineChange::Built(system) => {
                self.built.insert(system.path.clone());
                self.nix_free = self.nix_free.saturating_sub(600 << 20);
            }
            MachineChange::Run(system) => self.running = system.clone(),
            MachineChange::Persist(number, system) => {
                self.profile = *number;
                if self.at(*number).is_none() {
                    self.generations.push((*number, system.clone()));
                }
            }
            MachineChange::UnitFails(unit) => self.failed_units.push(unit.clone()),
        }
    }

    /// Boots the current generation of the profile.
    pub(super) fn boot(&mut self, at: Timestamp) {
        if let Some(system) = self.at(self.profile).cloned() {
            (self.booted, self.running) = (system.clone(), system);
        }
        self.booted_at = at;
        self.boot_id = boot_id();
        self.failed_units.clear();
    }

    /// Adds the faults that no job has caused.
    pub(super) fn add_preexisting_faults(&mut self) {
        if self.host.scenario == Scenario::Degraded {
            self.failed_units.push(FAILED_UNIT.to_owned());
        }
    }

    fn at(&self, generation: u64) -> Option<&SimulatedSystem> {
        self.generations.iter().find(|(number, _)| *number == generation).map(|(_, system)| system)
    }
}

impl SimulatedSystem {
    /// The system of a host at a commit.
    pub(super) fn of(host: &DemoHost, commit: &'static Commit) -> Self {
        let name = format!("nixos-system-{}-{}", host.name, host.scenario.release().0);
        // Systems of different commits have the same name and different hashes, as in reality.
        Self { path: commit::store_path(&name, commit.hash), commit }
    }
}

fn boot_id() -> String {
    let [a, b] = [fastrand::u64(..), fastrand::u64(..)];
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}
