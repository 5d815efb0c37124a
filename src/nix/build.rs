//! Builds the system of a host from a flake that is pinned to one commit.

mod complaint;
mod error;
mod findings;
mod lines;
mod running;
mod said;

use super::call::Nix;
use super::process::quiet_ssh;
use super::{FlakeUrl, Hosts, Locked, NixLine};
use crate::protocol::{Name, fit_start};
use running::Running;
use std::io;
use std::path::PathBuf;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use error::BuildError;
pub(super) use lines::Lines;

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

/// What nix is at work on, for what is told of a failure.
#[derive(Debug)]
struct About {
    flake: FlakeUrl,
    /// The host, or `all`.
    host: String,
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
        let mut command = self.nix();
        command.args(["build", "--json"]).arg("--out-link").arg(&order.out_link).arg(installable(&order));
        if self.only_fetches {
            command.args(["--max-jobs", "0", "--builders", ""]);
        }
        let host = order.host.to_string();
        let result = run(command, About { flake: order.flake, host: host.clone() }, told, stop).await?;
        store_path(&result)
            .ok_or_else(|| BuildError::NoResult { host, said: fit_start(&result, 500).to_owned() })
    }

    /// The hosts of a flake, none of which is evaluated. A flake without `nixosConfigurations` has none. Stopped as
    /// [`Nix::build`] is.
    pub async fn hosts(
        &self,
        flake: &FlakeUrl,
        locked: &Locked,
        stop: &CancellationToken,
    ) -> Result<Hosts, BuildError> {
        // Nobody listens: what nix says on the way is nothing that anybody waits for.
        let (told, _) = mpsc::channel(1);
        let mut command = self.nix();
        let all = format!("{}#nixosConfigurations", locked.url);
        command.args(["eval", "--json", "--apply", "builtins.attrNames"]).arg(all);
        let host = "all".to_owned();
        match run(command, About { flake: flake.clone(), host: host.clone() }, told, stop).await {
            Ok(result) => match serde_json::from_str(&result) {
                Ok(names) => Ok(Hosts::of(names)),
                Err(_) => Err(BuildError::NoResult { host, said: fit_start(&result, 500).to_owned() }),
            },
            Err(BuildError::MissingHost { .. }) => Ok(Hosts::of(Vec::new())),
            Err(error) => Err(error),
        }
    }
}

/// Runs nix and gives what it prints.
async fn run(
    mut command: Command,
    about: About,
    told: mpsc::Sender<NixLine>,
    stop: &CancellationToken,
) -> Result<String, BuildError> {
    // Whatever goes wrong with git here goes wrong in nix too, which tells it better.
    let _ = quiet_ssh(&mut command).await;
    command
        .args(["--log-format", "internal-json"])
        // A lock file made on the way would let two hosts build two systems of one commit.
        .arg("--no-update-lock-file");
    // The task ends nix in its own time, whatever becomes of this future.
    let stop = stop.child_token();
    let _dropped = stop.clone().drop_guard();
    let host = about.host.clone();
    let task =
        tokio::spawn(async move { Running::start(command, &about)?.follow(&about, told, &stop).await });
    task.await.unwrap_or_else(|error| Err(BuildError::Run { host, source: io::Error::other(error) }))
}

/// A host is a token, so it needs no escape within the quotes.
fn installable(order: &BuildOrder) -> String {
    format!("{}#nixosConfigurations.\"{}\".config.system.build.toplevel", order.locked.url, order.host)
}

/// The path in nix's `[{"outputs":{"out":"/nix/store/…"}}]`.
fn store_path(result: &str) -> Option<PathBuf> {
    let result: serde_json::Value = serde_json::from_str(result).ok()?;
    Some(result[0]["outputs"]["out"].as_str()?.into())
}
