//! The command that goes on with the hosts that were left out.

use super::WavesArgs;
use crate::cli::NAME;
use crate::cli::connection::ConnectionArgs;
use crate::deployer::Stopped;
use crate::protocol::{Name, shell_word};

/// A command line to be typed again for other hosts.
#[derive(Debug)]
pub(in crate::cli) struct Again {
    /// The subcommand.
    pub(in crate::cli) command: &'static str,
    flags: Vec<String>,
    /// The flags of waves where a canary is still to be tried, and where it has been.
    waves: [Vec<String>; 2],
    connection: Vec<String>,
}

impl Again {
    pub(in crate::cli) fn new(command: &'static str, connection: &ConnectionArgs) -> Self {
        Self { command, flags: Vec::new(), waves: [Vec::new(), Vec::new()], connection: connection.typed() }
    }

    /// With these waves; `always` is whether the command makes some by itself.
    pub(in crate::cli) fn waves(self, waves: &WavesArgs, always: bool) -> Self {
        Self { waves: [waves.typed(true, always), waves.typed(false, always)], ..self }
    }

    /// Adds a flag with its value, where there is one.
    pub(in crate::cli) fn flag(&mut self, flag: &str, value: Option<String>) {
        self.flags.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }

    /// Adds a flag, where it was given.
    pub(in crate::cli) fn switch(&mut self, flag: &str, given: bool) {
        self.flags.extend(given.then(|| flag.to_owned()));
    }

    /// The command for these hosts, as a shell takes it.
    pub(super) fn line(&self, hosts: &[Name], stopped: Option<Stopped>) -> String {
        let waves = &self.waves[usize::from(stopped != Some(Stopped::Canary))];
        let words = [NAME, self.command].into_iter().chain(hosts.iter().map(Name::as_str));
        let flags = self.flags.iter().chain(waves).chain(&self.connection);
        words.map(str::to_owned).chain(flags.map(|word| shell_word(word))).collect::<Vec<_>>().join(" ")
    }
}
