//! `builder`: the service that builds hosts on request.

use super::connection::TlsArgs;
use super::exit::{CommandError, Exit};
use super::flake_credentials::{FlakeCredentialsArgs, warnings as flake_warnings};
use super::logging::LogArgs;
use super::output::Output;
use super::sandbox::NixArgs;
use super::service::{self, trusted_keys};
use crate::builder::{self, BuildRules, BuilderConfig};
use crate::metrics::Address;
use crate::nats::{Capacity, ConnectionSettings};
use crate::nix::Nix;
use crate::sandbox::Sandbox;
use anyhow::{Context, anyhow};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct BuilderArgs {
    /// Configuration file with the repositories and build settings
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the --config file and exit, without connecting
    #[arg(long)]
    check: bool,
    /// NATS servers, comma-separated
    #[arg(
        long,
        env = "HOMELAB_DEPLOY_NATS_URL",
        hide_env_values = true,
        value_name = "URL",
        required_unless_present = "check"
    )]
    nats_url: Option<String>,
    /// Nkey seed file or .creds file of the builder
    #[arg(long, visible_alias = "creds-file", value_name = "FILE", required_unless_present = "check")]
    nkey_file: Option<PathBuf>,
    /// Accept only requests signed by this key (U… or U…@DATE) or by trusted_keys; repeatable
    #[arg(long, value_name = "KEY")]
    trusted_key: Vec<String>,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    credentials: FlakeCredentialsArgs,
    /// Serve /metrics for Prometheus and /health
    #[arg(long)]
    metrics_enabled: bool,
    /// Address for metrics: :PORT for all addresses, or ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS", default_value = ":9973")]
    metrics_addr: Address,
    /// State directory [default: $STATE_DIRECTORY or /var/lib/homelab-deploy-builder]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    nix: NixArgs,
}

impl BuilderArgs {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        if self.check {
            return self.check();
        }
        service::serve(&self.log, || {
            let config = self.config()?;
            let nix = Arc::new(self.nix(&config)?);
            Ok(async |shutdown| builder::run(config, nix, shutdown).await.map_err(CommandError::failure))
        })
    }

    fn check(&self) -> Result<Exit, CommandError> {
        BuildRules::load(&self.config).map_err(CommandError::usage)?;
        Output::new().line(&format!("ok: {} is valid", self.config.display()));
        Ok(Exit::Success)
    }

    /// Returns nix in a sandbox that can read the local repositories and write the GC roots.
    fn nix(&self, config: &BuilderConfig) -> Result<Nix, CommandError> {
        let sandbox = self.nix.sandbox()?.map(|sandbox| {
            let repos = config.rules.repos.values().filter_map(|repo| repo.url.directory());
            repos.fold(sandbox, Sandbox::with_readable).with_writable(config.roots())
        });
        Ok(self.nix.nix().with_sandbox(sandbox))
    }

    fn config(&self) -> Result<BuilderConfig, CommandError> {
        let mut rules = BuildRules::load(&self.config).map_err(CommandError::usage)?;
        let credentials = self.credentials.read()?;
        for trusted in trusted_keys(&self.trusted_key).map_err(CommandError::usage)? {
            rules.trust(trusted).map_err(|why| CommandError::usage(anyhow!("--trusted-key: {why}")))?;
        }
        let (seed, mut warnings) = service::seed(self.nkey_file.as_deref().unwrap_or(Path::new("")))?;
        for (name, repo) in &mut rules.repos {
            warnings.extend(service::log_warnings(flake_warnings(&format!("repos.{name}.url"), &repo.url)));
            repo.url = repo.url.clone().with_credentials(&credentials);
        }
        let servers = self.nats_url.as_deref().unwrap_or_default();
        let mut settings =
            ConnectionSettings::new(servers, Some(seed), "homelab-deploy builder", builder::PING_SUBJECT)?;
        settings.tls = self.tls.tls()?;
        settings.fleet.clone_from(&rules.fleet);
        settings.capacity = Capacity::SERVICE;
        let state_dir = service::state_dir(self.state_dir.as_deref(), "/var/lib/homelab-deploy-builder");
        // nix requires absolute paths for GC roots.
        let state_dir = std::path::absolute(&state_dir)
            .with_context(|| format!("could not use the state directory {}", state_dir.display()))
            .map_err(CommandError::usage)?;
        let metrics = self.metrics_enabled.then(|| self.metrics_addr.clone());
        Ok(BuilderConfig { rules, settings, state_dir, metrics, warnings })
    }
}
