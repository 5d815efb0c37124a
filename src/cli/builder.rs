//! `builder`: the service that builds hosts when asked to.

use super::exit::{Exit, Failed};
use super::logging::LogArgs;
use super::service;
use super::tls::TlsArgs;
use crate::builder::{self, Config, Rules};
use crate::bus::Settings;
use crate::metrics::Address;
use crate::nix::Nix;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct BuilderArgs {
    /// The file that lists the repositories and how they are built
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The NATS server, or a comma list of a cluster's
    #[arg(long, value_name = "URL")]
    nats_url: String,
    /// The file with the builder's nkey seed
    #[arg(long, value_name = "FILE")]
    nkey_file: PathBuf,
    #[command(flatten)]
    tls: TlsArgs,
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
    log: LogArgs,
}

impl BuilderArgs {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        service::serve(&self.log, || {
            let config = self.config()?;
            Ok(async |shutdown| {
                builder::run(config, Arc::new(Nix::new()), shutdown).await.map_err(Failed::host)
            })
        })
    }

    fn config(&self) -> Result<Config, Failed> {
        let rules = Rules::load(&self.config).map_err(Failed::usage)?;
        let (seed, warnings) = service::seed(&self.nkey_file)?;
        let mut settings =
            Settings::new(&self.nats_url, Some(seed), "homelab-deploy builder", builder::PING_SUBJECT)?;
        settings.tls = self.tls.tls()?;
        let state_dir = service::state_dir(self.state_dir.as_deref(), "/var/lib/homelab-deploy-builder");
        // nix wants roots by absolute paths.
        let state_dir = std::path::absolute(&state_dir)
            .with_context(|| format!("could not use the state directory {}", state_dir.display()))
            .map_err(Failed::usage)?;
        let metrics = self.metrics_enabled.then(|| self.metrics_addr.clone());
        Ok(Config { rules, settings, state_dir, metrics, warnings })
    }
}
