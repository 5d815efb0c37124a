//! `tui`: the console.

use super::connection::ConnectionArgs;
use super::exit::{Exit, Failed};
use super::listener::stop_on_signal;
use super::out::Out;
use crate::config::Source;
use crate::protocol::{Name, Revision};
use crate::tui::{self, ConsoleError, Options, SMALLEST, Theme};
use anyhow::Context;
use clap::Args;
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use std::io::{IsTerminal, stdin, stdout};
use tokio_util::sync::CancellationToken;

/// The largest frame that is printed.
const LARGEST: u16 = 1000;

#[derive(Debug, Args)]
pub(super) struct TuiArgs {
    /// The revision that the deploy form offers first
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Print one frame as text and leave
    #[arg(long)]
    snapshot: bool,
    /// The size of that frame: columns x lines
    #[arg(long, value_name = "WxH", default_value = "80x24", requires = "snapshot", value_parser = parse_size)]
    size: Size,
    #[command(flatten)]
    connection: ConnectionArgs,
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
        let server = effective.servers()?;
        // Where nobody names a branch, the form offers what the hosts run.
        let set = Some(&effective.chosen.branch).filter(|branch| branch.source != Source::Default);
        let branch = self.branch.or_else(|| set.map(|branch| branch.value.clone()));
        let branch = branch.map(|branch| branch.to_string());
        let confirm_tiers = effective.confirm_tiers().to_vec();
        if self.snapshot {
            let operator = effective.operator().await?;
            let options = options(server, issuer(&operator), branch, confirm_tiers);
            let picture = tui::snapshot(operator, options, self.size).await?;
            Out::new().line(picture.trim_end_matches('\n'));
            return Ok(Exit::Done);
        }
        check_terminal()?;
        let operator = effective.lasting_operator().await?;
        let options = options(server, issuer(&operator), branch, confirm_tiers);
        let shutdown = CancellationToken::new();
        stop_on_signal(shutdown.clone()).context("could not listen for signals").map_err(Failed::host)?;
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
    confirm_tiers: Vec<Name>,
) -> Options {
    let theme = Theme::of_environment(|name| std::env::var(name).ok());
    Options { server, issuer, branch, confirm_tiers, zone: TimeZone::system(), theme }
}

impl From<ConsoleError> for Failed {
    fn from(error: ConsoleError) -> Self {
        match error {
            ConsoleError::Link(error) => error.into(),
            other => Self::host(other),
        }
    }
}
