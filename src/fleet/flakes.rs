//! The flakes that hosts were first seen with. Base replies are not signed, so the flake URL in a reply may point
//! anywhere.

use crate::protocol::{InternedStr, Name, Presence};
use crate::text::{fitting_prefix, printable};
use std::collections::{BTreeMap, BTreeSet};

/// The maximum length of a flake URL in an error, in bytes.
const MAX_SHOWN: usize = 300;

/// What was known about hosts and their flakes when this command or console started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownFlakes {
    /// The flakes that the configuration lists, without credentials. If it lists any, no other flake is queried.
    pub allowed: BTreeSet<String>,
    /// The flake that each host named when it was first seen.
    pub by_host: BTreeMap<Name, InternedStr>,
    /// The hosts that have sent an instance before.
    pub with_instance: BTreeSet<Name>,
}

/// How the flake that a host names compares with the known flakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlakeTrust<'a> {
    /// The host names no flake, now or before.
    Unnamed,
    /// The configuration allows it, the host was first seen with it, or a new host names the flake of a known host.
    Known(&'a str),
    /// Both the host and the flake are new.
    New(&'a str),
    /// The flake must not be used.
    Refused(FlakeError),
}

/// Why the data that a host reports must not be used. Strings from the wire are truncated and safe to print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlakeError {
    /// The host names a different flake than before, or no longer names one.
    #[error(
        "`{host}` names {}, expected the flake `{known}` that it was known with; if it has changed, run `homelab-deploy hosts --forget {host}`, then `homelab-deploy hosts`",
        named.as_ref().map_or("no flake".to_owned(), |named| format!("the flake `{named}`"))
    )]
    Changed {
        /// The name of the host.
        host: Name,
        /// The flake that it names now, if any.
        named: Option<String>,
        /// The flake that it was first seen with.
        known: String,
    },
    /// The configuration lists flakes, and this one is not among them.
    #[error("`{host}` names the flake `{named}`, expected one of `allowed_flakes` ({}); add it there if it is yours", allowed.join(", "))]
    NotAllowed {
        /// The name of the host.
        host: Name,
        /// The flake that it names.
        named: String,
        /// The flakes that the configuration allows.
        allowed: Vec<String>,
    },
    /// Both the host and the flake are new.
    #[error(
        "`{host}` is new here and names the flake `{named}`, which is looked up from the next command on; if it is not yours, list your own in `allowed_flakes`"
    )]
    New {
        /// The name of the host.
        host: Name,
        /// The flake that it names.
        named: String,
    },
    /// The host sent an instance before, as every listener except the older tool's does.
    #[error(
        "`{host}` replies without an instance, expected one as before: another program may reply in its name; if its listener was replaced, run `homelab-deploy hosts --forget {host}`, then `homelab-deploy hosts`"
    )]
    NoInstance {
        /// The name of the host.
        host: Name,
    },
}

impl KnownFlakes {
    /// Compares the flake that a host names with the known flakes.
    pub fn trust_of<'a>(&self, answer: &'a Presence) -> FlakeTrust<'a> {
        let (host, named) = (&answer.hostname, answer.flake_url.as_deref());
        match (named, self.by_host.get(host).map(|known| &**known)) {
            (named, Some(known)) if named != Some(known) => FlakeTrust::Refused(FlakeError::Changed {
                host: host.clone(),
                named: named.map(printable_flake),
                known: printable_flake(known),
            }),
            (Some(named), known) => {
                let is_known = known.is_some() || self.by_host.values().any(|known| **known == *named);
                match self.allowed.contains(named) {
                    true => FlakeTrust::Known(named),
                    false if !self.allowed.is_empty() => FlakeTrust::Refused(FlakeError::NotAllowed {
                        host: host.clone(),
                        named: printable_flake(named),
                        allowed: self.allowed.iter().cloned().collect(),
                    }),
                    false if is_known => FlakeTrust::Known(named),
                    false => FlakeTrust::New(named),
                }
            }
            (None, _) => FlakeTrust::Unnamed,
        }
    }

    /// Rejects a host that no longer sends an instance.
    pub fn check_instance(&self, answer: &Presence) -> Result<(), FlakeError> {
        if answer.instance.is_none() && self.with_instance.contains(&answer.hostname) {
            return Err(FlakeError::NoInstance { host: answer.hostname.clone() });
        }
        Ok(())
    }
}

/// A flake URL from a host, truncated and safe to print.
pub fn printable_flake(flake: &str) -> String {
    let text = printable(flake);
    let start = fitting_prefix(&text, MAX_SHOWN);
    if start.len() < text.len() { format!("{start}…") } else { text }
}
