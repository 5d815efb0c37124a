//! What is asked for.

use super::{ForgeKind, Subflake, Token};
use crate::nix::{Credentials, Nix, Sandbox};
use crate::protocol::Revision;
use std::path::PathBuf;
use std::time::Duration;

/// Which flake to update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A checkout; only its settings, its remote and its objects are used.
    Folder(PathBuf),
    /// A URL that git understands, which may hold credentials.
    Url(String),
}

/// The forge that pull requests are opened on.
#[derive(Debug, Clone)]
pub struct ForgeOrder {
    /// Which API it has; without, what the host's name says.
    pub kind: Option<ForgeKind>,
    /// Where it is; without, where the remote is.
    pub url: Option<String>,
    /// The token for it.
    pub token: Token,
    /// How long a call may take.
    pub timeout: Duration,
}

/// An update to be made.
#[derive(Debug, Clone)]
pub struct Order {
    /// The flake.
    pub source: Source,
    /// Where in its repository, or in the folder of its checkout.
    pub subflake: Subflake,
    /// The name of the remote in a checkout.
    pub remote: String,
    /// The branch that is updated.
    pub base: Revision,
    /// Without one, a branch whose hosts do not build is pushed and no more.
    pub forge: Option<ForgeOrder>,
    /// The label of pull requests.
    pub label: String,
    /// Push nothing and open nothing.
    pub dry_run: bool,
    /// How many hosts are built at once.
    pub parallel: usize,
    /// How long all builds may take together.
    pub timeout: Duration,
    /// For the remote.
    pub credentials: Credentials,
    /// The nix to build with.
    pub nix: Nix,
    /// Where it fetches, evaluates and builds; without one it can read all that we can.
    pub sandbox: Option<Sandbox>,
}
