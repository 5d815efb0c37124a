//! One simulated host: its name, its part, and the configuration of its listener.

use super::part::Part;
use crate::bus::{Seed, SeedError, Settings, SettingsError};
use crate::jobs::HealthRules;
use crate::listener::Config;
use crate::protocol::{DISCOVER, Name, NameError, of_host, of_role, of_tier};
use std::path::PathBuf;
use std::time::Duration;

/// The roles, each with the tier of its hosts.
const ROLES: [(&str, &str); 4] = [("cache", "test"), ("ci", "test"), ("dns", "prod"), ("web", "prod")];
/// Where the key of a host lies, as its listener would tell.
const KEY_FILE: &str = "/var/lib/homelab-deploy/nkey";

/// A simulated host.
#[derive(Debug, Clone)]
pub(super) struct DemoHost {
    pub(super) name: Name,
    pub(super) tier: Name,
    pub(super) role: Name,
    pub(super) part: Part,
}

impl DemoHost {
    /// The n-th host: the roles in turn.
    pub(super) fn numbered(n: usize) -> Result<Self, NameError> {
        let ((role, tier), round) = (ROLES[n % ROLES.len()], n / ROLES.len());
        Ok(Self {
            name: Name::new(format!("{role}{}", round + 1))?,
            tier: Name::new(tier)?,
            role: Name::new(role)?,
            part: Part::of(role, round),
        })
    }

    pub(super) fn config(
        &self,
        url: &str,
        seed: Seed,
        flake: &str,
        state_dir: PathBuf,
    ) -> Result<Config, SettingsError> {
        let Self { name, tier, role, part } = self;
        let careless = *part == Part::Unplugged;
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
            runtime_dir: state_dir.join("run"),
            state_dir,
            confirm_peers: None,
            rules: HealthRules::default(),
            flake_url: Some(flake.to_owned()),
            metrics: None,
            trusted_keys: Vec::new(),
            warnings: careless.then(|| SeedError::Exposed(KEY_FILE.into()).to_string()).into_iter().collect(),
        })
    }
}
