//! Which hosts are behind the branch that they deploy.

use super::Host;
use crate::protocol::Revision;
use std::collections::BTreeMap;

/// The heads of one branch, as they were when they were looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    /// The branch.
    pub branch: Revision,
    /// By flake URL, as hosts tell it: the commit, or a sentence about why it is not known.
    pub of: BTreeMap<String, Result<String, String>>,
}

/// How what a host runs stands to the head of the branch in its flake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag<'a> {
    /// It runs the head.
    Current,
    /// It runs another commit.
    Behind {
        /// The head.
        head: &'a str,
    },
    /// Nobody can tell.
    Unknown(Why),
}

/// Why nobody can tell whether a host is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The host does not tell which commit it runs.
    NoCommit,
    /// The host does not tell its flake URL.
    NoFlake,
    /// The head is not known.
    NoHead,
}

impl Why {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCommit => "no_commit",
            Self::NoFlake => "no_flake",
            Self::NoHead => "no_head",
        }
    }

    /// The reason as a person reads it.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NoCommit => "which commit they run is not told",
            Self::NoFlake => "their flake URL is not told",
            Self::NoHead => "the head of their branch could not be looked up",
        }
    }
}

impl Heads {
    /// How what the host runs stands to its head.
    pub fn lag(&self, host: &Host) -> Lag<'_> {
        let Some(commit) = host.commit() else { return Lag::Unknown(Why::NoCommit) };
        let Some(flake) = flake(host) else { return Lag::Unknown(Why::NoFlake) };
        match self.of.get(flake) {
            Some(Ok(head)) if head == commit => Lag::Current,
            Some(Ok(head)) => Lag::Behind { head },
            Some(Err(_)) | None => Lag::Unknown(Why::NoHead),
        }
    }

    /// Why heads could not be looked up, one sentence for each flake.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        self.of.values().filter_map(|head| head.as_ref().err()).map(String::as_str)
    }
}

fn flake(host: &Host) -> Option<&str> {
    host.answer.as_deref()?.flake_url.as_deref()
}
