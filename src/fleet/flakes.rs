//! Which flakes hosts were known with. Replies are not signed, so a flake that a host names says only where it would
//! like its operator's machine to look.

use super::{Fleet, Host};
use crate::protocol::{HostAnswer, Name, SharedText, fit_start, printable};
use std::collections::{BTreeMap, BTreeSet};

/// The most of a flake URL that an error repeats, in bytes.
const MAX_SHOWN: usize = 300;

/// What was known of hosts and their flakes before this command, or this console, began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownFlakes {
    /// The flakes that the configuration names, without credentials; where it names any, no other is asked.
    pub allowed: BTreeSet<String>,
    /// By host: the flake that it named when it was first seen.
    pub of: BTreeMap<Name, SharedText>,
    /// The hosts that have sent an instance.
    pub instanced: BTreeSet<Name>,
}

/// How the flake that a host names compares with what was known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flake<'a> {
    /// The host names none, and never did.
    Unnamed,
    /// The configuration allows it, or the host was known with it, or it is new and names the flake of a known host.
    Known(&'a str),
    /// The host and the flake were never seen before.
    New(&'a str),
    /// It must not be used.
    Refused(FlakeError),
}

/// Why what a host says of itself must not be used. Texts of the wire are cut and harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlakeError {
    /// It names another flake than before, or none any more.
    #[error(
        "`{host}` names {}, expected the flake `{known}` that it was known with; if it has changed, run `homelab-deploy hosts --forget {host}`, then `homelab-deploy hosts`",
        named.as_ref().map_or("no flake".to_owned(), |named| format!("the flake `{named}`"))
    )]
    Changed {
        /// The host.
        host: Name,
        /// What it names now.
        named: Option<String>,
        /// What it was known with.
        known: String,
    },
    /// The configuration lists flakes, and this one is not among them.
    #[error("`{host}` names the flake `{named}`, expected one of `allowed_flakes` ({}); add it there if it is yours", allowed.join(", "))]
    NotAllowed {
        /// The host.
        host: Name,
        /// What it names.
        named: String,
        /// What the configuration allows.
        allowed: Vec<String>,
    },
    /// Host and flake are seen for the first time.
    #[error(
        "`{host}` is new here and names the flake `{named}`, which is asked from the next command on; if it is not yours, write yours into `allowed_flakes`"
    )]
    New {
        /// The host.
        host: Name,
        /// What it names.
        named: String,
    },
    /// It sent an instance before, as every listener but an older tool's does.
    #[error(
        "`{host}` replies without an instance, expected one as before: another program may reply in its name; if its listener was replaced, run `homelab-deploy hosts --forget {host}`, then `homelab-deploy hosts`"
    )]
    NoInstance {
        /// The host.
        host: Name,
    },
}

impl KnownFlakes {
    /// How the flake that a host names compares with what was known of it.
    pub fn flake<'a>(&self, answer: &'a HostAnswer) -> Flake<'a> {
        let (host, named) = (&answer.hostname, answer.flake_url.as_deref());
        match (named, self.of.get(host).map(|known| &**known)) {
            (named, Some(known)) if named != Some(known) => Flake::Refused(FlakeError::Changed {
                host: host.clone(),
                named: named.map(shown_flake),
                known: shown_flake(known),
            }),
            (Some(named), known) => {
                let at_home = known.is_some() || self.of.values().any(|known| **known == *named);
                match self.allowed.contains(named) {
                    true => Flake::Known(named),
                    false if !self.allowed.is_empty() => Flake::Refused(FlakeError::NotAllowed {
                        host: host.clone(),
                        named: shown_flake(named),
                        allowed: self.allowed.iter().cloned().collect(),
                    }),
                    false if at_home => Flake::Known(named),
                    false => Flake::New(named),
                }
            }
            (None, _) => Flake::Unnamed,
        }
    }

    /// Refuses a host that no longer sends an instance.
    pub fn check_instance(&self, answer: &HostAnswer) -> Result<(), FlakeError> {
        if answer.instance.is_none() && self.instanced.contains(&answer.hostname) {
            return Err(FlakeError::NoInstance { host: answer.hostname.clone() });
        }
        Ok(())
    }
}

impl Fleet {
    /// The flake URLs whose heads tell which hosts are behind: those that were known before, of hosts that tell which commit
    /// they run.
    pub fn flakes(&self) -> BTreeSet<String> {
        let known = |answer| match self.known_flakes.flake(answer) {
            Flake::Known(flake) => Some(flake.to_owned()),
            _ => None,
        };
        self.with_commit().filter_map(known).collect()
    }

    /// Why the heads of other hosts are not asked for, by host.
    pub fn flake_errors(&self) -> BTreeMap<&Name, FlakeError> {
        let error = |answer| match self.known_flakes.flake(answer) {
            Flake::New(named) => {
                Some(FlakeError::New { host: answer.hostname.clone(), named: shown_flake(named) })
            }
            Flake::Refused(error) => Some(error),
            Flake::Known(_) | Flake::Unnamed => None,
        };
        self.with_commit().filter_map(|answer| Some((&answer.hostname, error(answer)?))).collect()
    }

    fn with_commit(&self) -> impl Iterator<Item = &HostAnswer> {
        let hosts = self.hosts.values().filter(|host| host.commit().is_some());
        hosts.filter_map(|host: &Host| host.answer.as_deref())
    }
}

/// A flake URL that a host named, as it may be shown: cut and harmless.
pub fn shown_flake(flake: &str) -> String {
    let text = printable(flake);
    let start = fit_start(&text, MAX_SHOWN);
    if start.len() < text.len() { format!("{start}…") } else { text }
}
