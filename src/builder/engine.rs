//! Lists the hosts of a flake and builds them: with nix, or simulated in the demo.

use crate::nix::{BuildError, FlakeHosts, FlakeUrl, HostBuildSpec, LockedFlake, Nix, NixLine};
use std::path::PathBuf;
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A pending list of the hosts of a flake.
pub type HostsFuture = Pin<Box<dyn Future<Output = Result<FlakeHosts, BuildError>> + Send>>;
/// A pending build of one host; resolves to its store path.
pub type BuildFuture = Pin<Box<dyn Future<Output = Result<PathBuf, BuildError>> + Send>>;

/// Does the work of a builder. Cancelling `stop` ends it with [`BuildError::Stopped`]; dropping the future stops it
/// too.
pub trait BuildEngine: Send + Sync {
    /// Lists the hosts of a flake at one commit.
    fn hosts(&self, flake: FlakeUrl, locked: LockedFlake, stop: CancellationToken) -> HostsFuture;

    /// Builds one host and sends its log lines to `output`.
    fn build(
        &self,
        spec: HostBuildSpec,
        output: mpsc::Sender<NixLine>,
        stop: CancellationToken,
    ) -> BuildFuture;
}

impl BuildEngine for Nix {
    fn hosts(&self, flake: FlakeUrl, locked: LockedFlake, stop: CancellationToken) -> HostsFuture {
        let nix = self.clone();
        Box::pin(async move { nix.hosts(&flake, &locked, &stop).await })
    }

    fn build(
        &self,
        spec: HostBuildSpec,
        output: mpsc::Sender<NixLine>,
        stop: CancellationToken,
    ) -> BuildFuture {
        let nix = self.clone();
        Box::pin(async move { nix.build(spec, output, &stop).await })
    }
}
