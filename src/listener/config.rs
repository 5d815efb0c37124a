//! The configuration of a listener.

use super::ConfirmPeers;
use crate::jobs::HealthRules;
use crate::keys::TrustedKey;
use crate::metrics::Address;
use crate::nats::ConnectionSettings;
use crate::protocol::{Name, TemplateError, expand_template, overlaps};
use std::path::PathBuf;
use std::time::Duration;

/// The complete configuration of a listener, except its engine.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// The host's name.
    pub hostname: Name,
    /// The tier of the host.
    pub tier: Name,
    /// The role of the host, if it has one.
    pub role: Option<Name>,
    /// Subjects on which it receives requests, with all placeholders expanded.
    pub deploy_subjects: Vec<String>,
    /// Subject on which it receives queries.
    pub discover_subject: String,
    /// The NATS servers and the credential.
    pub settings: ConnectionSettings,
    /// Maximum total duration of prepare, build and check.
    pub timeout: Duration,
    /// Maximum interval between two reports of a running job.
    pub heartbeat: Duration,
    /// Interval between two presence messages; zero disables them.
    pub presence: Duration,
    /// Directory for jobs and other persistent state.
    pub state_dir: PathBuf,
    /// Fallback directory if the state directory cannot be written; its content is lost at a reboot.
    pub runtime_dir: PathBuf,
    /// Which hosts can confirm this one. If unset, another client is required only if the NATS server runs on this
    /// host, and any host can confirm it.
    pub confirm_peers: Option<ConfirmPeers>,
    /// The rules that judge the system after an activation.
    pub rules: HealthRules,
    /// The flake that it deploys, without credentials.
    pub flake_url: Option<String>,
    /// Address of the metrics server; `None` disables metrics.
    pub metrics: Option<Address>,
    /// Keys whose requests are accepted, with their expiry; empty if the NATS server's permissions alone decide.
    pub trusted_keys: Vec<TrustedKey>,
    /// Warnings to show to operators from the start.
    pub warnings: Vec<String>,
}

/// The configuration of a listener is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenerConfigError {
    /// A subject template is invalid.
    #[error(transparent)]
    Subject(#[from] TemplateError),
    /// Every configured subject contains `<role>`, but the host has no role.
    #[error("no deploy subject is left: each one contains <role>, but this host has no role; set --role")]
    NoSubject,
    /// Two subjects overlap: a request that arrives on both would be rejected as a replay.
    #[error("{0:?} and {1:?} overlap, so a request could arrive twice; remove one of them, or --trusted-key")]
    Overlap(String, String),
}

impl ListenerConfig {
    /// Expands the configured deploy subjects. Templates with `<role>` are skipped if the host has no role.
    pub fn subjects(
        templates: &[String],
        host: &Name,
        tier: &Name,
        role: Option<&Name>,
    ) -> Result<Vec<String>, ListenerConfigError> {
        let mut subjects = Vec::new();
        for template in templates {
            if let Some(subject) = expand_template(template, host, tier, role, true)?
                && !subjects.contains(&subject)
            {
                subjects.push(subject);
            }
        }
        if subjects.is_empty() { Err(ListenerConfigError::NoSubject) } else { Ok(subjects) }
    }

    /// Rejects subjects of which two match the same message.
    pub fn check_apart(subjects: &[String]) -> Result<(), ListenerConfigError> {
        for (n, a) in subjects.iter().enumerate() {
            if let Some(b) = subjects[n + 1..].iter().find(|b| overlaps(a, b)) {
                return Err(ListenerConfigError::Overlap(a.clone(), b.clone()));
            }
        }
        Ok(())
    }
}
