//! One simulated host: its name, its scenario, and the configuration of its listener.

use super::scenario::Scenario;
use crate::jobs::HealthRules;
use crate::listener::ListenerConfig;
use crate::nats::{ConnectionSettings, ConnectionSettingsError, Nkey, NkeyError};
use crate::protocol::{DISCOVER, Name, NameError, host_subject, role_subject, tier_subject};
use std::path::PathBuf;
use std::time::Duration;

/// The roles, each with the tier of its hosts.
const ROLES: [(&str, &str); 4] = [("cache", "test"), ("ci", "test"), ("dns", "prod"), ("web", "prod")];
/// The hosts with Docker Compose come after the first twelve hosts: their role, and their tiers.
const COMPOSE_ROLE: &str = "home";
const COMPOSE_TIERS: [&str; 2] = ["test", "prod"];
const COMPOSE_FROM: usize = 12;
/// Path of a host's credential, as its listener would report it.
const KEY_FILE: &str = "/var/lib/homelab-deploy/nkey";

/// A simulated host.
#[derive(Debug, Clone)]
pub(super) struct DemoHost {
    pub(super) name: Name,
    pub(super) tier: Name,
    pub(super) role: Name,
    pub(super) scenario: Scenario,
}

impl DemoHost {
    /// The n-th host; the roles alternate, and two hosts have Docker Compose.
    pub(super) fn numbered(n: usize) -> Result<Self, NameError> {
        let after = n.checked_sub(COMPOSE_FROM);
        if let Some((number, tier)) = after.and_then(|after| Some((after + 1, COMPOSE_TIERS.get(after)?))) {
            return Ok(Self {
                name: Name::new(format!("{COMPOSE_ROLE}{number}"))?,
                tier: Name::new(*tier)?,
                role: Name::new(COMPOSE_ROLE)?,
                scenario: Scenario::Compose,
            });
        }
        let n = if after.is_some() { n - COMPOSE_TIERS.len() } else { n };
        let ((role, tier), round) = (ROLES[n % ROLES.len()], n / ROLES.len());
        Ok(Self {
            name: Name::new(format!("{role}{}", round + 1))?,
            tier: Name::new(tier)?,
            role: Name::new(role)?,
            scenario: Scenario::of(role, round),
        })
    }

    pub(super) fn config(
        &self,
        url: &str,
        seed: Nkey,
        flake: &str,
        state_dir: PathBuf,
    ) -> Result<ListenerConfig, ConnectionSettingsError> {
        let Self { name, tier, role, .. } = self;
        Ok(ListenerConfig {
            hostname: name.clone(),
            tier: tier.clone(),
            role: Some(role.clone()),
            deploy_subjects: vec![host_subject(tier, name), tier_subject(tier), role_subject(tier, role)],
            discover_subject: DISCOVER.to_owned(),
            settings: ConnectionSettings::new(
                url,
                Some(seed),
                &format!("homelab-deploy demo {name}"),
                DISCOVER,
            )?,
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
            warnings: self.warnings(),
        })
    }

    /// The warnings of its listener.
    pub(super) fn warnings(&self) -> Vec<String> {
        let has_warning = self.scenario == Scenario::PowerLoss;
        has_warning.then(|| NkeyError::WorldReadable(KEY_FILE.into()).to_string()).into_iter().collect()
    }
}
