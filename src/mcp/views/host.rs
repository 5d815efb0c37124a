//! A host as an assistant sees it.

use super::{JobView, all_told, told};
use crate::fleet::Host;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A host.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct HostView {
    /// Its name.
    hostname: String,
    /// Its tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// Its role.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// online, stale (silent for three of its intervals), offline or restarting.
    presence: String,
    /// The last sign of life.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<String>,
    /// The branch, tag or commit that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// The commit that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// The generation of its system profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// The operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
    /// The version of its listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener_version: Option<String>,
    /// Whether it must be rebooted for all of its system to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    reboot_needed: Option<bool>,
    /// Units of systemd that have failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_units: Vec<String>,
    /// What its operator should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Why it takes no deployments.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    /// true: two listeners answer to this name, and nothing can be deployed to it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    two_of_one_name: bool,
    /// Its running or last job, in short; host_status tells all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobView>,
}

impl HostView {
    pub(in crate::mcp) fn new(host: &Host, now: Timestamp) -> Self {
        let answer = host.answer.as_deref();
        Self {
            hostname: host.name.to_string(),
            tier: host.tier.as_ref().map(ToString::to_string),
            role: host.role.as_ref().map(ToString::to_string),
            presence: host.presence(now).as_str().to_owned(),
            last_seen: host.seen.as_ref().map(Timestamp::to_string),
            branch: told(answer.and_then(|answer| answer.revision.as_deref())),
            commit: told(answer.and_then(|answer| answer.commit.as_deref())),
            generation: answer.and_then(|answer| answer.generation),
            os_version: told(answer.and_then(|answer| answer.os_version.as_deref())),
            listener_version: told(answer.and_then(|answer| answer.version.as_deref())),
            reboot_needed: answer.and_then(|answer| answer.reboot_needed),
            failed_units: answer.map(|answer| all_told(&answer.failed_units)).unwrap_or_default(),
            warnings: answer.map(|answer| all_told(&answer.warnings)).unwrap_or_default(),
            held: told(answer.and_then(|answer| answer.held.as_deref())),
            two_of_one_name: host.claimants(now).len() > 1,
            job: host.job.as_deref().map(JobView::short),
        }
    }
}
