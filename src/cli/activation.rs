//! `activation`: hidden helper processes of the listener.

use super::block_on;
use super::exit::{CommandError, Exit};
use super::output::Output;
use crate::activation::{
    HostPaths, ProgramKind, ProgressMarker, SpawnError, WorkerSpawner, exec_in_session, supervise, worker,
};
use crate::protocol::{Id, PhaseName};
use clap::Subcommand;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum ActivationCommand {
    /// Run the activation of a job until its result.
    Run {
        /// State directory with the jobs.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// Root directory of the host.
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
        /// Recover a job whose worker has died.
        #[arg(long)]
        recover: bool,
        /// Id of the job.
        id: Id,
    },
    /// Start a recovery worker for a job whose worker ended without a result.
    Recover {
        /// State directory with the jobs.
        #[arg(long, value_name = "DIR")]
        state_dir: PathBuf,
        /// Root directory of the host.
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
        /// Id of the job.
        id: Id,
    },
    /// Execute a program in a new session.
    Exec {
        /// Program and arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Run a program in a new session and record its exit status.
    Supervise {
        /// File for the exit status.
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        /// File for the output.
        #[arg(long, value_name = "FILE")]
        log: PathBuf,
        /// The program is a check of a new system, not a rebuild command.
        #[arg(long)]
        check: bool,
        /// Keep running until its background processes have ended.
        #[arg(long)]
        stay: bool,
        /// Program and arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

impl ActivationCommand {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        match self {
            Self::Run { state_dir, root, recover, id } => block_on(async move {
                worker::run(&state_dir, &root, &id, recover).await.map_err(CommandError::failure)?;
                Ok(Exit::Success)
            }),
            Self::Recover { state_dir, root, id } => block_on(async move {
                let program = std::env::current_exe().map_err(CommandError::failure)?;
                let host = HostPaths { root, ..HostPaths::default() };
                WorkerSpawner { program, state_dir, host }
                    .recover(&id)
                    .await
                    .map_err(CommandError::failure)?;
                Ok(Exit::Success)
            }),
            Self::Exec { mut command } => {
                let program = command.remove(0);
                Err(not_started(exec_in_session(program, command)))
            }
            Self::Supervise { state, log, check, stay, mut command } => {
                let program = command.remove(0);
                let kind = if check { ProgramKind::Check } else { ProgramKind::Rebuild };
                block_on(async move {
                    supervise(&state, &log, kind, stay, program, command).await.map_err(not_started)?;
                    Ok(Exit::Success)
                })
            }
        }
    }
}

fn not_started(error: SpawnError) -> CommandError {
    // The output is the job's log. This marker lets the listener know that nothing was started.
    Output::new().line(&ProgressMarker::write(&PhaseName::Prepare, &error.to_string()));
    CommandError::failure(error)
}
