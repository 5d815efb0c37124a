//! The subjects that each credential may publish and subscribe to: the minimum that it needs.

use super::CredentialKind;
use crate::protocol::{self, DISCOVER, Name, PRESENCE, REPORTS, ROLLOUT_CONTROLS, ROLLOUTS};
use std::collections::BTreeSet;

/// The only tier that an AI assistant may change.
pub const MCP_TIER: &str = "test";

const REPLIES: &str = "deploy.responses.ask.*";
const ALL_RESPONSES: &str = "deploy.responses.>";
const BUILDS: &str = "build.>";
const BUILD_RESPONSES: &str = "build.responses.>";

/// A credential's kind, with the data that its permissions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A listener of one host.
    Listener {
        /// The host that it runs on.
        host: Name,
        /// The tier of the host.
        tier: Name,
        /// The role of the host.
        role: Option<Name>,
        /// Whether it exchanges presence with other hosts to confirm an activation.
        confirm_peers: bool,
        /// Whether it may publish on the reply subjects of the older tool, on which any host can use any name.
        base_subjects: bool,
    },
    /// An operator who changes the hosts of some tiers.
    Deployer {
        /// The tiers that it may change.
        tiers: BTreeSet<Name>,
        /// Whether it may send requests to the builder.
        builds: bool,
    },
    /// An operator who changes the hosts of every tier and sends requests to the builder.
    Admin {
        /// All tiers of the fleet.
        tiers: BTreeSet<Name>,
    },
    /// An operator with read-only access.
    Viewer,
    /// The builder of the fleet.
    Builder,
    /// An AI assistant that changes the hosts of [`MCP_TIER`].
    Mcp {
        /// Whether it may send requests to the builder.
        builds: bool,
    },
}

impl Credential {
    /// The kind, without its data.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Listener { .. } => CredentialKind::Listener,
            Self::Deployer { .. } => CredentialKind::Deployer,
            Self::Admin { .. } => CredentialKind::Admin,
            Self::Viewer => CredentialKind::Viewer,
            Self::Builder => CredentialKind::Builder,
            Self::Mcp { .. } => CredentialKind::Mcp,
        }
    }
}

/// Allowed subjects, minus denied ones. Both may contain wildcards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectRules {
    /// Never empty in the result of [`permissions`], because an empty list would allow everything.
    pub allow: Vec<String>,
    /// Takes precedence over `allow`.
    pub deny: Vec<String>,
}

/// The subjects that a credential may use. All others are forbidden, including `_INBOX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// The subjects that it may publish on.
    pub publish: SubjectRules,
    /// The subjects that it may subscribe to.
    pub subscribe: SubjectRules,
}

/// Returns the permissions of a credential.
pub fn permissions(credential: &Credential) -> Permissions {
    match credential {
        Credential::Listener { host, tier, role, confirm_peers, base_subjects } => {
            listener(host, tier, role.as_ref(), *confirm_peers, *base_subjects)
        }
        Credential::Deployer { tiers, builds } => {
            operator(tiers.iter().map(Name::as_str), *builds, &[ROLLOUTS, ROLLOUT_CONTROLS])
        }
        Credential::Admin { tiers } => {
            operator(tiers.iter().map(Name::as_str), true, &[ROLLOUTS, ROLLOUT_CONTROLS])
        }
        // It runs rollouts, but does not control those of others.
        Credential::Mcp { builds } => operator([MCP_TIER], *builds, &[ROLLOUTS]),
        Credential::Viewer => operator([], false, &[]),
        Credential::Builder => Permissions { publish: allow([BUILD_RESPONSES]), subscribe: build_requests() },
    }
}

fn listener(
    host: &Name,
    tier: &Name,
    role: Option<&Name>,
    confirm_peers: bool,
    base_subjects: bool,
) -> Permissions {
    let mut subjects = vec![protocol::host_subject(tier, host), protocol::tier_subject(tier)];
    subjects.extend(role.map(|role| protocol::role_subject(tier, role)));
    subjects.push(DISCOVER.to_owned());
    let mut publish = allow([
        &format!("deploy.responses.*.{host}"),
        &format!("deploy.responses.ask.*.{host}"),
        &format!("deploy.responses.*.log.{host}"),
        PRESENCE,
    ]);
    if base_subjects {
        publish.allow.extend([REPORTS, REPLIES].map(str::to_owned));
    }
    if confirm_peers {
        // It requests presence from other hosts and receives it.
        publish.allow.push(DISCOVER.to_owned());
        subjects.push(PRESENCE.to_owned());
    }
    Permissions { publish, subscribe: SubjectRules { allow: subjects, deny: Vec::new() } }
}

/// `rollouts` are the subjects of rollouts that it may publish on; one that runs rollouts receives commands to them.
fn operator<'a>(tiers: impl IntoIterator<Item = &'a str>, builds: bool, rollouts: &[&str]) -> Permissions {
    let mut publish = if builds { build_requests() } else { SubjectRules::default() };
    let deploys = tiers.into_iter().map(|tier| format!("deploy.{tier}.>"));
    let rollouts_published = rollouts.iter().map(|subject| (*subject).to_owned());
    publish.allow =
        deploys.chain([DISCOVER.to_owned()]).chain(rollouts_published).chain(publish.allow).collect();
    let mut subscribe = allow([ALL_RESPONSES, BUILD_RESPONSES, ROLLOUTS]);
    if !rollouts.is_empty() {
        subscribe.allow.push(ROLLOUT_CONTROLS.to_owned());
    }
    Permissions { publish, subscribe }
}

/// Everything sent to the builder, and nothing sent by it.
fn build_requests() -> SubjectRules {
    SubjectRules { deny: vec![BUILD_RESPONSES.to_owned()], ..allow([BUILDS]) }
}

fn allow<const N: usize>(subjects: [&str; N]) -> SubjectRules {
    SubjectRules { allow: subjects.map(str::to_owned).to_vec(), deny: Vec::new() }
}
