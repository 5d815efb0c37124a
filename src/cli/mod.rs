//! Command-line interface: arguments, subcommands (one file each), output and exit codes.
//!
//! See ARCHITECTURE.md, "The operator's side".

#![expect(clippy::doc_markdown, reason = "doc comments of arguments are the help text")]
#![allow(rustdoc::invalid_html_tags, rustdoc::bare_urls, reason = "see above")]

mod activation;
mod activation_args;
mod arg_source;
mod build;
mod builder;
mod cancel;
mod completions;
mod compose_args;
mod config;
mod config_check;
mod connection;
mod demo;
mod deploy;
mod diagnose;
mod diff;
mod exit;
mod flake_credentials;
mod flake_update;
mod history;
mod hold;
mod hosts;
mod keys;
mod keys_rotate;
mod listener;
mod logging;
mod logs;
mod man;
mod mcp;
mod notify;
mod operation;
mod operation_args;
mod output;
mod progress;
mod reboot;
mod render;
mod replies;
mod resolved_config;
mod resume;
mod resume_command;
mod rollback;
mod rollout_runner;
mod rollouts;
mod sandbox;
mod selector;
mod service;
mod status;
mod tui;

use crate::git::without_userinfo;
use crate::nats::hide_connection_panics;
use crate::text::holds_seed;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error, FromArgMatches, Parser, Subcommand};
use exit::{CommandError, Exit};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

/// Name of the executable.
const NAME: &str = "homelab-deploy";

/// Deploy, watch and rescue a fleet of NixOS hosts over NATS
#[derive(Debug, Parser)]
#[command(name = NAME, version, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

/// Parser for services only. The arguments of all other commands would stay in the memory of a process that runs for
/// months.
#[derive(Debug, Parser)]
#[command(name = NAME, version, max_term_width = 80)]
struct ServiceCli {
    #[command(subcommand)]
    service: ServiceCommand,
}

#[derive(Debug, Subcommand)]
enum ServiceCommand {
    /// Run on each host: accept and carry out deployments
    Listener(Box<listener::ListenerArgs>),
    /// Run on one host: build the hosts of configured repositories on request
    Builder(Box<builder::BuilderArgs>),
    /// Run on one host: post results of deployments to ntfy, Matrix, Slack and others
    Notify(Box<notify::NotifyServiceArgs>),
}

impl ServiceCommand {
    fn run(self) -> Result<Exit, CommandError> {
        match self {
            Self::Listener(args) => args.run(),
            Self::Builder(args) => args.run(),
            Self::Notify(args) => args.run(),
        }
    }
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    #[command(flatten)]
    Service(ServiceCommand),
    /// Deploy a revision to hosts and follow it until it ends
    Deploy(deploy::DeployArgs),
    /// Open the console: watch the fleet live, deploy, cancel
    Tui(tui::TuiArgs),
    /// List hosts, their status and what they run
    Hosts(hosts::HostsArgs),
    /// Show the running or last job of each host, with its phases
    Status(status::StatusArgs),
    /// Print the log of a job
    Logs(logs::LogsArgs),
    /// List past jobs
    History(history::HistoryArgs),
    /// Show what a deployment would change, without changing anything
    Diff(diff::DiffArgs),
    /// Collect the diagnostics of hosts with Docker Compose
    Diagnose(diagnose::DiagnoseArgs),
    /// Continue the failed job of hosts with Docker Compose
    Resume(resume::ResumeArgs),
    /// Return hosts to an earlier generation
    Rollback(rollback::RollbackArgs),
    /// Reboot hosts one at a time or in batches; each must come back before the next
    Reboot(reboot::RebootArgs),
    /// List rollouts that have batches to send; pause, continue or abort one
    Rollouts(rollouts::RolloutsArgs),
    /// Ask the builder to build hosts and follow the builds
    Build(build::BuildArgs),
    /// Cancel the running job of hosts before it activates
    Cancel(cancel::CancelArgs),
    /// Block deployments to hosts until they are released
    Hold(hold::HoldArgs),
    /// Unblock deployments to held hosts
    Release(hold::ReleaseArgs),
    /// Update flake inputs; advance the branch only if every host builds
    FlakeUpdate(Box<flake_update::FlakeUpdateArgs>),
    /// Serve an AI assistant over MCP: query hosts, deploy to the tier test
    Mcp(mcp::McpArgs),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Create and rotate keys, and generate NATS permissions
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Try it on this machine: private NATS server, simulated hosts, a deployment
    Demo(demo::DemoArgs),
    /// Print a shell completion script
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write the pages of all commands
    Man(man::ManArgs),
    /// Helper processes of the listener
    #[command(hide = true, subcommand)]
    Activation(activation::ActivationCommand),
    /// Helper process that runs nix in a sandbox
    #[command(hide = true)]
    Sandbox(sandbox::SandboxArgs),
    /// Detached process that takes a rollout over
    #[command(hide = true)]
    RolloutRunner(rollout_runner::RolloutRunnerArgs),
}

/// The command line without hidden helper commands, for completions, manual pages and the reference in `docs/`.
pub fn command() -> clap::Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .subcommand_required(true)
        .subcommands(shown)
}

/// Subcommands by purpose, as the help lists them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Inspect", &["tui", "hosts", "status", "logs", "history", "diff", "diagnose"]),
    (
        "Change",
        &[
            "deploy",
            "rollouts",
            "resume",
            "rollback",
            "reboot",
            "cancel",
            "hold",
            "release",
            "build",
            "flake-update",
        ],
    ),
    ("Run as a service", &["listener", "builder", "notify", "mcp"]),
    ("Set up", &["demo", "keys", "config", "completions", "man", "help"]),
];

const EXAMPLES: &str = "Examples:
  homelab-deploy demo                              Try the console on this machine
  homelab-deploy diff web1 --branch main           What a deployment would change
  homelab-deploy deploy web1 --branch main         Deploy to one host
  homelab-deploy deploy --tier test --all          Deploy to a tier
  homelab-deploy rollback web1                     Return to the previous generation

For a first deployment, see docs/start.md in the repository.";

/// The command whose help lists subcommands in groups, which clap does not support.
fn grouped_help() -> clap::Command {
    let mut all = Cli::command();
    all.build();
    let about = |name: &str| all.find_subcommand(name).and_then(clap::Command::get_about).cloned();
    let mut text = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(text, "{title}:");
        for name in names {
            let _ = writeln!(text, "  {name:<14}{}", about(name).unwrap_or_default());
        }
        text.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{text}Options:\n{{options}}\n\n{EXAMPLES}"
    );
    Cli::command().help_template(template)
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    hide_connection_panics();
    run(std::env::args_os())
}

fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.collect();
    if let Some(answered) = completions::answer_shell(&arguments) {
        return answered;
    }
    let command = match parse(&arguments) {
        Ok(command) => command,
        Err(error) => {
            let error = redact(error);
            // If the pipe is closed, the reader has read enough.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match command {
        CliCommand::Service(service) => service.run(),
        command => run_command(command),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failed) => {
            // If standard error is closed too, the exit code still reports the failure.
            let _ = writeln!(std::io::stderr(), "error: {:#}", failed.error);
            failed.exit.into()
        }
    }
}

/// Runs a command that is not a service. Not inlined, so that a service does not reserve the stack for all commands.
#[inline(never)]
fn run_command(command: CliCommand) -> Result<Exit, CommandError> {
    match command {
        CliCommand::Service(service) => service.run(),
        CliCommand::Deploy(args) => block_on(args.run()),
        CliCommand::Tui(args) => block_on(args.run()),
        CliCommand::Hosts(args) => block_on(args.run()),
        CliCommand::Status(args) => block_on(args.run()),
        CliCommand::Logs(args) => block_on(args.run()),
        CliCommand::History(args) => block_on(args.run()),
        CliCommand::Diff(args) => block_on(args.run()),
        CliCommand::Diagnose(args) => block_on(args.run()),
        CliCommand::Resume(args) => block_on(args.run()),
        CliCommand::Rollback(args) => block_on(args.run()),
        CliCommand::Reboot(args) => block_on(args.run()),
        CliCommand::Rollouts(args) => block_on(args.run()),
        CliCommand::Build(args) => block_on(args.run()),
        CliCommand::Cancel(args) => block_on(args.run()),
        CliCommand::Hold(args) => block_on(args.run()),
        CliCommand::Release(args) => block_on(args.run()),
        CliCommand::FlakeUpdate(args) => block_on(args.run()),
        CliCommand::Mcp(args) => args.run(),
        CliCommand::Config(command) => command.run(),
        CliCommand::Keys(command) => block_on(command.run()),
        CliCommand::Demo(args) => args.run(),
        CliCommand::Completions(args) => args.run(),
        CliCommand::Man(args) => args.run(),
        CliCommand::Activation(command) => command.run(),
        CliCommand::Sandbox(args) => args.run(),
        CliCommand::RolloutRunner(args) => block_on(args.run()),
    }
}

fn parse(arguments: &[OsString]) -> Result<CliCommand, clap::Error> {
    if arguments.get(1).is_some_and(|name| name == "listener" || name == "builder" || name == "notify") {
        return Ok(CliCommand::Service(ServiceCli::try_parse_from(arguments)?.service));
    }
    let matches = match Cli::command().try_get_matches_from(arguments) {
        Err(error) if is_help(&error) => grouped_help().try_get_matches_from(arguments),
        matches => matches,
    };
    Ok(Cli::from_arg_matches(&matches?)?.command)
}

fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Runs an operator command on a single-threaded runtime, because it mostly waits.
fn block_on<T>(command: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| CommandError::usage(anyhow::Error::new(error).context("could not start")))?
        .block_on(command)
}

/// Redacts the values that clap repeats in an error. The reasons come from our parsers, which do not repeat secrets.
fn redact(mut error: Error) -> Error {
    let repeated = [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand];
    for kind in repeated {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            let redacted = redact_value(text);
            error.insert(kind, ContextValue::String(redacted));
        }
    }
    error
}

fn redact_value(text: &str) -> String {
    if holds_seed(text) {
        return "…".to_owned();
    }
    // The query of a malformed URL may still contain a token.
    let text = match (text.split_once('?'), text.contains("://")) {
        (Some((before, _)), true) => format!("{before}?…"),
        _ => text.to_owned(),
    };
    let text = without_userinfo(&text);
    match text.rsplit_once('@') {
        Some((before, after)) if before.contains(':') => format!("…@{after}"),
        _ => text,
    }
}
