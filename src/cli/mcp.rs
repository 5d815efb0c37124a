//! `mcp`: serve an AI assistant over MCP on standard input and output.

use super::connection::{ConnectionArgs, refuse_seed};
use super::exit::{CommandError, Exit};
use super::logging::{self, LogFormat};
use super::operation::YEAR;
use crate::config::{Setting, SettingSource};
use crate::mcp::{FleetClient, Server};
use crate::protocol::Name;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(super) struct McpArgs {
    /// Also offer deploy_admin for all tiers; requires --admin-nkey-file
    #[arg(long, requires = "admin_nkey_file")]
    enable_admin: bool,
    /// Nkey seed file for deploy_admin; ignored without --enable-admin
    #[arg(long, value_name = "FILE")]
    admin_nkey_file: Option<PathBuf>,
    /// Also offer build; the key needs permission (`keys new mcp` with `builds = true`)
    #[arg(long)]
    enable_builds: bool,
    /// Time to follow a deployment in seconds; the hosts continue after that
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Verbose logging
    #[arg(long)]
    debug: bool,
    /// Format of the log on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl McpArgs {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        logging::start(self.log_format, self.debug, None).map_err(CommandError::usage)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| CommandError::usage(anyhow::Error::new(error).context("could not start")))?;
        let ended = runtime.block_on(self.serve());
        // A blocking read of standard input may never return, so it is not waited for.
        runtime.shutdown_background();
        ended
    }

    async fn serve(self) -> Result<Exit, CommandError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::usage)?;
        let server = Box::pin(self.server()).await?;
        tokio::select! {
            ended = server.run() => ended.map_err(CommandError::usage)?,
            // The server logs that its running calls were not followed to the end.
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(CommandError::usage)?;
                return Ok(Exit::Interrupted);
            }
        }
        Ok(Exit::Success)
    }

    async fn server(&self) -> Result<Server, CommandError> {
        let resolved = self.connection.resolve()?;
        let branch = resolved.branch(None);
        let client = FleetClient::new(resolved.persistent_operator().await?);
        let admin = match self.admin_nkey_file.as_ref().filter(|_| self.enable_admin) {
            Some(file) => {
                let source = SettingSource::Flag("--admin-nkey-file".to_owned());
                let file = Setting { value: file.clone(), source };
                refuse_seed(&file)?;
                // Errors in other settings were reported above, so this error concerns the admin key.
                let operator = resolved.with_key(file).persistent_operator().await;
                let operator = operator.map_err(|failed| CommandError {
                    error: failed.error.context("--admin-nkey-file"),
                    ..failed
                })?;
                Some(client.with_connection(operator.nats))
            }
            None => None,
        };
        let tier = Name::new("test").map_err(CommandError::usage)?;
        Ok(Server::new(client, admin, self.enable_builds, tier, branch, Duration::from_secs(self.timeout)))
    }
}
