//! Which arguments were given on the command line, and which came from the environment.

use crate::config::{Setting, Source};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::collections::HashSet;

/// The arguments of a command by how they came. It must be the first field of its command: what is read is gone.
#[derive(Debug, Default)]
pub(super) struct Given {
    typed: HashSet<String>,
}

impl Given {
    /// Whether the argument was typed.
    pub(super) fn is_typed(&self, id: &str) -> bool {
        self.typed.contains(id)
    }

    /// A value that was given, with its flag or the variable that stands for it.
    pub(super) fn setting<T: Clone>(&self, id: &str, value: Option<&T>) -> Option<Setting<T>> {
        let source = if self.is_typed(id) {
            Source::Flag(format!("--{}", id.replace('_', "-")))
        } else {
            Source::Variable(format!("HOMELAB_DEPLOY_{}", id.to_ascii_uppercase()))
        };
        value.map(|value| Setting { value: value.clone(), source })
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        Ok(Self { typed: matches.ids().filter(typed).map(ToString::to_string).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
