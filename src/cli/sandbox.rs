//! The sandbox for nix: what the operator says of it, and the hidden command that enters it.

use super::exit::{Exit, Failed};
use crate::nix::{Nix, Sandbox, SandboxRules, check_sandbox, enter_sandbox};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// What nix may do while it works on flakes of others.
#[derive(Debug, Args)]
#[command(next_help_heading = "nix")]
pub(super) struct NixArgs {
    /// A file or directory that nix may read, and so each input of an input; repeatable
    #[arg(long, value_name = "PATH", conflicts_with = "no_sandbox", value_parser = parse_readable)]
    nix_may_read: Vec<PathBuf>,
    /// Let nix, and so each input of an input, read all that this user can read
    #[arg(long)]
    no_sandbox: bool,
    /// Let the nixConfig of a flake set options of nix
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
            "that is all files of this machine: name those that nix needs, or use --no-sandbox".to_owned()
        );
    }
    std::fs::metadata(&path).map(|_| path).map_err(|error| error.to_string())
}

impl NixArgs {
    /// nix as the operator wants it, without its sandbox.
    pub(super) fn nix(&self) -> Nix {
        Nix::new().accepting_flake_config(self.accept_flake_config)
    }

    /// The sandbox, unless the operator does without. Fails on a kernel that has no means for one.
    pub(super) fn sandbox(&self) -> Result<Option<Sandbox>, Failed> {
        if self.no_sandbox {
            return Ok(None);
        }
        check_sandbox().map_err(Failed::usage)?;
        let made = Sandbox::new(&self.nix_may_read);
        made.map(Some).map_err(|error| {
            let why = "could not make the directories of nix's sandbox";
            Failed::usage(anyhow::anyhow!("{why}: {error}; give TMPDIR a directory that can be written"))
        })
    }
}

/// Enters the sandbox and becomes a program.
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Its home directory.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Where it keeps temporary files.
    #[arg(long, value_name = "DIR")]
    temporary: PathBuf,
    /// What it may read.
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// What it may read and write.
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl SandboxArgs {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        let Self { home, temporary, read, write, mut command } = self;
        let program = command.remove(0);
        Err(Failed::host(enter_sandbox(&SandboxRules { home, temporary, read, write }, program, command)))
    }
}
