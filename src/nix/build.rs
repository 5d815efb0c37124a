//! Builds the system of a host from a flake that is pinned to one commit.

mod complaint;
mod error;
mod findings;
mod lines;
mod running;
mod said;

use super::call::Nix;
use super::process::quiet_ssh;
use super::{FlakeUrl, Locked, NixLine};
use crate::protocol::Name;
use running::Running;
use std::io;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use error::BuildError;

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildOrder {
    /// The flake, whose credentials no text shows.
    pub flake: FlakeUrl,
    /// The flake at its commit.
    pub locked: Locked,
    /// The host in the flake.
    pub host: Name,
    /// The link to the result, which keeps it from garbage collection. An absolute path.
    pub out_link: PathBuf,
}

impl Nix {
    /// Builds the host's system and gives its store path. What nix tells on the way goes into `told`, without the
    /// credentials of the flake; nix waits while that is full, and goes on where nobody listens.
    ///
    /// `stop` ends nix and all that it started: politely first, by force after 5 s; then comes
    /// [`BuildError::Stopped`]. Dropping the future does the same without waiting for it.
    pub async fn build(
        &self,
        order: BuildOrder,
        told: mpsc::Sender<NixLine>,
        stop: &CancellationToken,
    ) -> Result<PathBuf, BuildError> {
        let host = order.host.to_string();
        let failed = |source| BuildError::Run { host: host.clone(), source };
        let mut command = self.nix();
        // Whatever goes wrong with git here goes wrong in nix too, which tells it better.
        let _ = quiet_ssh(&mut command).await;
        command
            .args(["build", "--json", "--log-format", "internal-json"])
            // A lock file made on the way would let two hosts build two systems of one commit.
            .arg("--no-update-lock-file")
            .arg("--out-link")
            .arg(&order.out_link)
            .arg(installable(&order));
        if self.only_fetches {
            command.args(["--max-jobs", "0", "--builders", ""]);
        }
        // The task ends nix in its own time, whatever becomes of this future.
        let stop = stop.child_token();
        let _dropped = stop.clone().drop_guard();
        let task =
            tokio::spawn(async move { Running::start(command, &order)?.follow(&order, told, &stop).await });
        task.await.unwrap_or_else(|error| Err(failed(io::Error::other(error))))
    }
}

/// A host is a token, so it needs no escape within the quotes.
fn installable(order: &BuildOrder) -> String {
    format!("{}#nixosConfigurations.\"{}\".config.system.build.toplevel", order.locked.url, order.host)
}
