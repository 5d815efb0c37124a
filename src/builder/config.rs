//! What a builder is told when it starts.

use crate::bus::Settings;
use crate::keys::TrustedKey;
use crate::metrics::Address;
use crate::nix::{FlakeAttr, FlakeUrl};
use crate::protocol::{Name, Revision};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The directory of the roots in the state directory.
pub(super) const ROOTS: &str = "roots";

/// Everything a builder needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// What its file says.
    pub rules: Rules,
    /// The server and the key.
    pub settings: Settings,
    /// Where builds and their results are kept; an absolute path.
    pub state_dir: PathBuf,
    /// Where metrics are served; `None` where nothing is measured.
    pub metrics: Option<Address>,
    /// What is wrong from the start and yet does not keep it from working.
    pub warnings: Vec<String>,
}

/// What may be built, and how.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The repositories; at least one.
    pub repos: BTreeMap<Name, Repo>,
    /// The one that is meant where none is named.
    pub default: Option<Name>,
    /// How long a build may take.
    pub timeout: Duration,
    /// How many programs of nix are at work at the same time.
    pub parallel: usize,
    /// Whether the other hosts are built where one has failed.
    pub keep_going: bool,
    /// A program and its arguments, to be called with each store path that was built; empty for none.
    pub post_build: Vec<String>,
    /// Only what one of these keys has signed is taken; everything if there is none.
    pub trusted_keys: Vec<TrustedKey>,
    /// The fleet's name, which is part of what is signed.
    pub fleet: Option<Name>,
}

/// A repository that may be built.
#[derive(Debug, Clone)]
pub struct Repo {
    /// Where it is; never a mere folder, which has no commits.
    pub url: FlakeUrl,
    /// The branch that is built where none is named.
    pub branch: Revision,
    /// What the flake calls hosts, where that is not their name.
    pub attrs: BTreeMap<Name, FlakeAttr>,
}

impl Config {
    /// Where the roots of results are kept.
    pub fn roots(&self) -> PathBuf {
        self.state_dir.join(ROOTS)
    }
}

impl Rules {
    /// Trusts one more key.
    pub fn trust(&mut self, trusted: TrustedKey) -> Result<(), String> {
        match self.trusted_keys.iter().find(|known| known.key == trusted.key) {
            None => self.trusted_keys.push(trusted),
            Some(known) if *known == trusted => {}
            Some(_) => {
                let key = trusted.key.as_str();
                return Err(format!("{key} is given before with another date; give each key once"));
            }
        }
        Ok(())
    }

    /// The names of the repositories, for people.
    pub(super) fn names(&self) -> String {
        self.repos.keys().map(Name::as_str).collect::<Vec<_>>().join(", ")
    }
}
