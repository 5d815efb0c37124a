//! Distinguishes arguments of the command line from those of the environment.

use crate::config::{Setting, SettingSource};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::collections::HashSet;

/// The ids of the arguments that were given as flags. It must be the first field of its command, because clap removes
/// each argument from the matches when a field reads it.
#[derive(Debug, Default)]
pub(super) struct ArgSource {
    flags: HashSet<String>,
}

impl ArgSource {
    /// Whether the argument was given on the command line.
    pub(super) fn is_flag(&self, id: &str) -> bool {
        self.flags.contains(id)
    }

    /// Pairs a value with its source: the flag or the environment variable.
    pub(super) fn setting<T: Clone>(&self, id: &str, value: Option<&T>) -> Option<Setting<T>> {
        let source = if self.is_flag(id) {
            SettingSource::Flag(format!("--{}", id.replace('_', "-")))
        } else {
            SettingSource::Variable(format!("HOMELAB_DEPLOY_{}", id.to_ascii_uppercase()))
        };
        value.map(|value| Setting { value: value.clone(), source })
    }
}

impl FromArgMatches for ArgSource {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        Ok(Self { flags: matches.ids().filter(typed).map(ToString::to_string).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ArgSource {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
