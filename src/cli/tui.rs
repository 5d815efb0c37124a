//! `tui`: the console.

use super::connection::ConnectionArgs;
use super::effective::Effective;
use super::exit::{Exit, Failed};
use super::out::Out;
use crate::config::{Source, default_confirm_tiers};
use crate::protocol::Revision;
use crate::tui::{self, Chord, ConsoleError, Options, SMALLEST, Theme};
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
    #[arg(long, env = "HOMELAB_DEPLOY_SHELL", value_name = "COMMAND", value_parser = parse_shell)]
    shell: Option<String>,
    /// Print one frame as text and leave
    #[arg(long)]
    snapshot: bool,
    /// The size of that frame: columns x lines
    #[arg(long, value_name = "WxH", default_value = "80x24", requires = "snapshot", value_parser = parse_size)]
    size: Size,
    /// Keys to press before that frame, as in 'jj<enter>'; they send nothing
    #[arg(long, value_name = "KEYS", requires = "snapshot", value_parser = parse_keys)]
    keys: Option<Keys>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Keys as they are written on a command line.
#[derive(Debug, Clone)]
struct Keys(Vec<Chord>);

fn parse_keys(text: &str) -> Result<Keys, String> {
    Chord::parse(text).map(Keys)
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
        let effective = self.connection.effective()?;
        // Where nobody names a branch, the form offers what the hosts run.
        let set = Some(&effective.chosen.branch).filter(|branch| branch.source != Source::Default);
        let branch = self.branch.or_else(|| set.map(|branch| branch.value.clone()));
        if self.snapshot {
            let keys = self.keys.map(|keys| keys.0).unwrap_or_default();
            let operator = effective.operator().await?;
            let options = options(&effective, issuer(&operator), branch, self.read_only)?;
            let picture = tui::snapshot(operator, options, self.size, &keys).await?;
            Out::new().line(picture.trim_end_matches('\n'));
            return Ok(Exit::Done);
        }
        check_terminal()?;
        let operator = effective.lasting_operator().await?;
        let mut options = options(&effective, issuer(&operator), branch, self.read_only)?;
        if self.shell.is_some() {
            options.shell = self.shell;
        }
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
fn options(
    effective: &Effective,
    issuer: String,
    branch: Option<Revision>,
    read_only: bool,
) -> Result<Options, Failed> {
    Ok(Options {
        follows: Some(effective.branch(branch.clone())),
        branch: branch.map(|branch| branch.to_string()),
        read_only,
        confirm_tiers: effective.confirm_tiers().to_vec(),
        context: effective.chosen.context.as_ref().map(|context| context.value.to_string()),
        mouse: effective.chosen.mouse.value,
        shell: Some(effective.chosen.shell.value.clone()),
        memory: Some(effective.console_file()?),
        ..usual(effective.servers()?, issuer)
    })
}

/// The look that the terminal asks for, and nothing else out of the usual.
pub(super) fn usual(server: String, issuer: String) -> Options {
    Options {
        confirm_tiers: default_confirm_tiers(),
        zone: TimeZone::system(),
        ..Options::new(server, issuer, Theme::of_environment(|name| std::env::var(name).ok()))
    }
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
