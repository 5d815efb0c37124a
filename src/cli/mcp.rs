//! `mcp`: serve an assistant on standard input and output.

use super::connection::{ConnectionArgs, refuse_seed};
use super::deploy::YEAR;
use super::exit::{Exit, Failed};
use super::logging::{self, LogFormat};
use crate::config::{Setting, Source};
use crate::mcp::{Access, Server};
use crate::protocol::Name;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(super) struct McpArgs {
    /// Also offer deploy_admin, which reaches every tier; needs --admin-nkey-file
    #[arg(long, requires = "admin_nkey_file")]
    enable_admin: bool,
    /// The file with the nkey seed for deploy_admin; it is not looked at without --enable-admin
    #[arg(long, value_name = "FILE")]
    admin_nkey_file: Option<PathBuf>,
    /// Also offer build, which asks the builder; the key must be one that may (`keys new mcp`, `builds = true`)
    #[arg(long)]
    enable_builds: bool,
    /// Seconds to follow a deployment; the hosts go on beyond that
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Log more
    #[arg(long)]
    debug: bool,
    /// How to log to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl McpArgs {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        logging::start(self.log_format, self.debug, None).map_err(Failed::usage)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failed::usage(anyhow::Error::new(error).context("could not start")))?;
        let ended = runtime.block_on(self.serve());
        // Standard input may be read at this moment, and nobody may ever write there again.
        runtime.shutdown_background();
        ended
    }

    async fn serve(self) -> Result<Exit, Failed> {
        let mut told_to_end = signal(SignalKind::terminate()).map_err(Failed::usage)?;
        let server = self.server().await?;
        tokio::select! {
            ended = server.run() => ended.map_err(Failed::usage)?,
            // What is under way is noted in the log as not followed to its end.
            _ = told_to_end.recv() => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(Failed::usage)?;
                return Ok(Exit::Interrupted);
            }
        }
        Ok(Exit::Done)
    }

    async fn server(&self) -> Result<Server, Failed> {
        let effective = self.connection.effective()?;
        let branch = effective.branch(None);
        let access = Access::new(effective.lasting_operator().await?);
        let admin = match self.admin_nkey_file.as_ref().filter(|_| self.enable_admin) {
            Some(file) => {
                let source = Source::Flag("--admin-nkey-file".to_owned());
                let file = Setting { value: file.clone(), source };
                refuse_seed(&file)?;
                // Whatever else may be wrong has been told above.
                let operator = effective.with_key(file).lasting_operator().await;
                Some(Access::new(operator.map_err(|failed| Failed {
                    error: failed.error.context("--admin-nkey-file"),
                    ..failed
                })?))
            }
            None => None,
        };
        let tier = Name::new("test").map_err(Failed::usage)?;
        Ok(Server::new(access, admin, self.enable_builds, tier, branch, Duration::from_secs(self.timeout)))
    }
}
