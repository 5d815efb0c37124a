//! Which hosts are not on the head of their branch.

use super::Host;
use crate::protocol::Revision;
use std::collections::BTreeMap;
use strum::IntoStaticStr;

/// The heads of a branch at the time of the lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchHeads {
    /// The branch that was looked up.
    pub branch: Revision,
    /// The head's commit, or the reason why it is unknown, by flake URL as hosts report it.
    pub by_flake: BTreeMap<String, Result<String, String>>,
}

/// Whether a host runs the head of the branch in its flake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outdated<'a> {
    /// The host runs the head.
    No,
    /// The host runs another commit.
    Yes {
        /// The commit at the head of the branch.
        head: &'a str,
    },
    /// It is not known which commit the host or the head has.
    Unknown(UnknownReason),
}

/// Why it is unknown whether a host is outdated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum UnknownReason {
    /// The host does not report its commit.
    NoCommit,
    /// The host does not report its flake URL.
    NoFlake,
    /// The head could not be looked up.
    NoHead,
}

impl UnknownReason {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The reason as a message.
    pub fn describe(self) -> &'static str {
        match self {
            Self::NoCommit => "they do not report which commit they run",
            Self::NoFlake => "they do not report their flake URL",
            Self::NoHead => "the head of their branch could not be looked up",
        }
    }
}

impl BranchHeads {
    /// Whether the host runs another commit than the head of its flake.
    pub fn outdated(&self, host: &Host) -> Outdated<'_> {
        let Some(commit) = host.commit() else { return Outdated::Unknown(UnknownReason::NoCommit) };
        let Some(flake) = flake(host) else { return Outdated::Unknown(UnknownReason::NoFlake) };
        match self.by_flake.get(flake) {
            Some(Ok(head)) if head == commit => Outdated::No,
            Some(Ok(head)) => Outdated::Yes { head },
            Some(Err(_)) | None => Outdated::Unknown(UnknownReason::NoHead),
        }
    }

    /// The reasons why heads could not be looked up, one for each flake.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        self.by_flake.values().filter_map(|head| head.as_ref().err()).map(String::as_str)
    }
}

fn flake(host: &Host) -> Option<&str> {
    host.answer.as_deref()?.flake_url.as_deref()
}
