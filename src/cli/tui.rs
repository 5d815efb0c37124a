//! `tui`: the console.

use super::connection::ConnectionArgs;
use super::effective::Effective;
use super::exit::{Exit, Failed};
use super::out::Out;
use crate::config::{Source, default_confirm_tiers};
use crate::deployer::Operator;
use crate::protocol::{Name, Revision};
use crate::tui::{self, Chord, ConsoleError, Fault, Left, Options, SMALLEST, Theme};
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
        let mut effective = self.connection.effective()?;
        if self.snapshot {
            return self.print(&effective).await;
        }
        check_terminal()?;
        let shutdown = CancellationToken::new();
        stop_on_terminate(shutdown.clone())?;
        let (mut operator, mut options) = self.console(&effective).await?;
        loop {
            let context = match tui::run(operator, options, shutdown.clone()).await? {
                Left::Quit => return Ok(Exit::Done),
                Left::For(context) => context,
            };
            match self.other(&context).await {
                Ok((other, console)) => (effective, (operator, options)) = (other, console),
                Err(failed) => {
                    (operator, options) = self.console(&effective).await?;
                    let text = format!("{:#}; this is still the context before", failed.error);
                    options.first = Some(Fault { title: format!("The context {context}"), text });
                }
            }
        }
    }

    /// What a console needs in another context.
    async fn other(&self, context: &str) -> Result<(Effective, (Operator, Options)), Failed> {
        let name = Name::new(context).map_err(Failed::usage)?;
        let effective = self.connection.effective_in(Some(&name))?;
        let console = self.console(&effective).await?;
        Ok((effective, console))
    }

    async fn print(&self, effective: &Effective) -> Result<Exit, Failed> {
        let operator = effective.operator().await?;
        let options = self.options(effective, &operator)?;
        let keys = self.keys.as_ref().map(|keys| keys.0.as_slice()).unwrap_or_default();
        let picture = tui::snapshot(operator, options, self.size, keys).await?;
        Out::new().line(picture.trim_end_matches('\n'));
        Ok(Exit::Done)
    }

    async fn console(&self, effective: &Effective) -> Result<(Operator, Options), Failed> {
        let operator = effective.lasting_operator().await?;
        let options = self.options(effective, &operator)?;
        Ok((operator, options))
    }

    fn options(&self, effective: &Effective, operator: &Operator) -> Result<Options, Failed> {
        let chosen = &effective.chosen;
        // Where nobody names a branch, the form offers what the hosts run.
        let set = Some(&chosen.branch).filter(|branch| branch.source != Source::Default);
        let branch = self.branch.clone().or_else(|| set.map(|branch| branch.value.clone()));
        // A server that was named beside the file would be that of every context.
        let of_file = effective.nats_url.as_ref().is_some_and(|url| url.source.place().is_some());
        let contexts = effective.config.contexts().map(ToString::to_string);
        Ok(Options {
            follows: Some(effective.branch(branch.clone())),
            branch: branch.map(|branch| branch.to_string()),
            read_only: self.read_only,
            confirm_tiers: effective.confirm_tiers().to_vec(),
            brokers: effective.brokers()?,
            context: chosen.context.as_ref().map(|context| context.value.to_string()),
            contexts: if of_file { contexts.collect() } else { Vec::new() },
            mouse: chosen.mouse.value,
            shell: Some(self.shell.clone().unwrap_or_else(|| chosen.shell.value.clone())),
            memory: Some(effective.console_file()?),
            ..usual(effective.servers()?, operator.issuer.clone())
        })
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
            terminal @ ConsoleError::Terminal(_) => Self::host(terminal),
        }
    }
}
