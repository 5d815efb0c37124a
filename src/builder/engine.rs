//! What finds the hosts of a flake and builds them: nix, or in a demo something that pretends to.

use crate::nix::{BuildError, BuildOrder, FlakeUrl, Hosts, Locked, Nix, NixLine};
use std::path::PathBuf;
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The hosts of a flake, at work.
pub type Listing = Pin<Box<dyn Future<Output = Result<Hosts, BuildError>> + Send>>;
/// The build of one host, at work; in the end its store path.
pub type Building = Pin<Box<dyn Future<Output = Result<PathBuf, BuildError>> + Send>>;

/// Does the work of a builder. `stop` ends it with [`BuildError::Stopped`]; so does dropping what it gives.
pub trait Engine: Send + Sync {
    /// Finds the hosts of a flake at one commit.
    fn hosts(&self, flake: FlakeUrl, locked: Locked, stop: CancellationToken) -> Listing;

    /// Builds one host; what is told on the way goes into `told`.
    fn build(&self, order: BuildOrder, told: mpsc::Sender<NixLine>, stop: CancellationToken) -> Building;
}

impl Engine for Nix {
    fn hosts(&self, flake: FlakeUrl, locked: Locked, stop: CancellationToken) -> Listing {
        let nix = self.clone();
        Box::pin(async move { nix.hosts(&flake, &locked, &stop).await })
    }

    fn build(&self, order: BuildOrder, told: mpsc::Sender<NixLine>, stop: CancellationToken) -> Building {
        let nix = self.clone();
        Box::pin(async move { nix.build(order, told, &stop).await })
    }
}
