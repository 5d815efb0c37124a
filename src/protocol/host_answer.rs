//! The host answer: what a listener tells of its host, when asked and by itself.

use super::report::{cut_list, cut_shared, cut_text};
use super::wire::{self, WireError};
use super::{Action, DeployReport, Id, MAX_ENCODED, Name, SharedText, Want};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a listener tells of its host. The first four fields after `want` and `id` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAnswer {
    /// Which question this answers; absent from base hosts and in announcements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Want>,
    /// The id that was asked for, echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The host.
    pub hostname: Name,
    /// Its tier.
    pub tier: Name,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub role: Option<Name>,
    /// Where it takes requests.
    #[serde(default, deserialize_with = "wire::list")]
    pub deploy_subjects: Vec<String>,
    /// Tells two hosts that claim one name apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<SharedText>,
    /// The listener's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<SharedText>,
    /// The operating system's own name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<SharedText>,
    /// The revision that runs; only where the running system is that of a recorded job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<SharedText>,
    /// The commit that runs; only where the running system is that of a recorded job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<SharedText>,
    /// The store path of the running system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SharedText>,
    /// The generation of the system profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The store path of the system that was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_system: Option<SharedText>,
    /// Whether a reboot is needed for the whole of the running system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_needed: Option<bool>,
    /// Units that have failed.
    #[serde(default, deserialize_with = "wire::list", skip_serializing_if = "Vec::is_empty")]
    pub failed_units: Vec<String>,
    /// When the host booted, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_at: Option<Timestamp>,
    /// The flake it deploys, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake_url: Option<SharedText>,
    /// Free bytes where the nix store lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nix_free_bytes: Option<u64>,
    /// Free bytes on `/boot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_free_bytes: Option<u64>,
    /// What its operator should know, in sentences.
    #[serde(default, deserialize_with = "wire::list", skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why the host is held; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The listener goes away and comes back by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarting: Option<bool>,
    /// The running or else the last job, without its diagnostics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Arc<DeployReport>>,
    /// Actions beyond the base four that this listener can do.
    #[serde(default, deserialize_with = "wire::list", skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Action>,
    /// The public key that the listener connects with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<SharedText>,
    /// The public keys whose requests it takes, expired ones too; empty if it leaves that to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_keys: Option<Vec<String>>,
    /// Seconds between two announcements; 0 or absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u64>,
    /// `false` in the last announcement before a stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// Orders what one host says of itself, across restarts; higher wins. Reports count on the same scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The nonce of the host that asked for this announcement, which came over a fresh connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<SharedText>,
}

impl HostAnswer {
    /// An answer with only the base fields.
    pub fn new(hostname: Name, tier: Name, role: Option<Name>, deploy_subjects: Vec<String>) -> Self {
        Self {
            want: None,
            id: None,
            hostname,
            tier,
            role,
            deploy_subjects,
            instance: None,
            version: None,
            os_version: None,
            revision: None,
            commit: None,
            system: None,
            generation: None,
            booted_system: None,
            reboot_needed: None,
            failed_units: Vec::new(),
            boot_at: None,
            flake_url: None,
            nix_free_bytes: None,
            boot_free_bytes: None,
            warnings: Vec::new(),
            held: None,
            restarting: None,
            job: None,
            capabilities: Vec::new(),
            public_key: None,
            trusted_keys: None,
            interval_s: None,
            online: None,
            seq: None,
            confirm: None,
        }
    }

    /// Reads an announcement or a host answer.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        wire::from_bytes(payload)
    }

    /// The JSON of the answer, under [`MAX_ENCODED`]: long texts and lists are cut.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = wire::to_bytes(self);
        if bytes.len() < MAX_ENCODED {
            return bytes;
        }
        let mut answer = self.clone();
        for text in [
            &mut answer.instance,
            &mut answer.version,
            &mut answer.os_version,
            &mut answer.revision,
            &mut answer.commit,
            &mut answer.system,
            &mut answer.booted_system,
            &mut answer.flake_url,
            &mut answer.public_key,
            &mut answer.confirm,
        ] {
            cut_shared(text, 512);
        }
        cut_text(&mut answer.held, 2 * 1024);
        cut_list(&mut answer.failed_units, 4 * 1024);
        cut_list(&mut answer.warnings, 8 * 1024);
        cut_list(&mut answer.deploy_subjects, 8 * 1024);
        cut_list(&mut answer.capabilities, 2 * 1024);
        if let Some(keys) = &mut answer.trusted_keys {
            cut_list(keys, 8 * 1024);
        }
        let job = answer.job.take();
        answer.job = job.map(|job| Arc::new(DeployReport { changes: None, diagnostics: None, ..job.cut() }));
        wire::to_bytes(&answer)
    }

    /// Whether the listener can do `action`: the base four always, others where it says so.
    pub fn can(&self, action: &Action) -> bool {
        Action::BASE.contains(action) || self.capabilities.contains(action)
    }
}
