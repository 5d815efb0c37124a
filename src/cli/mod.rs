//! The command line: arguments, one file a subcommand, printing, exit codes.
#![expect(clippy::doc_markdown, reason = "doc comments of arguments are the help that people read")]
#![allow(rustdoc::invalid_html_tags, rustdoc::bare_urls, reason = "the same")]

mod activation;
mod build;
mod builder;
mod cancel;
mod completions;
mod config;
mod connection;
mod demo;
mod deploy;
mod diff;
mod effective;
mod exit;
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
mod replies;
mod rollback;
mod selector;
mod service;
mod status;
mod targets;
mod tls;
mod tui;

use clap::{CommandFactory, Parser, Subcommand};
use exit::{Exit, Failed};
use std::ffi::OsString;
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

#[derive(Debug, Subcommand)]
enum Command {
    /// Run on a host: take deployments and carry them out.
    Listener(Box<listener::ListenerArgs>),
    /// Run on one host: build the hosts of listed repositories when asked to.
    Builder(Box<builder::BuilderArgs>),
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
    /// Make keys, and the permissions for them.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Try everything on this machine: a private broker, simulated hosts, a deployment.
    Demo(demo::DemoArgs),
    /// Print the script that makes a shell complete our arguments.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write the pages of all commands.
    Man(man::ManArgs),
    /// Our own helper processes.
    #[command(hide = true, subcommand)]
    Activation(activation::ActivationCommand),
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

/// Parses the command line and carries it out.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is the reader's wish.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match cli.command {
        Command::Listener(args) => args.run(),
        Command::Builder(args) => args.run(),
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
        Command::Keys(command) => command.run(),
        Command::Demo(args) => args.run(),
        Command::Completions(args) => Ok(args.run()),
        Command::Man(args) => args.run(),
        Command::Activation(command) => command.run(),
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

/// Runs an operator's command on one thread: it mostly waits.
fn block_on(command: impl Future<Output = Result<Exit, Failed>>) -> Result<Exit, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Failed::usage(anyhow::Error::new(error).context("could not start")))?
        .block_on(command)
}
