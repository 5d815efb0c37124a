//! The command to continue with the remaining hosts of a deployment.

use super::deploy::RolloutArgs;
use crate::cli::NAME;
use crate::cli::connection::ConnectionArgs;
use crate::client::StopReason;
use crate::protocol::Name;
use crate::text::shell_word;

/// A command line that repeats an operation for other hosts.
#[derive(Debug)]
pub(in crate::cli) struct ResumeCommand {
    /// The subcommand.
    pub(in crate::cli) command: &'static str,
    flags: Vec<String>,
    /// Batch flags if the canary must still be deployed, and if it is done.
    rollout: [Vec<String>; 2],
    connection: Vec<String>,
}

impl ResumeCommand {
    pub(in crate::cli) fn for_subcommand(command: &'static str, connection: &ConnectionArgs) -> Self {
        Self {
            command,
            flags: Vec::new(),
            rollout: [Vec::new(), Vec::new()],
            connection: connection.to_args(),
        }
    }

    /// Adds the flags of a rollout. `always` is whether the command deploys in batches by default.
    pub(in crate::cli) fn rollout(self, rollout: &RolloutArgs, always: bool) -> Self {
        Self { rollout: [rollout.to_args(true, always), rollout.to_args(false, always)], ..self }
    }

    /// Adds a flag if there is a value.
    pub(in crate::cli) fn flag(&mut self, flag: &str, value: Option<String>) {
        self.flags.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }

    /// Adds a switch if it was given.
    pub(in crate::cli) fn switch(&mut self, flag: &str, given: bool) {
        self.flags.extend(given.then(|| flag.to_owned()));
    }

    /// The command for these hosts, quoted for a shell.
    pub(in crate::cli) fn command_line(&self, hosts: &[Name], stopped: Option<StopReason>) -> String {
        let rollout = &self.rollout[usize::from(stopped != Some(StopReason::Canary))];
        let words = [NAME, self.command].into_iter().chain(hosts.iter().map(Name::as_str));
        let flags = self.flags.iter().chain(rollout).chain(&self.connection);
        words.map(str::to_owned).chain(flags.map(|word| shell_word(word))).collect::<Vec<_>>().join(" ")
    }
}
