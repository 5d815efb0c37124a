//! The options of a flake update.

use super::{Subflake, Token};
use crate::git::{Credentials, Forge};
use crate::nix::Nix;
use crate::protocol::Revision;
use crate::sandbox::Sandbox;
use std::path::PathBuf;
use std::time::Duration;

/// The repository of the flake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositorySource {
    /// A local checkout, of which only configuration, remote and objects are used.
    Checkout(PathBuf),
    /// A git URL, which may contain credentials.
    Url(String),
}

/// The forge for pull requests.
#[derive(Debug, Clone)]
pub struct ForgeOptions {
    /// The API of the forge; by default GitHub for `github.com` and Gitea for other hosts.
    pub kind: Option<Forge>,
    /// The URL of the forge or of the repository's page; by default derived from the remote.
    pub url: Option<String>,
    /// The API token.
    pub token: Token,
    /// Timeout of an API call.
    pub timeout: Duration,
}

/// The options of an update.
#[derive(Debug, Clone)]
pub struct FlakeUpdateOptions {
    /// The repository of the flake.
    pub source: RepositorySource,
    /// The location of the flake within the repository or the checkout's directory.
    pub subflake: Subflake,
    /// The name of the remote in a checkout.
    pub remote: String,
    /// The branch to update.
    pub base: Revision,
    /// The forge. Without one, an update whose hosts do not build is only pushed as a branch.
    pub forge: Option<ForgeOptions>,
    /// The label of pull requests.
    pub label: String,
    /// Whether to push nothing and open no pull request.
    pub dry_run: bool,
    /// Number of hosts to build in parallel.
    pub parallel: usize,
    /// Timeout of all builds together.
    pub timeout: Duration,
    /// Credentials for the remote.
    pub credentials: Credentials,
    /// The nix to build with.
    pub nix: Nix,
    /// The sandbox for nix. Without one, nix can read everything that this process can.
    pub sandbox: Option<Sandbox>,
}
