//! A simulated machine: its generations, what of them runs and was booted, and what changes that.

use super::commit::Commit;
use super::part::Part;
use super::{DemoHost, store};
use crate::activation::Facts;
use crate::jobs;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::collections::HashSet;

/// The unit that has failed on a degraded host.
const FAILED_UNIT: &str = "smartd.service";

/// A built system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct System {
    pub(super) path: String,
    pub(super) commit: &'static Commit,
}

/// Something that a job does to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A system is in the store.
    Built(System),
    /// A system is activated.
    Run(System),
    /// The profile moves to a generation with this system.
    Persist(u64, System),
    /// A unit fails and is left so.
    UnitFails(String),
}

/// The machine of one host.
#[derive(Debug)]
pub(super) struct Machine {
    host: DemoHost,
    /// The generations of the system profile, the oldest first.
    generations: Vec<(u64, System)>,
    /// The one that the profile is at.
    profile: u64,
    pub(super) running: System,
    booted: System,
    built: HashSet<String>,
    boot_at: Timestamp,
    boot_id: String,
    pub(super) failed_units: Vec<String>,
    nix_free: u64,
    boot_free: u64,
    /// Whether a job is at work on it.
    pub(super) busy: bool,
}

impl Machine {
    /// A machine that was installed from `commit` at that time.
    pub(super) fn installed(host: &DemoHost, commit: &'static Commit, at: Timestamp) -> Self {
        let mut random = fastrand::Rng::with_seed(store::seed(host.name.as_str()));
        let system = System::of(host, commit);
        let generation = random.u64(60..180);
        let cramped = host.part == Part::Cramped;
        Self {
            generations: vec![(generation, system.clone())],
            profile: generation,
            booted: system.clone(),
            built: HashSet::from([system.path.clone()]),
            running: system,
            boot_at: at,
            boot_id: boot_id(),
            failed_units: Vec::new(),
            nix_free: random.u64(24 << 30..420 << 30),
            boot_free: if cramped { 31 << 20 } else { random.u64(180 << 20..820 << 20) },
            busy: false,
            host: host.clone(),
        }
    }

    /// What a listener tells of it.
    pub(super) fn facts(&self) -> Facts {
        let (release, name) = self.host.part.release();
        Facts {
            os_version: Some(format!("NixOS {release} ({name})")),
            system: Some(self.running.path.clone()),
            booted_system: Some(self.booted.path.clone()),
            generation: Some(self.profile),
            reboot_needed: Some(self.booted.commit.kernel() != self.running.commit.kernel()),
            boot_at: Some(self.boot_at),
            nix_free_bytes: Some(self.nix_free),
            boot_free_bytes: Some(self.boot_free),
            failed_units: self.failed_units.clone(),
        }
    }

    /// What a job writes down before it changes anything.
    pub(super) fn snapshot(&self) -> jobs::System {
        let target = self.at(self.profile).map(|system| system.path.clone());
        jobs::System {
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

    /// Whether there is nothing to build. The store of a builder is full of its own work: what does not run there is soon
    /// collected.
    pub(super) fn is_built(&self, system: &System) -> bool {
        let collected = self.host.part == Part::Builder && self.running != *system;
        self.built.contains(&system.path) && !collected
    }

    /// The generation that keeps a system once the profile was set to it: the newest where that is the same system.
    pub(super) fn generation_for(&self, system: &System) -> u64 {
        let newest = self.generations.last();
        newest.map_or(1, |(number, newest)| if newest == system { *number } else { number + 1 })
    }

    /// The generation to go back to: the one asked for, or the system before the last change.
    pub(super) fn earlier(&self, wanted: Option<u64>) -> Result<(u64, System), String> {
        let tried = self.at(self.profile) != Some(&self.running);
        let found = match wanted {
            Some(wanted) => self.generations.iter().find(|(number, _)| *number == wanted),
            None if tried => self.generations.iter().find(|(number, _)| *number == self.profile),
            None => self.generations.iter().rfind(|(number, _)| *number < self.profile),
        };
        found.cloned().ok_or_else(|| {
            let kept: Vec<_> = self.generations.iter().map(|(number, _)| number.to_string()).collect();
            let kept = kept.join(", ");
            match wanted {
                Some(wanted) => format!("there is no generation {wanted}; the host keeps {kept}"),
                None => format!("no earlier generation is kept; the host keeps {kept}"),
            }
        })
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Built(system) => {
                self.built.insert(system.path.clone());
                self.nix_free = self.nix_free.saturating_sub(600 << 20);
            }
            Change::Run(system) => self.running = system.clone(),
            Change::Persist(number, system) => {
                self.profile = *number;
                if self.at(*number).is_none() {
                    self.generations.push((*number, system.clone()));
                }
            }
            Change::UnitFails(unit) => self.failed_units.push(unit.clone()),
        }
    }

    /// Boots the generation that the profile is at.
    pub(super) fn boot(&mut self, at: Timestamp) {
        if let Some(system) = self.at(self.profile).cloned() {
            (self.booted, self.running) = (system.clone(), system);
        }
        self.boot_at = at;
        self.boot_id = boot_id();
        self.failed_units.clear();
    }

    /// What came about without any job.
    pub(super) fn age(&mut self) {
        if self.host.part == Part::Degraded {
            self.failed_units.push(FAILED_UNIT.to_owned());
        }
    }

    fn at(&self, generation: u64) -> Option<&System> {
        self.generations.iter().find(|(number, _)| *number == generation).map(|(_, system)| system)
    }
}

impl System {
    /// The system of a host at a commit.
    pub(super) fn of(host: &DemoHost, commit: &'static Commit) -> Self {
        let name = format!("nixos-system-{}-{}", host.name, host.part.release().0);
        // One name and different contents, as with real systems.
        Self { path: store::path(&name, commit.hash), commit }
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
