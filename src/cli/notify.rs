//! `notify`: the service that posts results of deployments to chat and push servers.

use super::connection::TlsArgs;
use super::exit::{CommandError, Exit};
use super::logging::LogArgs;
use super::output::Output;
use super::resolved_config::PING_SUBJECT;
use super::service;
use crate::keys::read_host_keys;
use crate::nats::ConnectionSettings;
use crate::notify::{self, Notification, NotifyConfig, NotifySettings, Poster, TargetSecrets};
use crate::protocol::Name;
use crate::text::{closest_matches, did_you_mean};
use anyhow::{Context, anyhow};
use clap::Args;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct NotifyServiceArgs {
    /// Configuration file with the targets of notifications
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the --config file and exit, without reading secrets or connecting
    #[arg(long)]
    check: bool,
    /// Post a test notification to this target and exit; repeatable
    #[arg(long, value_name = "TARGET", conflicts_with = "check")]
    test: Vec<Name>,
    /// NATS servers, comma-separated
    #[arg(
        long,
        env = "HOMELAB_DEPLOY_NATS_URL",
        hide_env_values = true,
        value_name = "URL",
        required_unless_present_any = ["check", "test"]
    )]
    nats_url: Option<String>,
    /// Nkey seed file or .creds file of a viewer
    #[arg(
        long,
        visible_alias = "creds-file",
        value_name = "FILE",
        required_unless_present_any = ["check", "test"]
    )]
    nkey_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    /// State directory [default: $STATE_DIRECTORY or /var/lib/homelab-deploy-notify]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

impl NotifyServiceArgs {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        if self.check {
            NotifyConfig::load(&self.config).map_err(CommandError::usage)?;
            Output::new().line(&format!("ok: {} is valid", self.config.display()));
            return Ok(Exit::Success);
        }
        if !self.test.is_empty() {
            return super::block_on(self.post_tests());
        }
        service::serve(&self.log, || {
            let settings = self.settings()?;
            Ok(async |shutdown| notify::run(settings, shutdown).await.map_err(CommandError::failure))
        })
    }

    /// Posts a test notification to each of the named targets.
    async fn post_tests(&self) -> Result<Exit, CommandError> {
        let config = NotifyConfig::load(&self.config).map_err(CommandError::usage)?;
        if let Some(name) = self.test.iter().find(|name| !config.targets.contains_key(*name)) {
            let known = closest_matches(name.as_str(), config.targets.keys().map(Name::as_str));
            let hint = did_you_mean(&known);
            let file = self.config.display();
            return Err(CommandError::usage(anyhow!("--test: {file} has no target {name}{hint}")));
        }
        let posters = posters(&config)?;
        let (mut out, mut exit) = (Output::new(), Exit::Success);
        for name in &self.test {
            let poster = &posters[name];
            match poster.post_once(&Notification::test(name, Timestamp::now())).await {
                Ok(()) => out.line(&format!("ok: posted to {name} ({})", poster.origin())),
                Err(reason) => {
                    out.line(&format!("failed: {name} ({}): {reason}", poster.origin()));
                    exit = Exit::Failure;
                }
            }
        }
        Ok(exit)
    }

    fn settings(&self) -> Result<NotifySettings, CommandError> {
        let config = NotifyConfig::load(&self.config).map_err(CommandError::usage)?;
        let posters = posters(&config)?;
        let fleet = config.fleet.as_deref().map(read_host_keys).transpose();
        let fleet = fleet.map_err(CommandError::usage)?;
        let (seed, warnings) = service::seed(self.nkey_file.as_deref().unwrap_or(Path::new("")))?;
        let servers = self.nats_url.as_deref().unwrap_or_default();
        let mut connection =
            ConnectionSettings::new(servers, Some(seed), "homelab-deploy notify", PING_SUBJECT)?;
        connection.tls = self.tls.tls()?;
        connection.fleet.clone_from(&config.fleet_name);
        let state_dir = service::state_dir(self.state_dir.as_deref(), "/var/lib/homelab-deploy-notify");
        let state_dir = std::path::absolute(&state_dir)
            .with_context(|| format!("could not use the state directory {}", state_dir.display()))
            .map_err(CommandError::usage)?;
        Ok(NotifySettings { config, posters, connection, fleet, state_dir, warnings })
    }
}

/// Reads the secrets of all targets.
fn posters(config: &NotifyConfig) -> Result<BTreeMap<Name, Poster>, CommandError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let mut posters = BTreeMap::new();
    for (name, target) in &config.targets {
        let secrets = TargetSecrets::read(name, target, credentials.as_deref());
        let secrets = secrets.map_err(CommandError::usage)?;
        posters.insert(name.clone(), Poster::new(target.clone(), secrets));
    }
    Ok(posters)
}
