//! Hidden helper processes of the listener.

use super::exit::Failed;
use super::out::Out;
use crate::activation::{PhaseLine, launch};
use crate::protocol::PhaseName;
use clap::Subcommand;
use std::ffi::OsString;

#[derive(Debug, Subcommand)]
pub(super) enum ActivationCommand {
    /// Become a program in a session of its own.
    Launch {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

impl ActivationCommand {
    /// Comes back only if it fails.
    pub(super) fn run(self) -> Failed {
        let Self::Launch { mut command } = self;
        let program = command.remove(0);
        let error = launch(program, command);
        // The output is the job's log: so it is known that nothing has begun.
        Out::new().line(&PhaseLine::write(&PhaseName::Prepare, &error.to_string()));
        Failed::host(error)
    }
}
