//! `listener`: the service that runs on each host.

use super::activation_args::ActivationArgs;
use super::compose_args::{ComposeArgs, EngineArg};
use super::connection::TlsArgs;
use super::exit::{CommandError, Exit};
use super::flake_credentials::{FlakeCredentialsArgs, warnings as flake_warnings};
use super::logging::LogArgs;
use super::service::{self, trusted_keys};
use crate::activation::{
    DEFAULT_SILENCE_LIMIT, Engine, ExternalCommandEngine, Pipeline, WorkerSpawner, own_unit,
};
use crate::git::{CommitPolicy, CommitSigners};
use crate::listener::{self, ListenerConfig};
use crate::metrics::Address;
use crate::nats::{Capacity, ConnectionSettings};
use crate::nix::{FlakeAttr, FlakeUrl};
use crate::protocol::{DEPLOY_TEMPLATES, DISCOVER, Name, Revision, expand_template};
use anyhow::{Context, anyhow};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Upper limit of time arguments, in seconds. Much larger values would overflow the clock.
const YEAR: u64 = 365 * 86400;

#[derive(Debug, Args)]
pub(super) struct ListenerArgs {
    /// Name of this host, also in the flake unless --flake-attr is given
    #[arg(long, value_parser = parse_hostname)]
    hostname: Name,
    /// Tier of this host, for example test or prod
    #[arg(long)]
    tier: Name,
    /// Role of this host
    #[arg(long)]
    role: Option<Name>,
    /// NATS servers, comma-separated
    #[arg(long, env = "HOMELAB_DEPLOY_NATS_URL", hide_env_values = true, value_name = "URL")]
    nats_url: String,
    /// Nkey seed file or .creds file of this host
    #[arg(long, visible_alias = "creds-file", value_name = "FILE")]
    nkey_file: PathBuf,
    #[command(flatten)]
    tls: TlsArgs,
    /// What deploys to this host
    #[arg(long, value_enum, default_value = "nix", requires_if("compose", "repo_url"))]
    engine: EngineArg,
    /// Flake to deploy: git+https://…, git+ssh://…, github:owner/repo or path:…
    #[arg(long, value_name = "URL", required_unless_present = "repo_url")]
    flake_url: Option<FlakeUrl>,
    /// Name of this host in nixosConfigurations [default: the hostname]
    #[arg(long, value_name = "NAME")]
    flake_attr: Option<FlakeAttr>,
    #[command(flatten)]
    credentials: FlakeCredentialsArgs,
    /// Build and activate with PROGRAM ACTION --flake LOCKED_URL#ATTR
    #[arg(long, value_name = "PROGRAM")]
    rebuild_command: Option<PathBuf>,
    /// Seconds without output after which the rebuild command counts as hung
    #[arg(long, default_value_t = DEFAULT_SILENCE_LIMIT.as_secs(), value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    rebuild_silence: u64,
    /// Time limit for prepare, build and check together, in seconds
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Subject for deployments; repeatable; <hostname>, <tier> and <role> are expanded
    #[arg(long, value_name = "SUBJECT", default_values_t = DEPLOY_TEMPLATES.map(String::from))]
    deploy_subject: Vec<String>,
    /// Subject for queries
    #[arg(long, value_name = "SUBJECT", default_value = DISCOVER)]
    discover_subject: String,
    /// Fleet name; signed requests for another fleet are refused
    #[arg(long, value_name = "NAME", alias = "fleet")]
    fleet_name: Option<Name>,
    /// Accept only requests signed by this key (U… or U…@DATE to expire); repeatable
    #[arg(long, value_name = "KEY")]
    trusted_key: Vec<String>,
    /// Seconds between reports of a running job
    #[arg(long, default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    heartbeat_interval: u64,
    /// Seconds between presence announcements; 0 disables them
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=YEAR))]
    presence_interval: u64,
    /// Serve /metrics for Prometheus and /health
    #[arg(long)]
    metrics_enabled: bool,
    /// Address for metrics: :PORT for all addresses, or ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS", default_value = ":9972")]
    metrics_addr: Address,
    /// State directory [default: $STATE_DIRECTORY or /var/lib/homelab-deploy]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    commits: CommitArgs,
    #[command(flatten)]
    activation: ActivationArgs,
    #[command(flatten)]
    compose: ComposeArgs,
}

impl ListenerArgs {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        service::serve(&self.log.clone(), || {
            let config = self.config()?;
            let source = self.source()?.with_credentials(&self.credentials.read()?);
            let engine = self.into_engine(&config, source)?;
            Ok(async |shutdown| {
                Box::pin(listener::run(config, engine, shutdown)).await.map_err(CommandError::failure)
            })
        })
    }

    /// The flake or the repository to deploy.
    fn source(&self) -> Result<FlakeUrl, CommandError> {
        match (self.engine, &self.flake_url) {
            (EngineArg::Compose, _) => self.compose.repo(),
            (EngineArg::Nix, Some(flake)) => Ok(flake.clone()),
            (EngineArg::Nix, None) => Err(CommandError::usage(anyhow!(
                "--repo-url needs --engine compose; a NixOS host needs --flake-url"
            ))),
        }
    }

    /// The flag of the flake or repository.
    fn source_flag(&self) -> &'static str {
        if self.engine == EngineArg::Compose { "--repo-url" } else { "--flake-url" }
    }

    fn into_engine(self, config: &ListenerConfig, flake: FlakeUrl) -> Result<Arc<dyn Engine>, CommandError> {
        let launcher = std::env::current_exe()
            .context("could not find the path of this executable")
            .map_err(CommandError::usage)?;
        let spawner = WorkerSpawner {
            program: launcher,
            state_dir: config.state_dir.clone(),
            host: self.activation.host(),
        };
        let commits = self.commits.policy(&flake, &config.state_dir)?;
        if self.engine == EngineArg::Compose {
            let policy = self.activation.policy();
            return Ok(Arc::new(self.compose.engine(flake, commits, self.hostname, spawner, policy)?));
        }
        let attr = self.flake_attr.unwrap_or_else(|| FlakeAttr::from(&self.hostname));
        Ok(match self.rebuild_command {
            Some(program) => Arc::new(ExternalCommandEngine {
                program,
                flake,
                commits,
                attr,
                spawner,
                silence_limit: Duration::from_secs(self.rebuild_silence),
            }),
            None => Arc::new(Pipeline {
                flake,
                commits,
                hostname: self.hostname,
                attr,
                listener_unit: own_unit(),
                spawner,
                policy: self.activation.policy(),
            }),
        })
    }

    fn config(&self) -> Result<ListenerConfig, CommandError> {
        let (host, tier, role) = (&self.hostname, &self.tier, self.role.as_ref());
        let discover =
            expand_template(&self.discover_subject, host, tier, role, false).map_err(CommandError::usage)?;
        let discover_subject = discover.unwrap_or_else(|| DISCOVER.to_owned());
        let source = self.source()?;
        let (seed, mut warnings) = service::seed(&self.nkey_file)?;
        warnings.extend(service::log_warnings(flake_warnings(self.source_flag(), &source)));
        let name = format!("homelab-deploy listener {host}");
        let mut settings = ConnectionSettings::new(&self.nats_url, Some(seed), &name, &discover_subject)?;
        settings.tls = self.tls.tls()?;
        settings.fleet.clone_from(&self.fleet_name);
        settings.capacity = Capacity::SERVICE;
        let deploy_subjects =
            ListenerConfig::subjects(&self.deploy_subject, host, tier, role).map_err(CommandError::usage)?;
        let trusted_keys = trusted_keys(&self.trusted_key).map_err(CommandError::usage)?;
        if !trusted_keys.is_empty() {
            ListenerConfig::check_apart(&deploy_subjects).map_err(CommandError::usage)?;
        }
        Ok(ListenerConfig {
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
            runtime_dir: self.activation.host().runtime_dir(),
            confirm_peers: self.activation.confirm_peers(),
            rules: self.activation.rules(),
            flake_url: Some(source.without_credentials()),
            metrics: self.metrics_enabled.then(|| self.metrics_addr.clone()),
            warnings,
        })
    }
}

/// Parses a host name. The error for a full domain name suggests `--flake-attr`.
fn parse_hostname(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| match text.split_once('.').map(|(first, _)| Name::new(first)) {
        Some(Ok(first)) => format!(
            "{error}; if the flake uses the full domain name, give --hostname {first} --flake-attr {text}"
        ),
        _ => error.to_string(),
    })
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Commits")]
struct CommitArgs {
    /// Deploy only this branch and commits on it; repeatable or comma-separated
    #[arg(long, env = "HOMELAB_DEPLOY_ALLOW_BRANCH", value_name = "NAME", value_delimiter = ',', value_parser = parse_branch)]
    allow_branch: Vec<Revision>,
    /// Deploy only commits signed by a key in this file: SSH allowed signers or OpenPGP
    #[arg(long, env = "HOMELAB_DEPLOY_COMMIT_SIGNERS", value_name = "FILE")]
    commit_signers: Option<PathBuf>,
}

fn parse_branch(text: &str) -> Result<Revision, String> {
    match Revision::new(text) {
        Ok(branch) if branch.is_commit() => {
            Err("expected the name of a branch but found a commit".to_owned())
        }
        Ok(branch) => Ok(branch),
        Err(error) => Err(error.to_string()),
    }
}

impl CommitArgs {
    /// The policy for commits of this flake. Errors if the flake is not in a git repository.
    pub(super) fn policy(&self, flake: &FlakeUrl, state_dir: &Path) -> Result<CommitPolicy, CommandError> {
        if flake.remote().is_none() {
            let flags = [
                ("--allow-branch", !self.allow_branch.is_empty()),
                ("--commit-signers", self.commit_signers.is_some()),
            ];
            if let Some((flag, _)) = flags.into_iter().find(|(_, given)| *given) {
                return Err(CommandError::usage(anyhow!(
                    "{flag} cannot be used with {}, which has no commits; expected a flake in a git repository, such as \
                     git+https://HOST/PATH",
                    flake.without_credentials()
                )));
            }
        }
        let signers = self.commit_signers.as_ref().map(|file| {
            let file = std::path::absolute(file).context("could not find the file of --commit-signers")?;
            CommitSigners::new(file).context("invalid --commit-signers")
        });
        Ok(CommitPolicy {
            cache: state_dir.join("commits"),
            allowed_branches: self.allow_branch.clone(),
            signers: signers.transpose().map_err(CommandError::usage)?,
        })
    }
}
