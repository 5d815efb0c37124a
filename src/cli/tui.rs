//! `tui`: the console.

use super::connection::ConnectionArgs;
use super::deploy::CONFIRM_TIERS;
use super::exit::{Exit, Failed};
use super::out::Out;
use crate::protocol::{Name, Revision};
use crate::tui::{self, ConsoleError, Options, SMALLEST, Theme};
use anyhow::Context;
use clap::Args;
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use std::io::{IsTerminal, stdin, stdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The largest frame that is printed.
const LARGEST: u16 = 1000;

#[derive(Debug, Args)]
pub(super) struct TuiArgs {
    /// The revision that the deploy form offers first
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Leave out everything that does something on a host
    #[arg(long)]
    read_only: bool,
    /// The command that opens a shell on {host}
    #[arg(long, env = "HOMELAB_DEPLOY_SHELL", value_name = "COMMAND", default_value = "ssh {host}", value_parser = parse_shell)]
    shell: String,
    /// Print one frame as text and leave
    #[arg(long)]
    snapshot: bool,
    /// The size of that frame: columns x lines
    #[arg(long, value_name = "WxH", default_value = "80x24", requires = "snapshot", value_parser = parse_size)]
    size: Size,
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn parse_shell(text: &str) -> Result<String, String> {
    let says = text.contains("{host}").then(|| text.to_owned());
    says.ok_or_else(|| "it must say where {host} belongs, as in \"ssh {host}\"".to_owned())
}

fn parse_size(text: &str) -> Result<Size, String> {
    let read = |text: &str, least: u16| text.parse().ok().filter(|n| (least..=LARGEST).contains(n));
    let sides = text.split_once('x');
    let sides = sides
        .and_then(|(width, height)| Some((read(width, SMALLEST.width)?, read(height, SMALLEST.height)?)));
    sides.map(|(width, height)| Size { width, height }).ok_or_else(|| {
        let (width, height) = (SMALLEST.width, SMALLEST.height);
        format!("write columns and lines as in 160x50, from {width}x{height} to {LARGEST}x{LARGEST}")
    })
}

impl TuiArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let issuer = |operator: &crate::deployer::Operator| operator.issuer.clone();
        let branch = self.branch.as_ref().map(ToString::to_string);
        let server = self.connection.servers()?;
        if self.snapshot {
            let operator = self.connection.operator().await?;
            let options = options(server, issuer(&operator), branch, self.read_only)?;
            let picture = tui::snapshot(operator, options, self.size).await?;
            Out::new().line(picture.trim_end_matches('\n'));
            return Ok(Exit::Done);
        }
        check_terminal()?;
        let operator = self.connection.lasting_operator().await?;
        let options = options(server, issuer(&operator), branch, self.read_only)?;
        let options = Options { shell: Some(self.shell), ..options };
        let shutdown = CancellationToken::new();
        stop_on_terminate(shutdown.clone())?;
        tui::run(operator, options, shutdown).await?;
        Ok(Exit::Done)
    }
}

/// Whether keys can be read and frames be shown.
pub(super) fn is_terminal() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

fn check_terminal() -> Result<(), Failed> {
    if is_terminal() {
        return Ok(());
    }
    Err(Failed::usage(anyhow::anyhow!(
        "the console needs a terminal; `homelab-deploy tui --snapshot` prints one frame, `homelab-deploy hosts` a table"
    )))
}

/// What the console is told at its start.
pub(super) fn options(
    server: String,
    issuer: String,
    branch: Option<String>,
    read_only: bool,
) -> Result<Options, Failed> {
    let confirm_tiers = CONFIRM_TIERS.iter().map(|tier| Name::new(*tier));
    Ok(Options {
        server,
        issuer,
        branch,
        confirm_tiers: confirm_tiers.collect::<Result<_, _>>().map_err(Failed::usage)?,
        zone: TimeZone::system(),
        theme: Theme::of_environment(|name| std::env::var(name).ok()),
        context: None,
        read_only,
        shell: None,
    })
}

/// Cancels `shutdown` on SIGTERM. An interrupt may be meant for a program that has the terminal; the console knows.
pub(super) fn stop_on_terminate(shutdown: CancellationToken) -> Result<(), Failed> {
    let terminate = signal(SignalKind::terminate()).context("could not listen for signals");
    let mut terminate = terminate.map_err(Failed::host)?;
    tokio::spawn(async move {
        terminate.recv().await;
        shutdown.cancel();
    });
    Ok(())
}

impl From<ConsoleError> for Failed {
    fn from(error: ConsoleError) -> Self {
        match error {
            ConsoleError::Link(error) => error.into(),
            other => Self::host(other),
        }
    }
}
