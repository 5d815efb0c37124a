//! What a listener is told when it starts.

use super::Peers;
use crate::bus::Settings;
use crate::jobs::HealthRules;
use crate::keys::TrustedKey;
use crate::metrics::Address;
use crate::protocol::{Name, TemplateError, expand, overlaps};
use std::path::PathBuf;
use std::time::Duration;

/// Everything a listener needs to know, apart from its engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// The host's name.
    pub hostname: Name,
    /// Its tier.
    pub tier: Name,
    /// Its role.
    pub role: Option<Name>,
    /// Where it takes requests.
    pub deploy_subjects: Vec<String>,
    /// Where it takes questions.
    pub discover_subject: String,
    /// The server and the key.
    pub settings: Settings,
    /// How long prepare, build and check may take together.
    pub timeout: Duration,
    /// How long a running job may go without a report.
    pub heartbeat: Duration,
    /// How long between two announcements; zero for none.
    pub presence: Duration,
    /// Where jobs are kept.
    pub state_dir: PathBuf,
    /// Where is kept what the state directory does not take; it ends with the boot.
    pub runtime_dir: PathBuf,
    /// Which hosts count as another client, if only another client can confirm this host; a host whose NATS server is its
    /// own needs one in any case.
    pub confirm_peers: Option<Peers>,
    /// By which rules its system is judged after an activation.
    pub rules: HealthRules,
    /// The flake it deploys, without credentials.
    pub flake_url: Option<String>,
    /// Where metrics are served; `None` where nothing is measured.
    pub metrics: Option<Address>,
    /// Whose requests it takes, and until when; empty where it leaves that to the server.
    pub trusted_keys: Vec<TrustedKey>,
    /// What its operators should know from the start.
    pub warnings: Vec<String>,
}

/// Why a listener cannot be configured so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A subject that cannot be used.
    #[error(transparent)]
    Subject(#[from] TemplateError),
    /// Every configured subject needs a role.
    #[error("no subject is left to listen on: each of them needs a role, and this host has none")]
    NoSubject,
    /// A request that comes twice would be refused as one that was seen before.
    #[error(
        "{0:?} and {1:?} overlap, so that a request could come twice; with --trusted-key leave one of them out"
    )]
    Overlap(String, String),
}

impl Config {
    /// Expands the configured deploy subjects, leaving out those that need a role where there is none.
    pub fn subjects(
        templates: &[String],
        host: &Name,
        tier: &Name,
        role: Option<&Name>,
    ) -> Result<Vec<String>, ConfigError> {
        let mut subjects = Vec::new();
        for template in templates {
            if let Some(subject) = expand(template, host, tier, role, true)?
                && !subjects.contains(&subject)
            {
                subjects.push(subject);
            }
        }
        if subjects.is_empty() { Err(ConfigError::NoSubject) } else { Ok(subjects) }
    }

    /// Refuses subjects of which two carry the same request.
    pub fn check_apart(subjects: &[String]) -> Result<(), ConfigError> {
        for (n, a) in subjects.iter().enumerate() {
            if let Some(b) = subjects[n + 1..].iter().find(|b| overlaps(a, b)) {
                return Err(ConfigError::Overlap(a.clone(), b.clone()));
            }
        }
        Ok(())
    }
}
