//! The arguments of every operator command: the context, the server and the key.

use super::effective::Effective;
use super::exit::Failed;
use super::given::Given;
use super::tls::TlsArgs;
use crate::config::{Config, Setting, Unproven};
use crate::protocol::{Name, holds_seed};
use clap::Args;
use std::cell::OnceCell;
use std::path::PathBuf;

/// The server and the key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectionArgs {
    #[command(flatten)]
    given: Given,
    /// Configuration context that supplies unset options
    #[arg(long, env = "HOMELAB_DEPLOY_CONTEXT", value_name = "NAME")]
    context: Option<Name>,
    /// The NATS server, or a comma list of a cluster's: nats://host:4222 or tls://host:4222
    #[arg(long, env = "HOMELAB_DEPLOY_NATS_URL", value_name = "URL")]
    nats_url: Option<String>,
    /// The file with our nkey seed, or a .creds file; only a server on this machine may be used without
    #[arg(long, visible_alias = "creds-file", env = "HOMELAB_DEPLOY_NKEY_FILE", value_name = "FILE")]
    nkey_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Name of the fleet, as its listeners have it
    #[arg(long, env = "HOMELAB_DEPLOY_FLEET_NAME", value_name = "NAME", alias = "fleet")]
    fleet_name: Option<Name>,
    /// What to do with hosts that are not proven: allow or refuse [default: allow until a key is known]
    #[arg(long, env = "HOMELAB_DEPLOY_UNPROVEN", value_name = "allow|refuse", hide_short_help = true)]
    unproven: Option<Unproven>,
}

impl ConnectionArgs {
    /// What was typed, to be typed again.
    pub(super) fn typed(&self) -> Vec<String> {
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
        let typed = values.into_iter().filter(|(id, _)| self.given.is_typed(id));
        typed
            .flat_map(|(id, value)| [format!("--{}", id.replace('_', "-")), value.unwrap_or_default()])
            .collect()
    }

    /// What is in force: what was given here, else what the file says for the context.
    pub(super) fn effective(&self) -> Result<Effective, Failed> {
        self.effective_in(self.context.as_ref())
    }

    /// The same in this context.
    pub(super) fn effective_in(&self, context: Option<&Name>) -> Result<Effective, Failed> {
        let config = Config::load(|name| std::env::var_os(name))?;
        let chosen = config.choose(self.given.setting("context", context))?;
        let given = |id: &str, value: &Option<PathBuf>, of_file: &Option<Setting<PathBuf>>| {
            self.given.setting(id, value.as_ref()).or_else(|| of_file.clone())
        };
        let nkey_file = given("nkey_file", &self.nkey_file, &chosen.nkey_file);
        if let Some(file) = &nkey_file {
            refuse_seed(file)?;
        }
        Ok(Effective {
            nats_url: self.given.setting("nats_url", self.nats_url.as_ref()).or(chosen.nats_url.clone()),
            nkey_file,
            tls_ca: given("tls_ca", &self.tls.ca, &chosen.tls_ca),
            tls_cert: given("tls_cert", &self.tls.cert, &chosen.tls_cert),
            tls_key: given("tls_key", &self.tls.key, &chosen.tls_key),
            fleet_name: self
                .given
                .setting("fleet_name", self.fleet_name.as_ref())
                .or_else(|| chosen.fleet_name.clone()),
            unproven: self
                .given
                .setting("unproven", self.unproven.as_ref())
                .or_else(|| chosen.unproven.clone()),
            config,
            chosen,
            read: OnceCell::new(),
        })
    }
}

/// Refuses a seed where the name of its file should stand. It is not told back.
pub(super) fn refuse_seed(file: &Setting<PathBuf>) -> Result<(), Failed> {
    if !holds_seed(&file.value.to_string_lossy()) {
        return Ok(());
    }
    let source = &file.source;
    Err(Failed::usage(anyhow::anyhow!(
        "{source} holds a seed itself: write the seed into a file, and name that file"
    )))
}
