//! Builds the system of a host from a flake that is pinned to one commit.

mod complaint;
mod error;
mod findings;
mod lines;
mod running;
mod said;

use super::call::Nix;
use super::fetch_cache::FetchCache;
use super::ssh::quiet_ssh;
use super::{FlakeAttr, FlakeUrl, Hosts, Locked, NixLine};
use crate::protocol::{Name, fit_start};
use running::{Running, Unbuilt};
use std::ffi::OsString;
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
    /// The host.
    pub host: Name,
    /// What the flake calls it.
    pub attr: FlakeAttr,
    /// The link to the result, which keeps it from garbage collection. An absolute path.
    pub out_link: PathBuf,
}

/// What nix is at work on, for what is told of a failure.
#[derive(Debug)]
struct About {
    flake: FlakeUrl,
    /// The host, or `all`.
    host: String,
    /// What the flake calls the host; none for all of them.
    attr: Option<FlakeAttr>,
    /// Whether nix runs in a sandbox.
    is_sandboxed: bool,
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
        let mut arguments: Vec<OsString> = ["build", "--json", "--out-link"].map(Into::into).into();
        arguments.extend([order.out_link.clone().into(), installable(&order).into()]);
        if self.only_fetches {
            arguments.extend(["--max-jobs", "0", "--builders", ""].map(Into::into));
        }
        let host = order.host.to_string();
        let about = self.about(order.flake, &host, Some(order.attr));
        let result = self.run(arguments, about, told, stop).await?;
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
        let all = format!("{}#nixosConfigurations", locked.url);
        let arguments = ["eval", "--json", "--apply", "builtins.attrNames", &all].map(Into::into).into();
        let host = "all".to_owned();
        match self.run(arguments, self.about(flake.clone(), &host, None), told, stop).await {
            Ok(result) => match serde_json::from_str(&result) {
                Ok(names) => Ok(Hosts::of(names)),
                Err(_) => Err(BuildError::NoResult { host, said: fit_start(&result, 500).to_owned() }),
            },
            Err(BuildError::MissingHost { .. }) => Ok(Hosts::default()),
            Err(error) => Err(error),
        }
    }

    fn about(&self, flake: FlakeUrl, host: &str, attr: Option<FlakeAttr>) -> About {
        About { flake, host: host.to_owned(), attr, is_sandboxed: self.is_sandboxed() }
    }

    /// Runs nix and gives what it prints.
    async fn run(
        &self,
        arguments: Vec<OsString>,
        about: About,
        told: mpsc::Sender<NixLine>,
        stop: &CancellationToken,
    ) -> Result<String, BuildError> {
        // The task ends nix in its own time, whatever becomes of this future.
        let stop = stop.child_token();
        let _dropped = stop.clone().drop_guard();
        let host = about.host.clone();
        let call = Call { nix: self.clone(), arguments, about };
        let task = tokio::spawn(async move { call.healing(told, &stop).await });
        task.await.unwrap_or_else(|error| Err(BuildError::Run { host, source: io::Error::other(error) }))
    }
}

/// One call of nix.
struct Call {
    nix: Nix,
    arguments: Vec<OsString>,
    about: About,
}

impl Call {
    /// Runs it, and once more with a new cache if the one that nix has is damaged.
    async fn healing(
        self,
        told: mpsc::Sender<NixLine>,
        stop: &CancellationToken,
    ) -> Result<String, BuildError> {
        let command = self.command().await;
        let cache = FetchCache::of(&command).await;
        let first = Running::start(command, &self.about)?.follow(&self.about, told.clone(), stop).await;
        let (error, damage) = match first {
            Ok(result) => return Ok(result),
            Err(Unbuilt { error, damage }) => (error, damage),
        };
        let (Some(cache), Some(damage)) = (cache, damage) else { return Err(error) };
        let Some(healed) = cache.heal(damage).await else { return Err(error) };
        // Nobody may listen any more.
        let _ = told.send(NixLine::Log(healed.said.clone())).await;
        let mut command = self.command().await;
        healed.give(&mut command);
        let second = Running::start(command, &self.about)?.follow(&self.about, told, stop).await;
        second.map_err(|unbuilt| unbuilt.error)
    }

    async fn command(&self) -> Command {
        let mut command = self.nix.nix();
        command.args(&self.arguments);
        // Whatever goes wrong with git here goes wrong in nix too, which tells it better.
        let _ = quiet_ssh(&mut command).await;
        self.about.flake.give_credentials(&mut command);
        command
            .args(["--log-format", "internal-json"])
            // A lock file made on the way would let two hosts build two systems of one commit.
            .arg("--no-update-lock-file");
        command
    }
}

/// An attribute needs no escape within the quotes.
fn installable(order: &BuildOrder) -> String {
    format!("{}#nixosConfigurations.\"{}\".config.system.build.toplevel", order.locked.url, order.attr)
}

/// The path in nix's `[{"outputs":{"out":"/nix/store/…"}}]`.
fn store_path(result: &str) -> Option<PathBuf> {
    let result: serde_json::Value = serde_json::from_str(result).ok()?;
    Some(result[0]["outputs"]["out"].as_str()?.into())
}
