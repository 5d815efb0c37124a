//! What each credential may publish and subscribe to: the least that its work needs.

use super::Kind;
use crate::protocol::{self, DISCOVER, Name, PRESENCE, REPORTS};
use std::collections::BTreeSet;

/// The one tier that an assistant may change.
pub const MCP_TIER: &str = "test";

const ANSWERS: &str = "deploy.responses.ask.*";
const ALL_RESPONSES: &str = "deploy.responses.>";
const BUILDS: &str = "build.>";
const BUILD_RESPONSES: &str = "build.responses.>";

/// A credential's kind, with what its permissions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The listener of one host.
    Listener {
        /// The host.
        host: Name,
        /// Its tier.
        tier: Name,
        /// Its role.
        role: Option<Name>,
        /// Whether it hears other hosts, which confirm it after an activation.
        confirm_peers: bool,
        /// Whether it may publish where operators of the older tool hear it, and where any host can publish in any name.
        base_subjects: bool,
    },
    /// Changes the hosts of some tiers.
    Deployer {
        /// The tiers.
        tiers: BTreeSet<Name>,
        /// Whether it may ask the builder.
        builds: bool,
    },
    /// Changes the hosts of every tier and asks the builder.
    Admin {
        /// Every tier of the fleet.
        tiers: BTreeSet<Name>,
    },
    /// Looks only.
    Viewer,
    /// Builds.
    Builder,
    /// Changes the hosts of [`MCP_TIER`].
    Mcp {
        /// Whether it may ask the builder.
        builds: bool,
    },
}

impl Credential {
    /// The kind alone.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Listener { .. } => Kind::Listener,
            Self::Deployer { .. } => Kind::Deployer,
            Self::Admin { .. } => Kind::Admin,
            Self::Viewer => Kind::Viewer,
            Self::Builder => Kind::Builder,
            Self::Mcp { .. } => Kind::Mcp,
        }
    }
}

/// Subjects that are allowed, less those that are denied. Both may hold wildcards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Never empty in what [`permissions`] gives: to a server, an empty list would allow everything.
    pub allow: Vec<String>,
    /// Wins over `allow`.
    pub deny: Vec<String>,
}

/// What a credential may do. Nothing beyond it, `_INBOX` included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Where it may publish.
    pub publish: Rules,
    /// What it may subscribe to.
    pub subscribe: Rules,
}

/// The permissions of a credential.
pub fn permissions(credential: &Credential) -> Permissions {
    match credential {
        Credential::Listener { host, tier, role, confirm_peers, base_subjects } => {
            listener(host, tier, role.as_ref(), *confirm_peers, *base_subjects)
        }
        Credential::Deployer { tiers, builds } => operator(tiers.iter().map(Name::as_str), *builds),
        Credential::Admin { tiers } => operator(tiers.iter().map(Name::as_str), true),
        Credential::Mcp { builds } => operator([MCP_TIER], *builds),
        Credential::Viewer => operator([], false),
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
    let mut subjects = vec![protocol::of_host(tier, host), protocol::of_tier(tier)];
    subjects.extend(role.map(|role| protocol::of_role(tier, role)));
    subjects.push(DISCOVER.to_owned());
    let mut publish = allow([
        &format!("deploy.responses.*.{host}"),
        &format!("deploy.responses.ask.*.{host}"),
        &format!("deploy.responses.*.log.{host}"),
        PRESENCE,
    ]);
    if base_subjects {
        publish.allow.extend([REPORTS, ANSWERS].map(str::to_owned));
    }
    if confirm_peers {
        // It asks hosts to announce themselves, and hears them.
        publish.allow.push(DISCOVER.to_owned());
        subjects.push(PRESENCE.to_owned());
    }
    Permissions { publish, subscribe: Rules { allow: subjects, deny: Vec::new() } }
}

fn operator<'a>(tiers: impl IntoIterator<Item = &'a str>, builds: bool) -> Permissions {
    let mut publish = if builds { build_requests() } else { Rules::default() };
    let deploys = tiers.into_iter().map(|tier| format!("deploy.{tier}.>"));
    publish.allow = deploys.chain([DISCOVER.to_owned()]).chain(publish.allow).collect();
    Permissions { publish, subscribe: allow([ALL_RESPONSES, BUILD_RESPONSES]) }
}

/// Everything for the builder, nothing from it.
fn build_requests() -> Rules {
    Rules { deny: vec![BUILD_RESPONSES.to_owned()], ..allow([BUILDS]) }
}

fn allow<const N: usize>(subjects: [&str; N]) -> Rules {
    Rules { allow: subjects.map(str::to_owned).to_vec(), deny: Vec::new() }
}
