//! The credentials for the servers of flakes.

use super::exit::Failed;
use crate::nix::{Credentials, FlakeUrl};
use clap::Args;
use std::path::PathBuf;

/// The file as it is given.
#[derive(Debug, Args)]
pub(super) struct FlakeCredentialsArgs {
    /// The file with the passwords for flakes and their inputs, in the format of netrc: machine HOST login USER password SECRET
    #[arg(long = "flake-credentials", id = "flake_credentials", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl FlakeCredentialsArgs {
    /// What the file holds; nothing where none is given.
    pub(super) fn read(&self) -> Result<Credentials, Failed> {
        let read = self.file.as_deref().map(Credentials::read).transpose().map_err(Failed::usage)?;
        Ok(read.unwrap_or_default())
    }
}

/// What to do about a URL that holds credentials; `what` names it.
pub(super) fn warning(what: &str) -> String {
    format!(
        "{what} holds credentials, which every user of this machine can read there; write them into a file, name that with \
         --flake-credentials, and leave them out of the URL"
    )
}

/// What is wrong with a flake URL that a service was given, for its operators.
pub(super) fn warnings(what: &str, flake: &FlakeUrl) -> Vec<String> {
    let mut warnings = Vec::new();
    if flake.held_credentials() {
        warnings.push(warning(what));
    }
    let exposed = flake.exposed_parameters();
    if !exposed.is_empty() {
        warnings.push(format!(
            "{what} has the parameter {}, which git and nix get as an argument that every user of this machine can read; if it \
             is secret, write a password into the file of --flake-credentials",
            exposed.join(", ")
        ));
    }
    warnings
}
