//! Arguments of the nix sandbox, and the hidden command that runs a program in it.

use super::exit::{CommandError, Exit};
use crate::nix::Nix;
use crate::sandbox::{Sandbox, SandboxRules, check_sandbox, enter_sandbox};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Restrictions for nix while it evaluates and builds flakes.
#[derive(Debug, Args)]
#[command(next_help_heading = "nix")]
pub(super) struct NixArgs {
    /// Path that nix, and so any transitive flake input, can read; repeatable
    #[arg(long, value_name = "PATH", conflicts_with = "no_sandbox", value_parser = parse_readable)]
    nix_may_read: Vec<PathBuf>,
    /// Let nix, and so any transitive flake input, read all files of this user
    #[arg(long)]
    no_sandbox: bool,
    /// Let the flake's nixConfig set nix options
    #[arg(long)]
    accept_flake_config: bool,
}

fn parse_readable(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if !path.is_absolute() {
        return Err("expected an absolute path".to_owned());
    }
    if path.parent().is_none() {
        return Err(
            "expected the paths that nix needs, not the whole file system; to allow that, use --no-sandbox"
                .to_owned(),
        );
    }
    std::fs::metadata(&path).map(|_| path).map_err(|error| error.to_string())
}

impl NixArgs {
    /// Returns nix with these options, without the sandbox.
    pub(super) fn nix(&self) -> Nix {
        Nix::new().accept_flake_config(self.accept_flake_config)
    }

    /// Returns the sandbox, or `None` with --no-sandbox. Fails if the kernel does not support it.
    pub(super) fn sandbox(&self) -> Result<Option<Sandbox>, CommandError> {
        if self.no_sandbox {
            return Ok(None);
        }
        check_sandbox().map_err(CommandError::usage)?;
        let made = Sandbox::new(&self.nix_may_read);
        made.map(Some).map_err(|error| {
            let why = "could not create the directories of nix's sandbox";
            CommandError::usage(anyhow::anyhow!("{why}: {error}; set TMPDIR to a writable directory"))
        })
    }
}

/// Enters the sandbox and executes a program.
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Home directory of the program.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Directory for temporary files.
    #[arg(long, value_name = "DIR")]
    temporary: PathBuf,
    /// Readable path.
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// Readable and writable path.
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// Program and arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl SandboxArgs {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let Self { home, temporary, read, write, mut command } = self;
        let program = command.remove(0);
        Err(CommandError::failure(enter_sandbox(
            &SandboxRules { home, temporary, read, write },
            program,
            command,
        )))
    }
}
