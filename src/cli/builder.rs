//! `builder`: the service that builds hosts when asked to.

use super::exit::{Exit, Failed};
use super::flake_credentials::{FlakeCredentialsArgs, warnings as flake_warnings};
use super::logging::LogArgs;
use super::out::Out;
use super::sandbox::NixArgs;
use super::service;
use super::tls::TlsArgs;
use super::trusted_keys::trusted_keys;
use crate::builder::{self, Config, Rules};
use crate::bus::{Capacity, Settings};
use crate::metrics::Address;
use crate::nix::{Nix, Sandbox};
use anyhow::{Context, anyhow};
use clap::Args;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct BuilderArgs {
    /// The file that lists the repositories and how they are built
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the file of --config, connect to nothing, and end
    #[arg(long)]
    check: bool,
    /// The NATS server, or a comma list of a cluster's
    #[arg(long, value_name = "URL", required_unless_present = "check")]
    nats_url: Option<String>,
    /// The file with the builder's nkey seed, or a .creds file
    #[arg(long, visible_alias = "creds-file", value_name = "FILE", required_unless_present = "check")]
    nkey_file: Option<PathBuf>,
    /// Take only what this key has signed, U… or, if it expires, U…@2027-01-01; repeatable, beside trusted_keys of the file
    #[arg(long, value_name = "KEY")]
    trusted_key: Vec<String>,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    credentials: FlakeCredentialsArgs,
    /// Measure, and serve /metrics for Prometheus and /health
    #[arg(long)]
    metrics_enabled: bool,
    /// Where to serve them: :PORT for all addresses of this host, or one with its port
    #[arg(long, value_name = "ADDRESS", default_value = ":9973")]
    metrics_addr: Address,
    /// Where builds and their results are kept [default: $STATE_DIRECTORY, else /var/lib/homelab-deploy-builder]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    nix: NixArgs,
    #[command(flatten)]
    log: LogArgs,
}

impl BuilderArgs {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        if self.check {
            return self.check();
        }
        service::serve(&self.log, || {
            let config = self.config()?;
            let nix = Arc::new(self.nix(&config)?);
            Ok(async |shutdown| builder::run(config, nix, shutdown).await.map_err(Failed::host))
        })
    }

    fn check(&self) -> Result<Exit, Failed> {
        Rules::load(&self.config).map_err(Failed::usage)?;
        Out::new().line(&format!("fine: {} can be used", self.config.display()));
        Ok(Exit::Done)
    }

    /// nix, which may read the repositories that are on this machine and writes where results are kept.
    fn nix(&self, config: &Config) -> Result<Nix, Failed> {
        let sandbox = self.nix.sandbox()?.map(|sandbox| {
            let repos = config.rules.repos.values().filter_map(|repo| repo.url.directory());
            repos.fold(sandbox, Sandbox::reading).writing(config.roots())
        });
        Ok(self.nix.nix().within(sandbox))
    }

    fn config(&self) -> Result<Config, Failed> {
        let mut rules = Rules::load(&self.config).map_err(Failed::usage)?;
        let credentials = self.credentials.read()?;
        for trusted in trusted_keys(&self.trusted_key).map_err(Failed::usage)? {
            rules.trust(trusted).map_err(|why| Failed::usage(anyhow!("--trusted-key: {why}")))?;
        }
        let (seed, mut warnings) = service::seed(self.nkey_file.as_deref().unwrap_or(Path::new("")))?;
        let expiring = rules.trusted_keys.iter().filter_map(|key| key.warning(Timestamp::now()));
        warnings.extend(service::warned(expiring.collect()));
        for (name, repo) in &mut rules.repos {
            warnings.extend(service::warned(flake_warnings(&format!("repos.{name}.url"), &repo.url)));
            repo.url = repo.url.clone().with_credentials(&credentials);
        }
        let servers = self.nats_url.as_deref().unwrap_or_default();
        let mut settings =
            Settings::new(servers, Some(seed), "homelab-deploy builder", builder::PING_SUBJECT)?;
        settings.tls = self.tls.tls()?;
        settings.fleet.clone_from(&rules.fleet);
        settings.capacity = Capacity::SERVICE;
        let state_dir = service::state_dir(self.state_dir.as_deref(), "/var/lib/homelab-deploy-builder");
        // nix wants roots by absolute paths.
        let state_dir = std::path::absolute(&state_dir)
            .with_context(|| format!("could not use the state directory {}", state_dir.display()))
            .map_err(Failed::usage)?;
        let metrics = self.metrics_enabled.then(|| self.metrics_addr.clone());
        Ok(Config { rules, settings, state_dir, metrics, warnings })
    }
}
