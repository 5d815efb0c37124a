//! Which hosts an operator means: subjects, aliases, names, or all of a role or tier.

use crate::fleet::{Fleet, Host};
use crate::protocol::{HostAnswer, Name, SubjectError, check_literal, near, overlaps};
use std::collections::BTreeSet;

/// One thing an operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A subject, sent to as it is.
    Subject(String),
    /// A host.
    Host(Name),
    /// A host that an alias stands for.
    Alias(Name),
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// A subject, a host, or another alias.
    pub meaning: String,
    /// Where that is said, for errors.
    pub source: String,
}

/// What an operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Subjects and hosts one by one.
    Targets(Vec<Target>),
    /// Hosts that were chosen together, such as those of a tier.
    Group(Vec<Name>),
    /// Every host, or those of a tier and of a role.
    All {
        /// The tier.
        tier: Option<Name>,
        /// The role.
        role: Option<Name>,
    },
}

/// Why a selection makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A subject that nothing can be sent to.
    #[error("the target {0}")]
    Subject(#[from] SubjectError),
    /// Neither subject nor alias nor possible name.
    #[error("{0:?} is no target: name a subject (deploy.<tier>.<host>), an alias or a host")]
    NotATarget(String),
    /// An alias that leads back to itself.
    #[error("the alias {name:?} leads back to itself: {}; change one of them", way.join(", "))]
    AliasLoop {
        /// The alias.
        name: String,
        /// What stands for what, and where that is said.
        way: Vec<String>,
    },
    /// Nobody knows this host.
    #[error("no host {name} answers or is known{}; `homelab-deploy hosts` lists them", did_you_mean(.near))]
    UnknownHost {
        /// What was asked for.
        name: Name,
        /// Known names that look like it.
        near: Vec<String>,
    },
}

fn did_you_mean(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" (did you mean {}?)", names.join(", ")) }
}

impl Target {
    /// Reads a target: a subject holds a dot; then come aliases, then hosts. `alias` looks an alias up.
    pub fn parse(text: &str, alias: impl Fn(&str) -> Option<Alias>) -> Result<Self, SelectionError> {
        let mut text = text.to_owned();
        let (mut passed, mut way) = (Vec::new(), Vec::new());
        loop {
            if text.contains('.') {
                check_literal(&text)?;
                return Ok(Self::Subject(text));
            }
            let Some(Alias { meaning, source }) = alias(&text) else { break };
            way.push(format!("{text} is {meaning} ({source})"));
            passed.push(text);
            text = meaning;
            if passed.contains(&text) {
                return Err(SelectionError::AliasLoop { name: text, way });
            }
        }
        let host = if passed.is_empty() { Self::Host } else { Self::Alias };
        Name::new(text.as_str()).map(host).map_err(|_| SelectionError::NotATarget(text))
    }
}

/// The hosts that a selection means, known ones all.
pub fn hosts_of(selection: &Selection, fleet: &Fleet) -> Result<BTreeSet<Name>, SelectionError> {
    let mut hosts = BTreeSet::new();
    let targets = match selection {
        Selection::All { tier, role } => {
            let of = |host: &&Host| is_of(host, tier.as_ref(), role.as_ref());
            hosts.extend(fleet.hosts.values().filter(of).map(|host| host.name.clone()));
            return Ok(hosts);
        }
        Selection::Group(group) => return Ok(group.iter().cloned().collect()),
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

/// Whether the host is of this tier and role, where they are given.
pub(super) fn is_of(host: &Host, tier: Option<&Name>, role: Option<&Name>) -> bool {
    (tier.is_none() || host.tier.as_ref() == tier) && (role.is_none() || host.role.as_ref() == role)
}

/// What is known of the hosts that listen on a subject.
pub(super) fn listeners_on<'a>(subject: &str, fleet: &'a Fleet) -> impl Iterator<Item = &'a HostAnswer> {
    let listens = |answer: &&HostAnswer| answer.deploy_subjects.iter().any(|own| overlaps(own, subject));
    fleet.hosts.values().filter_map(|host| host.answer.as_deref()).filter(listens)
}

impl SelectionError {
    /// Nobody knows this host; those of the fleet may be meant.
    pub fn unknown(name: &Name, fleet: &Fleet) -> Self {
        let near = near(name.as_str(), fleet.hosts.keys().map(Name::as_str));
        Self::UnknownHost { name: name.clone(), near: near.into_iter().map(str::to_owned).collect() }
    }
}
