//! One simulated host: its name, its configuration, and a past.

use super::SimulatedEngine;
use crate::activation::Engine;
use crate::bus::{Seed, Settings, SettingsError};
use crate::jobs::{Record, Store, StoreError};
use crate::listener::Config;
use crate::protocol::{
    Action, DISCOVER, DeployReport, DeployRequest, Id, Name, NameError, PhaseState, Phases, Revision, Status,
    of_host, of_role, of_tier,
};
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The roles, each with the tier of its hosts.
const ROLES: [(&str, &str); 4] = [("cache", "test"), ("ci", "test"), ("dns", "prod"), ("web", "prod")];

/// A simulated host.
#[derive(Debug, Clone)]
pub(super) struct DemoHost {
    pub(super) name: Name,
    pub(super) tier: Name,
    pub(super) role: Name,
    /// Whether its deployments fail.
    pub(super) fails: bool,
}

impl DemoHost {
    /// The n-th host: the roles in turn. In each dozen one cache and one web server fail.
    pub(super) fn numbered(n: usize) -> Result<Self, NameError> {
        let ((role, tier), round) = (ROLES[n % ROLES.len()], n / ROLES.len());
        Ok(Self {
            name: Name::new(format!("{role}{}", round + 1))?,
            tier: Name::new(tier)?,
            role: Name::new(role)?,
            fails: matches!((role, round % 3), ("cache", 1) | ("web", 2)),
        })
    }

    pub(super) fn config(&self, url: &str, seed: Seed, state_dir: PathBuf) -> Result<Config, SettingsError> {
        let Self { name, tier, role, .. } = self;
        Ok(Config {
            hostname: name.clone(),
            tier: tier.clone(),
            role: Some(role.clone()),
            deploy_subjects: vec![of_host(tier, name), of_tier(tier), of_role(tier, role)],
            discover_subject: DISCOVER.to_owned(),
            settings: Settings::new(url, Some(seed), &format!("homelab-deploy demo {name}"), DISCOVER)?,
            timeout: Duration::from_mins(10),
            heartbeat: Duration::from_secs(2),
            presence: Duration::from_secs(10),
            state_dir,
            flake_url: Some("git+https://git.example.org/fleet".to_owned()),
            warnings: Vec::new(),
        })
    }

    /// Gives the host a past, so that it can tell what it runs.
    pub(super) fn seed_history(&self, state: &Path, engine: &SimulatedEngine) -> Result<(), StoreError> {
        let (store, _) = Store::open(state)?;
        let (Ok(id), Ok(revision)) = (Id::new(format!("before-{}", self.name)), Revision::new("main")) else {
            return Ok(());
        };
        let hours = 30 + i64::try_from(self.name.as_str().len()).unwrap_or(0) * 7;
        let then = Timestamp::now()
            .saturating_sub(SignedDuration::from_hours(hours))
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let request = DeployRequest::new(Action::Switch, Some(revision), id.clone());
        let facts = engine.facts();
        let mut phases = Phases::pending();
        for phase in &mut phases.0 {
            phase.state = PhaseState::Done;
        }
        let report = DeployReport {
            id: Some(id.clone()),
            action: Some(Action::Switch),
            revision: Some("main".to_owned()),
            commit: Some("3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01".to_owned()),
            at: Some(then),
            elapsed_ms: Some(48_000),
            system: facts.system,
            generation: facts.generation,
            seq: Some(1),
            instance: Some(store.identity().instance.clone()),
            phases,
            ..DeployReport::new(self.name.clone(), Status::Completed, "switch done")
        };
        let record = Record::new(request, then, then, store.identity().starts, report);
        store.save(&record)?;
        store.mark_sent(&id, then)
    }
}
