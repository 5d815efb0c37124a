//! Presence: what a listener reports about its host, in announcements and in replies.

use super::codec::{self, WireError};
use super::report::{truncate_interned, truncate_list, truncate_string};
use super::{Action, Components, DeployReport, EngineKind, Id, InternedStr, MAX_ENCODED, Name, QueryKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The state of a host. `hostname`, `tier`, `role` and `deploy_subjects` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The query that this replies to; absent from base hosts and in announcements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryKind>,
    /// The id of the query, repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The name of the host.
    pub hostname: Name,
    /// The tier of the host.
    pub tier: Name,
    /// The role of the host; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub role: Option<Name>,
    /// The subjects on which the host accepts requests.
    #[serde(default, deserialize_with = "codec::list")]
    pub deploy_subjects: Vec<InternedStr>,
    /// A random id of the installation, which distinguishes two hosts with the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InternedStr>,
    /// The version of the listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<InternedStr>,
    /// The name and version of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<InternedStr>,
    /// The running revision; absent unless the running system is from a recorded job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<InternedStr>,
    /// The running commit; absent unless the running system is from a recorded job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<InternedStr>,
    /// The store path of the running system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<InternedStr>,
    /// The current generation of the system profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The store path of the system that was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_system: Option<InternedStr>,
    /// Whether parts of the running system need a reboot to become active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_needed: Option<bool>,
    /// The failed systemd units.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub failed_units: Vec<String>,
    /// When the host booted, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_at: Option<Timestamp>,
    /// The flake URL that the host deploys from, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake_url: Option<InternedStr>,
    /// The free space on the file system of the nix store, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nix_free_bytes: Option<u64>,
    /// The free space on `/boot`, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_free_bytes: Option<u64>,
    /// The free space on the file system of the listener's state directory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_free_bytes: Option<u64>,
    /// Warnings for operators, as sentences.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The reason for the hold; absent if the host is not on hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Whether the listener stops and will restart automatically.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarting: Option<bool>,
    /// The running job, or else the last one, without its diagnostics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Arc<DeployReport>>,
    /// The last job that changed the system or failed to, without its diagnostics; absent if it is `job`. A dry run, a
    /// build or a cancelled job does not replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Arc<DeployReport>>,
    /// When the job that deployed the running system ended; absent unless that job is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<Timestamp>,
    /// The kind of the engine; absent from hosts that deploy complete systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineKind>,
    /// The names of the components that can be deployed alone, such as the services of Docker Compose.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// The actions beyond the base four that the listener supports, and [`Presence::SERVICES`].
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Action>,
    /// The public key that the listener connects with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<InternedStr>,
    /// The public keys whose requests the host accepts, including expired ones; empty if it accepts requests of any
    /// key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_keys: Option<Vec<String>>,
    /// The interval between announcements in seconds; 0 or absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u64>,
    /// `false` in the last announcement before the listener stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// The sequence number of the presence, across restarts; the highest one is current. Reports use the same sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The nonce of the query that requested this announcement, sent over a new connection to confirm an activation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<InternedStr>,
}

impl Presence {
    /// The capability of a listener that knows the request fields `services` and `prune`.
    pub const SERVICES: &str = "services";

    /// Creates a presence with only the base fields.
    pub fn new(
        hostname: Name,
        tier: Name,
        role: Option<Name>,
        deploy_subjects: impl IntoIterator<Item: Into<InternedStr>>,
    ) -> Self {
        Self {
            query: None,
            id: None,
            hostname,
            tier,
            role,
            deploy_subjects: deploy_subjects.into_iter().map(Into::into).collect(),
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
            booted_at: None,
            flake_url: None,
            nix_free_bytes: None,
            boot_free_bytes: None,
            state_free_bytes: None,
            warnings: Vec::new(),
            held: None,
            restarting: None,
            job: None,
            last_change: None,
            deployed_at: None,
            engine: None,
            components: Vec::new(),
            capabilities: Vec::new(),
            public_key: None,
            trusted_keys: None,
            interval_s: None,
            online: None,
            seq: None,
            confirm: None,
        }
    }

    /// Parses an announcement or a reply.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        codec::from_bytes(payload)
    }

    /// Every optional string except `held`, so that a limit of their length misses none.
    pub(crate) fn strings_mut(&mut self) -> [&mut Option<InternedStr>; 10] {
        [
            &mut self.instance,
            &mut self.version,
            &mut self.os_version,
            &mut self.revision,
            &mut self.commit,
            &mut self.system,
            &mut self.booted_system,
            &mut self.flake_url,
            &mut self.public_key,
            &mut self.confirm,
        ]
    }

    /// Encodes the presence as JSON, in less than [`MAX_ENCODED`] bytes: long strings and lists are truncated.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = codec::to_bytes(self);
        if bytes.len() < MAX_ENCODED {
            return bytes;
        }
        let mut answer = self.clone();
        for text in answer.strings_mut() {
            truncate_interned(text, 512);
        }
        truncate_string(&mut answer.held, 2 * 1024);
        truncate_list(&mut answer.failed_units, 4 * 1024);
        truncate_list(&mut answer.warnings, 3 * 1024);
        truncate_list(&mut answer.deploy_subjects, 4 * 1024);
        truncate_list(&mut answer.capabilities, 2 * 1024);
        truncate_list(&mut answer.components, 2 * 1024);
        if let Some(keys) = &mut answer.trusted_keys {
            truncate_list(keys, 4 * 1024);
        }
        let brief = |job: Arc<DeployReport>| {
            let mut job = DeployReport { changes: None, diagnostics: None, ..job.truncated() };
            job.components.truncate(1024, 64);
            Arc::new(job)
        };
        answer.job = answer.job.map(brief);
        let briefest = |job: Arc<DeployReport>| {
            Arc::new(DeployReport { progress: None, components: Components::default(), ..job.brief() })
        };
        answer.last_change = answer.last_change.map(briefest);
        codec::to_bytes(&answer)
    }

    /// Whether the listener supports `action`: always for the base four, except that Docker Compose has no next boot,
    /// and for others if it lists them.
    pub fn can(&self, action: &Action) -> bool {
        let is_base = Action::BASE.contains(action);
        (is_base && !(self.is_compose() && matches!(action, Action::Boot | Action::Test)))
            || self.capabilities.contains(action)
    }

    /// Whether the host runs services with Docker Compose.
    pub fn is_compose(&self) -> bool {
        self.engine == Some(EngineKind::Compose)
    }

    /// What `failed_units` lists on this host.
    pub fn unit_noun(&self) -> &'static str {
        if self.is_compose() { "service" } else { "unit" }
    }

    /// Whether the listener knows the request fields `services` and `prune`. Another listener ignores them.
    pub fn knows_services(&self) -> bool {
        self.capabilities.iter().any(|capability| capability.as_str() == Self::SERVICES)
    }
}
