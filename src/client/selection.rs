//! Selects hosts: by subject, alias or name, or all of a role or tier.

use crate::fleet::{Fleet, Host};
use crate::ordered::CollectOrdered;
use crate::protocol::{Name, Presence, SubjectError, check_request_subject, overlaps};
use crate::text::{closest_matches, did_you_mean};
use std::collections::BTreeSet;

/// One target that an operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A subject, which is used as it is.
    Subject(String),
    /// A hostname.
    Host(Name),
    /// The host that an alias refers to.
    Alias(Name),
}

/// The meaning of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// A subject, a host, or another alias.
    pub meaning: String,
    /// Where the alias is defined, for errors.
    pub source: String,
}

/// The hosts that an operator selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Subjects and hosts, one by one.
    Targets(Vec<Target>),
    /// Hosts that were selected together, such as those of a tier.
    Group(Vec<Name>),
    /// Every host, or those of a tier and of a role.
    All {
        /// Tier to match; `None` for any.
        tier: Option<Name>,
        /// Role to match; `None` for any.
        role: Option<Name>,
    },
}

/// Why a selection is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// The subject cannot be published to.
    #[error("the target {0}")]
    Subject(#[from] SubjectError),
    /// Not a subject, an alias or a valid hostname.
    #[error("invalid target {0:?}: expected a subject (deploy.<tier>.<host>), an alias or a host")]
    InvalidTarget(String),
    /// An alias refers to itself, directly or through other aliases.
    #[error("alias {name:?} refers to itself: {}; change one of them", chain.join(", "))]
    AliasLoop {
        /// The alias in the loop.
        name: String,
        /// Each alias of the loop, with its meaning and source.
        chain: Vec<String>,
    },
    /// The host neither replies nor is in the inventory.
    #[error("unknown host {name}{}; `homelab-deploy hosts` lists the known hosts", did_you_mean(.near))]
    UnknownHost {
        /// The name that was selected.
        name: Name,
        /// Known hosts with similar names.
        near: Vec<String>,
    },
}

impl Target {
    /// Parses a target: a string with a dot is a subject; otherwise it is an alias or a host. `alias` looks up aliases.
    pub fn parse(text: &str, alias: impl Fn(&str) -> Option<Alias>) -> Result<Self, SelectionError> {
        let mut text = text.to_owned();
        let (mut passed, mut chain) = (Vec::new(), Vec::new());
        loop {
            if text.contains('.') {
                check_request_subject(&text)?;
                return Ok(Self::Subject(text));
            }
            let Some(Alias { meaning, source }) = alias(&text) else { break };
            chain.push(format!("{text} is {meaning} ({source})"));
            passed.push(text);
            text = meaning;
            if passed.contains(&text) {
                return Err(SelectionError::AliasLoop { name: text, chain });
            }
        }
        let host = if passed.is_empty() { Self::Host } else { Self::Alias };
        Name::new(text.as_str()).map(host).map_err(|_| SelectionError::InvalidTarget(text))
    }
}

/// The known hosts of a selection. Fails if a named host is unknown.
pub fn hosts_of(selection: &Selection, fleet: &Fleet) -> Result<BTreeSet<Name>, SelectionError> {
    let mut hosts = BTreeSet::new();
    let targets = match selection {
        Selection::All { tier, role } => {
            let of = |host: &&Host| is_of(host, tier.as_ref(), role.as_ref());
            hosts.extend(fleet.hosts.values().filter(of).map(|host| host.name.clone()));
            return Ok(hosts);
        }
        Selection::Group(group) => return Ok(group.iter().cloned().collect_set()),
        Selection::Targets(targets) => targets,
    };
    for target in targets {
        match target {
            Target::Subject(subject) => {
                hosts.extend(listeners_on(subject, fleet).map(|answer| answer.hostname.clone()));
            }
            Target::Host(name) | Target::Alias(name) if fleet.hosts.contains_key(name) => {
                hosts.insert(name.clone());
            }
            Target::Host(name) | Target::Alias(name) => return Err(SelectionError::unknown(name, fleet)),
        }
    }
    Ok(hosts)
}

/// Whether the host has this tier and role; `None` matches any.
pub(super) fn is_of(host: &Host, tier: Option<&Name>, role: Option<&Name>) -> bool {
    (tier.is_none() || host.tier.as_ref() == tier) && (role.is_none() || host.role.as_ref() == role)
}

/// The known hosts that listen on a subject.
pub(super) fn listeners_on<'a>(subject: &str, fleet: &'a Fleet) -> impl Iterator<Item = &'a Presence> {
    let listens = |answer: &&Presence| answer.deploy_subjects.iter().any(|own| overlaps(own, subject));
    fleet.hosts.values().filter_map(|host| host.answer.as_deref()).filter(listens)
}

impl SelectionError {
    /// The error for an unknown host, with similar names of the fleet.
    pub fn unknown(name: &Name, fleet: &Fleet) -> Self {
        let near = closest_matches(name.as_str(), fleet.hosts.keys().map(Name::as_str));
        Self::UnknownHost { name: name.clone(), near: near.into_iter().map(str::to_owned).collect() }
    }
}
