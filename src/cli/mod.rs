//! The command line: arguments, one file a subcommand, printing, exit codes.
#![expect(clippy::doc_markdown, reason = "doc comments of arguments are the help that people read")]
#![allow(rustdoc::invalid_html_tags, rustdoc::bare_urls, reason = "the same")]

mod activation;
mod build;
mod builder;
mod cancel;
mod commit_args;
mod completions;
mod config;
mod connection;
mod demo;
mod deploy;
mod diff;
mod effective;
mod exit;
mod flake_credentials;
mod flake_update;
mod given;
mod history;
mod hold;
mod hosts;
mod keys;
mod listener;
mod live;
mod logging;
mod logs;
mod man;
mod mcp;
mod out;
mod policy;
mod reboot;
mod release;
mod render;
mod repaint;
mod replies;
mod rollback;
mod said;
mod sandbox;
mod selector;
mod service;
mod status;
mod targets;
mod tls;
mod trusted_keys;
mod tui;

use crate::bus::hide_connection_panics;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use exit::{Exit, Failed};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

/// Our own name, as it is typed.
const NAME: &str = "homelab-deploy";

/// Deploy, watch and rescue a fleet of NixOS machines over NATS.
#[derive(Debug, Parser)]
#[command(name = NAME, version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A service alone: the arguments of all other commands would stay in the memory of a process that runs for months.
#[derive(Debug, Parser)]
#[command(name = NAME, version, max_term_width = 100)]
struct ServiceCli {
    #[command(subcommand)]
    service: ServiceCommand,
}

#[derive(Debug, Subcommand)]
enum ServiceCommand {
    /// Run on a host: take deployments and carry them out.
    Listener(Box<listener::ListenerArgs>),
    /// Run on one host: build the hosts of listed repositories when asked to.
    Builder(Box<builder::BuilderArgs>),
}

impl ServiceCommand {
    fn run(self) -> Result<Exit, Failed> {
        match self {
            Self::Listener(args) => args.run(),
            Self::Builder(args) => args.run(),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Service(ServiceCommand),
    /// Deploy a revision to hosts and follow it to the end.
    Deploy(deploy::DeployArgs),
    /// Open the console: the whole fleet live, deploy, watch, cancel.
    Tui(tui::TuiArgs),
    /// Show who is there and what runs.
    Hosts(hosts::HostsArgs),
    /// Show the running or last job of hosts, phase by phase.
    Status(status::StatusArgs),
    /// Print the log of a job from its first line.
    Logs(logs::LogsArgs),
    /// List the jobs of the past.
    History(history::HistoryArgs),
    /// Show what a deployment would change, and change nothing.
    Diff(diff::DiffArgs),
    /// Take hosts back to an earlier generation.
    Rollback(rollback::RollbackArgs),
    /// Reboot hosts one after the other, or in waves; each must come back first.
    Reboot(reboot::RebootArgs),
    /// Have the builder build hosts, and follow it.
    Build(build::BuildArgs),
    /// Stop the running job of hosts, as long as it has not begun to activate.
    Cancel(cancel::CancelArgs),
    /// Keep deployments from hosts until they are released.
    Hold(hold::HoldArgs),
    /// Let held hosts take deployments again.
    Release(release::ReleaseArgs),
    /// Update the inputs of a flake, and move its branch on only where every host builds.
    FlakeUpdate(Box<flake_update::FlakeUpdateArgs>),
    /// Serve an assistant over MCP: it looks at hosts and deploys to the tier test.
    Mcp(mcp::McpArgs),
    /// Look at the configuration: what is in force, and what is wrong in the file.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make and replace keys, and make the permissions for them.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Try everything on this machine: a private broker, simulated hosts, a deployment.
    Demo(demo::DemoArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write the pages of all commands.
    Man(man::ManArgs),
    /// Our own helper processes.
    #[command(hide = true, subcommand)]
    Activation(activation::ActivationCommand),
    /// Our own helper process for nix.
    #[command(hide = true)]
    Sandbox(sandbox::SandboxArgs),
}

/// The command line as people see it, for completions, manual pages and the reference in `docs/`: without our own helper
/// processes.
pub fn command() -> clap::Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .subcommand_required(true)
        .subcommands(shown)
}

/// The commands by what they are for.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Look", &["tui", "hosts", "status", "logs", "history", "diff"]),
    ("Change", &["deploy", "rollback", "reboot", "cancel", "hold", "release", "build", "flake-update"]),
    ("Run as a service", &["listener", "builder", "mcp"]),
    ("Set up", &["demo", "keys", "config", "completions", "man", "help"]),
];

const EXAMPLES: &str = "Examples:
  homelab-deploy demo                              Try the console on this machine
  homelab-deploy diff web1 --branch main           What a deployment would change
  homelab-deploy deploy web1 --branch main         Deploy to one host
  homelab-deploy deploy --tier test --all          Deploy to a tier
  homelab-deploy rollback web1                     Return to the previous generation

docs/start.md in the repository leads from zero to the first deployment.";

/// What is parsed where help is wanted: it lists the commands in groups, which clap cannot do by itself.
fn with_groups() -> clap::Command {
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

/// Parses the command line and carries it out.
pub fn main() -> ExitCode {
    hide_connection_panics();
    run(std::env::args_os())
}

fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let command = match parse(&arguments.collect::<Vec<_>>()) {
        Ok(command) => command,
        Err(error) => {
            let error = said::without_secrets(error);
            // A closed pipe is the reader's wish.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match command {
        Command::Service(service) => service.run(),
        command => carry_out(command),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failed) => {
            // Where nobody reads our errors either, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "error: {:#}", failed.error);
            failed.exit.into()
        }
    }
}

/// Carries out what is not a service. A service must not have all of this on its stack.
#[inline(never)]
fn carry_out(command: Command) -> Result<Exit, Failed> {
    match command {
        Command::Service(service) => service.run(),
        Command::Deploy(args) => block_on(args.run()),
        Command::Tui(args) => block_on(args.run()),
        Command::Hosts(args) => block_on(args.run()),
        Command::Status(args) => block_on(args.run()),
        Command::Logs(args) => block_on(args.run()),
        Command::History(args) => block_on(args.run()),
        Command::Diff(args) => block_on(args.run()),
        Command::Rollback(args) => block_on(args.run()),
        Command::Reboot(args) => block_on(args.run()),
        Command::Build(args) => block_on(args.run()),
        Command::Cancel(args) => block_on(args.run()),
        Command::Hold(args) => block_on(args.run()),
        Command::Release(args) => block_on(args.run()),
        Command::FlakeUpdate(args) => block_on(args.run()),
        Command::Mcp(args) => args.run(),
        Command::Config(command) => command.run(),
        Command::Keys(command) => block_on(command.run()),
        Command::Demo(args) => args.run(),
        Command::Completions(args) => Ok(args.run()),
        Command::Man(args) => args.run(),
        Command::Activation(command) => command.run(),
        Command::Sandbox(args) => args.run(),
    }
}

fn parse(arguments: &[OsString]) -> Result<Command, clap::Error> {
    if arguments.get(1).is_some_and(|name| name == "listener" || name == "builder") {
        return Ok(Command::Service(ServiceCli::try_parse_from(arguments)?.service));
    }
    let matches = match Cli::command().try_get_matches_from(arguments) {
        Err(error) if is_help(&error) => with_groups().try_get_matches_from(arguments),
        matches => matches,
    };
    Ok(Cli::from_arg_matches(&matches?)?.command)
}

fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Runs an operator's command on one thread: it mostly waits.
fn block_on<T>(command: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Failed::usage(anyhow::Error::new(error).context("could not start")))?
        .block_on(command)
}
