//! `listener`: the service of one host.

use super::commit_args::CommitArgs;
use super::exit::{Exit, Failed};
use super::flake_credentials::{FlakeCredentialsArgs, warnings as flake_warnings};
use super::logging::LogArgs;
use super::policy::PolicyArgs;
use super::service;
use super::tls::TlsArgs;
use super::trusted_keys::trusted_keys;
use crate::activation::{Engine, Owner, Pipeline, RebuildEngine, SILENT, own_unit};
use crate::bus::{Capacity, Settings};
use crate::listener::{self, Config};
use crate::metrics::Address;
use crate::nix::{FlakeAttr, FlakeUrl};
use crate::protocol::{DEPLOY_TEMPLATES, DISCOVER, Name, expand};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// In seconds; what lies much further away has no place in the clock.
const YEAR: u64 = 365 * 86400;

#[derive(Debug, Args)]
pub(super) struct ListenerArgs {
    /// The name of this host, as the flake calls it unless --flake-attr is given
    #[arg(long, value_parser = hostname)]
    hostname: Name,
    /// The tier of this host, for example test or prod
    #[arg(long)]
    tier: Name,
    /// The role of this host
    #[arg(long)]
    role: Option<Name>,
    /// The NATS server, or a comma list of a cluster's
    #[arg(long, value_name = "URL")]
    nats_url: String,
    /// The file with this host's nkey seed, or a .creds file
    #[arg(long, visible_alias = "creds-file", value_name = "FILE")]
    nkey_file: PathBuf,
    #[command(flatten)]
    tls: TlsArgs,
    /// The flake to deploy: git+https://…, git+ssh://…, github:owner/repo, or path:…
    #[arg(long, value_name = "URL")]
    flake_url: FlakeUrl,
    /// What the flake calls this host below nixosConfigurations [default: the hostname]
    #[arg(long, value_name = "NAME")]
    flake_attr: Option<FlakeAttr>,
    #[command(flatten)]
    credentials: FlakeCredentialsArgs,
    /// Hand build and activation to a program, called as PROGRAM ACTION --flake LOCKED_URL#ATTR
    #[arg(long, value_name = "PROGRAM")]
    rebuild_command: Option<PathBuf>,
    /// Seconds without output after which an activating program counts as hung
    #[arg(long, default_value_t = SILENT.as_secs(), value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    rebuild_silence: u64,
    /// Seconds that prepare, build and check may take together
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Where to take requests; repeatable; <hostname>, <tier> and <role> expand
    #[arg(long, value_name = "SUBJECT", default_values_t = DEPLOY_TEMPLATES.map(String::from))]
    deploy_subject: Vec<String>,
    /// Where to take questions
    #[arg(long, value_name = "SUBJECT", default_value = DISCOVER)]
    discover_subject: String,
    /// Name of the fleet: a signed request for another fleet is refused
    #[arg(long, value_name = "NAME", alias = "fleet")]
    fleet_name: Option<Name>,
    /// Take only what this key has signed, U… or, if it expires, U…@2027-01-01; repeatable
    #[arg(long, value_name = "KEY")]
    trusted_key: Vec<String>,
    /// Seconds between reports while a job runs
    #[arg(long, default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    heartbeat_interval: u64,
    /// Seconds between announcements; 0: none
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=YEAR))]
    presence_interval: u64,
    /// Measure, and serve /metrics for Prometheus and /health
    #[arg(long)]
    metrics_enabled: bool,
    /// Where to serve them: :PORT for all addresses of this host, or one with its port
    #[arg(long, value_name = "ADDRESS", default_value = ":9972")]
    metrics_addr: Address,
    /// Where jobs are kept [default: $STATE_DIRECTORY, else /var/lib/homelab-deploy]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    commits: CommitArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

impl ListenerArgs {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        service::serve(&self.log.clone(), || {
            let config = self.config()?;
            let flake = self.flake_url.clone().with_credentials(&self.credentials.read()?);
            let engine = self.engine(&config, flake)?;
            Ok(async |shutdown| Box::pin(listener::run(config, engine, shutdown)).await.map_err(Failed::host))
        })
    }

    fn engine(self, config: &Config, flake: FlakeUrl) -> Result<Arc<dyn Engine>, Failed> {
        let launcher =
            std::env::current_exe().context("could not find our own executable").map_err(Failed::usage)?;
        let owner =
            Owner { program: launcher, state_dir: config.state_dir.clone(), host: self.policy.host() };
        let commits = self.commits.policy(&self.flake_url, &config.state_dir)?;
        let attr = self.flake_attr.unwrap_or_else(|| FlakeAttr::from(&self.hostname));
        Ok(match self.rebuild_command {
            Some(program) => Arc::new(RebuildEngine {
                program,
                flake,
                commits,
                attr,
                owner,
                silence: Duration::from_secs(self.rebuild_silence),
            }),
            None => Arc::new(Pipeline {
                flake,
                commits,
                hostname: self.hostname,
                attr,
                listener_unit: own_unit(),
                owner,
                policy: self.policy.policy(),
            }),
        })
    }

    fn config(&self) -> Result<Config, Failed> {
        let (host, tier, role) = (&self.hostname, &self.tier, self.role.as_ref());
        let discover = expand(&self.discover_subject, host, tier, role, false).map_err(Failed::usage)?;
        let discover_subject = discover.unwrap_or_else(|| DISCOVER.to_owned());
        let (seed, mut warnings) = service::seed(&self.nkey_file)?;
        warnings.extend(service::warned(flake_warnings("--flake-url", &self.flake_url)));
        let name = format!("homelab-deploy listener {host}");
        let mut settings = Settings::new(&self.nats_url, Some(seed), &name, &discover_subject)?;
        settings.tls = self.tls.tls()?;
        settings.fleet.clone_from(&self.fleet_name);
        settings.capacity = Capacity::SERVICE;
        let deploy_subjects =
            Config::subjects(&self.deploy_subject, host, tier, role).map_err(Failed::usage)?;
        let trusted_keys = trusted_keys(&self.trusted_key).map_err(Failed::usage)?;
        if !trusted_keys.is_empty() {
            Config::check_apart(&deploy_subjects).map_err(Failed::usage)?;
        }
        Ok(Config {
            deploy_subjects,
            trusted_keys,
            settings,
            discover_subject,
            hostname: host.clone(),
            tier: tier.clone(),
            role: role.cloned(),
            timeout: Duration::from_secs(self.timeout),
            heartbeat: Duration::from_secs(self.heartbeat_interval),
            presence: Duration::from_secs(self.presence_interval),
            state_dir: service::state_dir(self.state_dir.as_deref(), "/var/lib/homelab-deploy"),
            runtime_dir: self.policy.host().runtime_dir(),
            confirm_peers: self.policy.confirm_peers(),
            rules: self.policy.rules(),
            flake_url: Some(self.flake_url.without_credentials()),
            metrics: self.metrics_enabled.then(|| self.metrics_addr.clone()),
            warnings,
        })
    }
}

/// A full domain name is told how it is given.
fn hostname(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| match text.split_once('.').map(|(first, _)| Name::new(first)) {
        Some(Ok(first)) => format!(
            "{error}; where the flake calls the host by its full domain name, give --hostname {first} --flake-attr {text}"
        ),
        _ => error.to_string(),
    })
}
