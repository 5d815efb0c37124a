//! Updates the inputs of a flake in a git work tree.

use super::advice::{daemon_advice, sandbox_advice};
use super::command::{Nix, NixCause, NixError, failure};
use super::fetch_cache::{CacheDamage, NixFailure, run_with_cache_repair};
use crate::git::use_batch_mode;
use crate::unattended::run;
use std::convert::identity;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Maximum size of nix's output, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;
/// Timeout of an update, which fetches all inputs.
const TIMEOUT: Duration = Duration::from_mins(30);

impl Nix {
    /// Updates all inputs of the flake and commits its lock file if it changed. git takes the author from its configuration
    /// and environment.
    pub async fn update_inputs(&self, dir: &Path) -> Result<(), NixError> {
        let operation = || "update the inputs with `nix flake update --commit-lock-file`".to_owned();
        let timed_out = |_| {
            NixCause::UnexpectedOutput(format!(
                "nix did not finish within {} minutes",
                TIMEOUT.as_secs() / 60
            ))
        };
        let result =
            timeout(TIMEOUT, self.update_with_cache_repair(dir)).await.map_err(timed_out).and_then(identity);
        let advised = |cause: NixCause| {
            let message = cause.to_string();
            let denied = || sandbox_advice(&message).filter(|_| self.is_sandboxed());
            match daemon_advice(&message).or_else(denied) {
                Some(advice) => NixCause::Failed(format!("{message} ({advice})")),
                None => cause,
            }
        };
        result.map_err(|cause| advised(cause).context(operation()))
    }

    async fn update_with_cache_repair(&self, dir: &Path) -> Result<(), NixCause> {
        let update = |command| async move {
            let result = run(command, MAX_OUTPUT).await.map_err(NixCause::from_spawn)?;
            if result.status.success() {
                return Ok(());
            }
            let damage = result.stderr.lines().find_map(CacheDamage::detect);
            Err(NixFailure { error: failure(&result), damage })
        };
        run_with_cache_repair(|| self.update_command(dir), None, update).await
    }

    async fn update_command(&self, dir: &Path) -> Command {
        let mut command = self.command();
        // In the flake's directory, because versions of nix differ in how they accept another path.
        command.args(["flake", "update", "--commit-lock-file"]).current_dir(dir);
        // If git cannot be run here, nix cannot run it either and reports the error better.
        let _ = use_batch_mode(&mut command).await;
        command
    }
}
