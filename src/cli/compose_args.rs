//! Arguments of a listener on a host with Docker Compose.

use super::exit::CommandError;
use crate::activation::{ComposeEngine, Policy, WorkerSpawner};
use crate::compose::{Docker, ExposurePolicy};
use crate::git::CommitPolicy;
use crate::nix::FlakeUrl;
use crate::protocol::Name;
use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What deploys to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EngineArg {
    /// A NixOS system of a flake.
    Nix,
    /// Services of a git repository, with Docker Compose.
    Compose,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Docker Compose (with --engine compose)")]
pub(super) struct ComposeArgs {
    /// Repository to deploy: git+https://…, git+ssh://… or git+file://…
    #[arg(long, value_name = "URL", conflicts_with_all = ["flake_url", "flake_attr", "rebuild_command"])]
    pub(super) repo_url: Option<FlakeUrl>,
    /// Directory with repo, config, data, logs and state
    #[arg(long, default_value = "/opt/homelab", value_name = "DIR")]
    compose_root: PathBuf,
    /// Command of Docker Compose 2
    #[arg(long, default_value = "docker compose", value_name = "COMMAND")]
    compose_command: Docker,
    /// What to do if ports violate the declared exposure: enforce, warn or off
    #[arg(long, default_value = "enforce", value_name = "POLICY")]
    exposure: ExposurePolicy,
    /// Deploy the last known commit if the repository is unreachable
    #[arg(long)]
    offline_ok: bool,
}

impl ComposeArgs {
    /// The repository. An error if it is not a git repository.
    pub(super) fn repo(&self) -> Result<FlakeUrl, CommandError> {
        let Some(url) = &self.repo_url else {
            return Err(CommandError::usage(anyhow!("--engine compose needs --repo-url")));
        };
        if url.remote().is_none() {
            let shown = url.without_credentials();
            return Err(CommandError::usage(anyhow!(
                "{shown} is not a git repository; expected a URL such as git+https://HOST/PATH"
            )));
        }
        Ok(url.clone())
    }

    pub(super) fn engine(
        self,
        repo: FlakeUrl,
        commits: CommitPolicy,
        hostname: Name,
        spawner: WorkerSpawner,
        policy: Policy,
    ) -> Result<ComposeEngine, CommandError> {
        let root =
            std::path::absolute(&self.compose_root).context("could not find the directory of --compose-root");
        Ok(ComposeEngine {
            repo,
            commits,
            hostname,
            root: root.map_err(CommandError::usage)?,
            docker: self.compose_command,
            exposure: self.exposure,
            offline_ok: self.offline_ok,
            spawner,
            policy,
        })
    }
}
