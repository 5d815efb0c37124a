//! Updates the inputs of a flake that lies in a work tree.

use super::call::{Nix, NixCause, NixError, call};
use super::process::quiet_ssh;
use std::path::Path;
use std::time::Duration;

/// The most that is read of what nix prints, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;
/// How long it may take: every input is fetched.
const WITHIN: Duration = Duration::from_mins(30);

impl Nix {
    /// Updates every input of the flake in a work tree of git, and commits its lock file where that has changed. git
    /// takes the author from its settings and environment.
    pub async fn update_inputs(&self, folder: &Path) -> Result<(), NixError> {
        let mut command = self.nix();
        // Whatever goes wrong with git here goes wrong in nix too, which tells it better.
        let _ = quiet_ssh(&mut command).await;
        // Where it stands, for versions of nix differ in how they are told another place.
        command.args(["flake", "update", "--commit-lock-file"]).current_dir(folder);
        let doing = || "update the inputs with `nix flake update --commit-lock-file`".to_owned();
        let ended = tokio::time::timeout(WITHIN, call(command, MAX_OUTPUT)).await;
        let late = || NixCause::Odd(format!("nix did not end within {} minutes", WITHIN.as_secs() / 60));
        ended.unwrap_or_else(|_| Err(late())).map(drop).map_err(|cause| cause.when(doing()))
    }
}
