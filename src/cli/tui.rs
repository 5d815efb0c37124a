//! `tui`: open the console.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::operation::describe_detached;
use super::output::Output;
use super::resolved_config::{ResolvedConfig, state_directory};
use super::resume_command::ResumeCommand;
use crate::client::Operator;
use crate::config::{Config, ConfigError, InvalidFile, SettingSource, default_confirm_tiers};
use crate::protocol::{Action, Name, Revision};
use crate::tui::{
    self, Chord, ConsoleConfig, ConsoleError, ErrorDialog, ExitReason, Options, SMALLEST, TerminalFeatures,
    Theme, UnsentRollout,
};
use anyhow::Context;
use clap::Args;
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use std::io::{IsTerminal, Write, stdin, stdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Maximum columns and lines of a printed frame.
const LARGEST: u16 = 1000;

#[derive(Debug, Args)]
pub(super) struct TuiArgs {
    /// Revision that the deploy form suggests
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Disable all actions on hosts
    #[arg(long)]
    read_only: bool,
    /// Command that opens a shell on {host}
    #[arg(long, env = "HOMELAB_DEPLOY_SHELL", value_name = "COMMAND", value_parser = parse_shell)]
    shell: Option<String>,
    /// Print one frame as text and exit
    #[arg(long)]
    snapshot: bool,
    /// Size of the frame in columns and lines
    #[arg(long, value_name = "WxH", default_value = "80x24", requires = "snapshot", value_parser = parse_size)]
    size: Size,
    /// Keys to press before the frame, such as 'jj<enter>'; nothing is sent to hosts
    #[arg(long, value_name = "KEYS", requires = "snapshot", value_parser = parse_keys)]
    keys: Option<KeySequence>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Parsed value of `--keys`.
#[derive(Debug, Clone)]
struct KeySequence(Vec<Chord>);

fn parse_keys(text: &str) -> Result<KeySequence, String> {
    Chord::parse(text).map(KeySequence)
}

fn parse_shell(text: &str) -> Result<String, String> {
    let command = text.contains("{host}").then(|| text.to_owned());
    command.ok_or_else(|| "expected a command that contains {host}, such as \"ssh {host}\"".to_owned())
}

fn parse_size(text: &str) -> Result<Size, String> {
    let read = |text: &str, least: u16| text.parse().ok().filter(|n| (least..=LARGEST).contains(n));
    let sides = text.split_once('x');
    let sides = sides
        .and_then(|(width, height)| Some((read(width, SMALLEST.width)?, read(height, SMALLEST.height)?)));
    sides.map(|(width, height)| Size { width, height }).ok_or_else(|| {
        let (width, height) = (SMALLEST.width, SMALLEST.height);
        format!("expected columns and lines such as 160x50, from {width}x{height} to {LARGEST}x{LARGEST}")
    })
}

impl TuiArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let mut resolved = self.connection.resolve()?;
        // An invalid file is reported before a missing server.
        console_config(&resolved.config)?;
        if self.snapshot {
            return self.print_snapshot(&resolved).await;
        }
        check_terminal()?;
        let shutdown = CancellationToken::new();
        stop_on_terminate(shutdown.clone())?;
        let (mut operator, mut options) = self.console(&resolved).await?;
        loop {
            let (reason, unsent) = tui::run(operator, options, shutdown.clone()).await?;
            for rollout in &unsent {
                // The terminal may be closed.
                let _ = writeln!(std::io::stderr(), "{}", describe_unsent(rollout, &self.connection));
            }
            let context = match reason {
                ExitReason::Quit | ExitReason::HungUp => return Ok(Exit::Success),
                ExitReason::SwitchContext(context) => context,
            };
            match self.open_context(&context).await {
                Ok((other, console)) => (resolved, (operator, options)) = (other, console),
                Err(failed) => {
                    (operator, options) = self.console(&resolved).await?;
                    let text = format!("{:#}; still in the previous context", failed.error);
                    options.first_error =
                        Some(ErrorDialog { title: format!("Could not open context {context}"), text });
                }
            }
        }
    }

    /// Prepares a console in another context.
    async fn open_context(
        &self,
        context: &str,
    ) -> Result<(ResolvedConfig, (Operator, Options)), CommandError> {
        let name = Name::new(context).map_err(CommandError::usage)?;
        let resolved = self.connection.resolve_in(Some(&name))?;
        let console = self.console(&resolved).await?;
        Ok((resolved, console))
    }

    async fn print_snapshot(&self, resolved: &ResolvedConfig) -> Result<Exit, CommandError> {
        let operator = resolved.operator().await?;
        let options = self.options(resolved, &operator)?;
        let keys = self.keys.as_ref().map(|keys| keys.0.as_slice()).unwrap_or_default();
        let mut out = Output::new();
        let frame = tui::snapshot(operator, options, self.size, keys, out.colours).await?;
        out.line(frame.trim_end_matches('\n'));
        Ok(Exit::Success)
    }

    async fn console(&self, resolved: &ResolvedConfig) -> Result<(Operator, Options), CommandError> {
        let operator = resolved.persistent_operator().await?;
        let options = self.options(resolved, &operator)?;
        Ok((operator, options))
    }

    fn options(&self, resolved: &ResolvedConfig, operator: &Operator) -> Result<Options, CommandError> {
        let selected = &resolved.selected;
        // If no branch is configured, the form suggests what the hosts run.
        let set = Some(&selected.branch).filter(|branch| branch.source != SettingSource::Default);
        let branch = self.branch.clone().or_else(|| set.map(|branch| branch.value.clone()));
        // A server from a flag or variable would apply to every context, so contexts cannot be switched then.
        let of_file = resolved.nats_url.as_ref().is_some_and(|url| url.source.location().is_some());
        let contexts = resolved.config.contexts().map(ToString::to_string);
        let console = console_config(&resolved.config)?;
        let terminal = TerminalFeatures {
            title: selected.title.value,
            progress: selected.progress.value,
            notify: selected.notify.value,
            bell: selected.bell.value,
        };
        let defaults = default_options(resolved.servers()?, operator.issuer.clone());
        Ok(Options {
            theme: defaults.theme.with_styles(console.styles),
            columns: console.columns,
            keys: console.keys,
            aliases: console.aliases,
            tracked_branch: Some(resolved.branch(branch.clone())),
            branch: branch.map(|branch| branch.to_string()),
            read_only: self.read_only,
            confirm_tiers: resolved.confirm_tiers().to_vec(),
            nats_hosts: resolved.nats_hosts()?,
            context: selected.context.as_ref().map(|context| context.value.to_string()),
            contexts: if of_file { contexts.collect() } else { Vec::new() },
            mouse: selected.mouse.value,
            terminal: terminal.supported(|name| std::env::var(name).ok()),
            shell: Some(self.shell.clone().unwrap_or_else(|| selected.shell.value.clone())),
            view_state_file: Some(resolved.view_state_file()?),
            feed_file: Some(resolved.feed_file()?),
            log_directory: state_directory("logs"),
            rollout_directory: Some(resolved.rollout_directory()?),
            background: Some(self.connection.detached_runner(resolved)?),
            ..defaults
        })
    }
}

/// What happens to the batches that a console has not sent when it ends.
pub(super) fn describe_unsent(rollout: &UnsentRollout, connection: &ConnectionArgs) -> String {
    let plan = &rollout.plan;
    if let Some(process) = &rollout.continued_by {
        return describe_detached(&plan.id, process);
    }
    let hosts = plan.not_started();
    let names: Vec<_> = hosts.iter().map(Name::as_str).collect();
    let (action, names) = (&plan.intent.action, names.join(", "));
    let mut text =
        format!("deployment {}: {action} was not sent to {names}; jobs that were sent continue", plan.id);
    let commits = plan.commits();
    let revision = commits.first().copied().filter(|_| commits.len() == 1);
    let revision = revision.or(plan.intent.revision.as_ref().map(Revision::as_str));
    if let Some(revision) = revision {
        let mut resume = ResumeCommand::for_subcommand("deploy", connection);
        resume.flag("--action", (*action != Action::Switch).then(|| action.to_string()));
        resume.flag("--branch", Some(revision.to_owned()));
        text = format!("{text}; to continue:\n  {}", resume.command_line(&hosts, None));
    }
    text
}

/// Reads what `[console]` changes in the console.
pub(super) fn console_config(config: &Config) -> Result<ConsoleConfig, ConfigError> {
    let invalid = |problems| ConfigError::Invalid(InvalidFile { path: config.file.to_path_buf(), problems });
    ConsoleConfig::read(config.console()).map_err(invalid)
}

/// Whether standard input and standard output are terminals.
pub(super) fn is_terminal() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

fn check_terminal() -> Result<(), CommandError> {
    if is_terminal() {
        return Ok(());
    }
    Err(CommandError::usage(anyhow::anyhow!(
        "the console needs a terminal; `homelab-deploy tui --snapshot` prints one frame, `homelab-deploy hosts` a table"
    )))
}

/// Default options, with the theme of the environment.
pub(super) fn default_options(server: String, issuer: String) -> Options {
    Options {
        confirm_tiers: default_confirm_tiers(),
        zone: TimeZone::system(),
        ..Options::new(server, issuer, Theme::of_environment(|name| std::env::var(name).ok()))
    }
}

/// Cancels `shutdown` on SIGTERM. The console handles SIGINT, which may be for a program that it started.
pub(super) fn stop_on_terminate(shutdown: CancellationToken) -> Result<(), CommandError> {
    let terminate = signal(SignalKind::terminate()).context("could not listen for signals");
    let mut terminate = terminate.map_err(CommandError::failure)?;
    tokio::spawn(async move {
        terminate.recv().await;
        shutdown.cancel();
    });
    Ok(())
}

impl From<ConsoleError> for CommandError {
    fn from(error: ConsoleError) -> Self {
        match error {
            ConsoleError::Nats(error) => error.into(),
            terminal @ ConsoleError::Terminal(_) => Self::failure(terminal),
        }
    }
}
