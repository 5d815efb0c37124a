//! Updates the inputs of a flake that lies in a work tree.

use super::call::{Nix, NixCause, NixError, call, refused};
use super::fetch_cache::{Damage, FetchCache};
use super::process::run;
use super::ssh::quiet_ssh;
use super::{daemon, sandbox};
use std::convert::identity;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// The most that is read of what nix prints, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;
/// How long it may take: every input is fetched.
const WITHIN: Duration = Duration::from_mins(30);

impl Nix {
    /// Updates every input of the flake in a work tree of git, and commits its lock file where that has changed. git
    /// takes the author from its settings and environment.
    pub async fn update_inputs(&self, folder: &Path) -> Result<(), NixError> {
        let doing = || "update the inputs with `nix flake update --commit-lock-file`".to_owned();
        let late = |_| NixCause::Odd(format!("nix did not end within {} minutes", WITHIN.as_secs() / 60));
        let ended = timeout(WITHIN, self.update_healing(folder)).await.map_err(late).and_then(identity);
        let advised = |cause: NixCause| {
            let said = cause.to_string();
            let denied = || sandbox::advice(&said).filter(|_| self.is_sandboxed());
            match daemon::advice(&said).or_else(denied) {
                Some(advice) => NixCause::Refused(format!("{said} ({advice})")),
                None => cause,
            }
        };
        ended.map_err(|cause| advised(cause).when(doing()))
    }

    /// Once more with a new cache if the one that nix has is damaged.
    async fn update_healing(&self, folder: &Path) -> Result<(), NixCause> {
        let command = self.update(folder).await;
        let cache = FetchCache::of(&command).await;
        let error = match run(command, MAX_OUTPUT).await.map_err(NixCause::of_start)? {
            ended if ended.status.success() => return Ok(()),
            ended => ended,
        };
        let healed = match (cache.as_ref(), error.stderr.lines().find_map(Damage::told_by)) {
            (Some(cache), Some(damage)) => cache.heal(damage).await,
            _ => None,
        };
        let Some(healed) = healed else { return Err(refused(&error)) };
        let mut command = self.update(folder).await;
        healed.give(&mut command);
        call(command, MAX_OUTPUT).await.map(drop)
    }

    async fn update(&self, folder: &Path) -> Command {
        let mut command = self.nix();
        // Where it stands, for versions of nix differ in how they are told another place.
        command.args(["flake", "update", "--commit-lock-file"]).current_dir(folder);
        // Whatever goes wrong with git here goes wrong in nix too, which tells it better.
        let _ = quiet_ssh(&mut command).await;
        command
    }
}
