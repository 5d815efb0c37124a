//! Hidden helper processes of the listener.

use super::block_on;
use super::exit::{Exit, Failed};
use super::out::Out;
use crate::activation::{HostPaths, LaunchError, Owner, PhaseLine, ProgramKind, launch, program, supervise};
use crate::protocol::{Id, PhaseName};
use clap::Subcommand;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum ActivationCommand {
    /// Own a job from its activation to its verdict.
    Run {
        /// Where jobs are kept.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// The root directory of the host.
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
        /// Take up a job whose owner has died.
        #[arg(long)]
        recover: bool,
        /// The job.
        id: Id,
    },
    /// Start the recovery of a job whose owner has ended without its result.
    Recover {
        /// Where jobs are kept.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// The root directory of the host.
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
        /// The job.
        id: Id,
    },
    /// Become a program in a session of its own.
    Launch {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Run a program in a session of its own and note how it ended.
    Supervise {
        /// Where to note how it ended.
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        /// Where its output goes.
        #[arg(long, value_name = "FILE")]
        log: PathBuf,
        /// It is a check of a new system, not a rebuild program.
        #[arg(long)]
        check: bool,
        /// Stay for what it leaves in the background.
        #[arg(long)]
        stay: bool,
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

impl ActivationCommand {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        match self {
            Self::Run { state_dir, root, recover, id } => block_on(async move {
                program::run(&state_dir, &root, &id, recover).await.map_err(Failed::host)?;
                Ok(Exit::Done)
            }),
            Self::Recover { state_dir, root, id } => block_on(async move {
                let program = std::env::current_exe().map_err(Failed::host)?;
                let host = HostPaths { root, ..HostPaths::default() };
                Owner { program, state_dir, host }.recover(&id).await.map_err(Failed::host)?;
                Ok(Exit::Done)
            }),
            Self::Launch { mut command } => {
                let program = command.remove(0);
                Err(not_launched(launch(program, command)))
            }
            Self::Supervise { state, log, check, stay, mut command } => {
                let program = command.remove(0);
                let kind = if check { ProgramKind::Check } else { ProgramKind::Rebuild };
                block_on(async move {
                    supervise(&state, &log, kind, stay, program, command).await.map_err(not_launched)?;
                    Ok(Exit::Done)
                })
            }
        }
    }
}

fn not_launched(error: LaunchError) -> Failed {
    // The output is the job's log: so it is known that nothing has begun.
    Out::new().line(&PhaseLine::write(&PhaseName::Prepare, &error.to_string()));
    Failed::host(error)
}
