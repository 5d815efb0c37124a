//! Connection arguments of every operator command: context, server, key and TLS certificates.

use super::arg_source::ArgSource;
use super::exit::CommandError;
use super::resolved_config::ResolvedConfig;
use crate::config::{Config, Setting, Unproven};
use crate::nats::TlsFiles;
use crate::protocol::Name;
use crate::text::holds_seed;
use anyhow::Context;
use clap::Args;
use std::cell::OnceCell;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Arguments that select the context, the NATS server and the credential.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    #[command(flatten)]
    arg_source: ArgSource,
    /// Configuration context that supplies unset options
    #[arg(long, env = "HOMELAB_DEPLOY_CONTEXT", value_name = "NAME")]
    context: Option<Name>,
    /// NATS servers, comma-separated: nats://host:4222 or tls://host:4222
    #[arg(long, env = "HOMELAB_DEPLOY_NATS_URL", hide_env_values = true, value_name = "URL")]
    nats_url: Option<String>,
    /// Nkey seed file or .creds file; optional only for a server on this machine
    #[arg(
        long,
        visible_alias = "creds-file",
        env = "HOMELAB_DEPLOY_NKEY_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    nkey_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Fleet name, as set on its listeners
    #[arg(long, env = "HOMELAB_DEPLOY_FLEET_NAME", value_name = "NAME", alias = "fleet")]
    fleet_name: Option<Name>,
    /// Whether to deploy to unproven hosts [default: allow until a key is known]
    #[arg(long, env = "HOMELAB_DEPLOY_UNPROVEN", value_name = "allow|refuse", hide_short_help = true)]
    unproven: Option<Unproven>,
}

impl ConnectionArgs {
    /// The flags of the command line, for a command that repeats them in another context, if one is given. Files have
    /// absolute paths.
    pub(super) fn to_args_in(&self, context: Option<&str>) -> Vec<String> {
        let mut args = self.to_args();
        if let Some(at) = args.iter().position(|arg| arg == "--context") {
            args.drain(at..(at + 2).min(args.len()));
        }
        for at in 1..args.len() {
            let is_file = ["--nkey-file", "--tls-ca", "--tls-cert", "--tls-key"].contains(&&*args[at - 1]);
            if is_file && let Ok(path) = std::path::absolute(&args[at]) {
                args[at] = path.display().to_string();
            }
        }
        args.extend(context.into_iter().flat_map(|context| ["--context".to_owned(), context.to_owned()]));
        args
    }

    /// The flags of the command line, for a command that repeats them.
    pub(super) fn to_args(&self) -> Vec<String> {
        let path = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string());
        let values = [
            ("context", self.context.as_ref().map(ToString::to_string)),
            ("nats_url", self.nats_url.clone()),
            ("nkey_file", path(&self.nkey_file)),
            ("tls_ca", path(&self.tls.ca)),
            ("tls_cert", path(&self.tls.cert)),
            ("tls_key", path(&self.tls.key)),
            ("fleet_name", self.fleet_name.as_ref().map(ToString::to_string)),
            ("unproven", self.unproven.as_ref().map(ToString::to_string)),
        ];
        let typed = values.into_iter().filter(|(id, _)| self.arg_source.is_flag(id));
        typed
            .flat_map(|(id, value)| [format!("--{}", id.replace('_', "-")), value.unwrap_or_default()])
            .collect()
    }

    /// Resolves each setting: flag or variable first, then the selected context of the file.
    pub(super) fn resolve(&self) -> Result<ResolvedConfig, CommandError> {
        self.resolve_in(self.context.as_ref())
    }

    /// Like `resolve`, but in this context.
    pub(super) fn resolve_in(&self, context: Option<&Name>) -> Result<ResolvedConfig, CommandError> {
        let config = Config::load(|name| std::env::var_os(name))?;
        let selected = config.select(self.arg_source.setting("context", context))?;
        let given = |id: &str, value: &Option<PathBuf>, of_file: &Option<Setting<PathBuf>>| {
            self.arg_source.setting(id, value.as_ref()).or_else(|| of_file.clone())
        };
        let nkey_file = given("nkey_file", &self.nkey_file, &selected.nkey_file);
        if let Some(file) = &nkey_file {
            refuse_seed(file)?;
        }
        Ok(ResolvedConfig {
            nats_url: self
                .arg_source
                .setting("nats_url", self.nats_url.as_ref())
                .or(selected.nats_url.clone()),
            nkey_file,
            tls_ca: given("tls_ca", &self.tls.ca, &selected.tls_ca),
            tls_cert: given("tls_cert", &self.tls.cert, &selected.tls_cert),
            tls_key: given("tls_key", &self.tls.key, &selected.tls_key),
            fleet_name: self
                .arg_source
                .setting("fleet_name", self.fleet_name.as_ref())
                .or_else(|| selected.fleet_name.clone()),
            unproven: self
                .arg_source
                .setting("unproven", self.unproven.as_ref())
                .or_else(|| selected.unproven.clone()),
            config,
            selected,
            nats_settings: OnceCell::new(),
        })
    }
}

/// Refuses a seed in place of a file name. The error does not repeat the seed.
pub(super) fn refuse_seed(file: &Setting<PathBuf>) -> Result<(), CommandError> {
    if !holds_seed(&file.value.to_string_lossy()) {
        return Ok(());
    }
    let source = &file.source;
    Err(CommandError::usage(anyhow::anyhow!(
        "{source}: expected a path but found a seed: write the seed to a file and put its path here"
    )))
}

/// Certificate files of a connection, all PEM.
#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// CA certificate to trust instead of the system's, PEM
    #[arg(id = "tls_ca", long = "tls-ca", value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Client certificate, PEM
    #[arg(id = "tls_cert", long = "tls-cert", value_name = "FILE", requires = "tls_key")]
    pub(super) cert: Option<PathBuf>,
    /// Private key of the client certificate, PEM
    #[arg(id = "tls_key", long = "tls-key", value_name = "FILE", requires = "tls_cert")]
    pub(super) key: Option<PathBuf>,
}

impl TlsArgs {
    /// Returns the files. Each must be readable.
    pub(super) fn tls(&self) -> Result<TlsFiles, CommandError> {
        let files = [("--tls-ca", &self.ca), ("--tls-cert", &self.cert), ("--tls-key", &self.key)];
        for (flag, file) in files {
            file.as_deref()
                .map(|file| check_readable(&format!("could not read {flag}"), file))
                .transpose()?;
        }
        Ok(TlsFiles { ca: self.ca.clone(), identity: self.cert.clone().zip(self.key.clone()) })
    }
}

/// Checks that a file can be read. A connection without TLS never opens these files, so that a missing one would go
/// unnoticed.
pub(super) fn check_readable(what: &str, file: &Path) -> Result<(), CommandError> {
    let opened = File::open(file).with_context(|| format!("{what} {}", file.display()));
    opened.map(drop).map_err(CommandError::usage)
}
