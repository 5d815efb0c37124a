//! `builder`: the service that builds hosts when asked to.

use super::connection::refuse_seed;
use super::exit::{Exit, Failed};
use super::listener::stop_on_signal;
use super::logging::{self, LogFormat};
use super::tls::TlsArgs;
use crate::builder::{self, Config, Rules};
use crate::bus::{Seed, Settings};
use crate::config::{Setting, Source};
use crate::manager;
use crate::metrics::Address;
use crate::nix::Nix;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

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
    /// Log more
    #[arg(long)]
    debug: bool,
    /// How to log to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// Also log to daily files there, 14 kept
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
}

impl BuilderArgs {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        let ended = self.serve();
        if let Err(failed) = &ended {
            manager::could_not_start(&format!("could not start: {:#}", failed.error));
        }
        ended
    }

    fn serve(self) -> Result<Exit, Failed> {
        logging::start(self.log_format, self.debug, self.log_dir.as_deref()).map_err(Failed::usage)?;
        let config = self.config()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.context("could not start").map_err(Failed::host)?;
        runtime.block_on(async {
            let shutdown = CancellationToken::new();
            stop_on_signal(shutdown.clone()).context("could not listen for signals").map_err(Failed::host)?;
            builder::run(config, Arc::new(Nix::new()), shutdown).await.map_err(Failed::host)?;
            Ok(Exit::Done)
        })
    }

    fn config(&self) -> Result<Config, Failed> {
        let rules = Rules::load(&self.config).map_err(Failed::usage)?;
        let source = Source::Flag("--nkey-file".to_owned());
        refuse_seed(&Setting { value: self.nkey_file.clone(), source })?;
        let seed = Seed::read(&self.nkey_file)?;
        let warnings: Vec<_> = seed.warning().into_iter().collect();
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let mut settings =
            Settings::new(&self.nats_url, Some(seed), "homelab-deploy builder", builder::PING_SUBJECT)?;
        settings.tls = self.tls.tls()?;
        let systemd = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
        let state_dir = self.state_dir.clone().or_else(systemd);
        let state_dir = state_dir.unwrap_or_else(|| PathBuf::from("/var/lib/homelab-deploy-builder"));
        // nix wants roots by absolute paths.
        let state_dir = std::path::absolute(&state_dir)
            .with_context(|| format!("could not use the state directory {}", state_dir.display()))
            .map_err(Failed::usage)?;
        let metrics = self.metrics_enabled.then(|| self.metrics_addr.clone());
        Ok(Config { rules, settings, state_dir, metrics, warnings })
    }
}
