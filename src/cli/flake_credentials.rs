//! The `--flake-credentials` argument and warnings about credentials in flake URLs.

use super::exit::CommandError;
use crate::git::Credentials;
use crate::nix::FlakeUrl;
use clap::Args;
use std::path::PathBuf;

/// The credentials file for flakes and their inputs.
#[derive(Debug, Args)]
pub(super) struct FlakeCredentialsArgs {
    /// File with passwords for flakes and inputs, as netrc: machine HOST login USER password SECRET
    #[arg(long = "flake-credentials", id = "flake_credentials", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl FlakeCredentialsArgs {
    /// Reads the file. Empty if none is given.
    pub(super) fn read(&self) -> Result<Credentials, CommandError> {
        let read = self.file.as_deref().map(Credentials::read).transpose().map_err(CommandError::usage)?;
        Ok(read.unwrap_or_default())
    }
}

/// A warning about credentials in a URL. `what` names the setting.
pub(super) fn warning(what: &str) -> String {
    format!(
        "{what} contains credentials, which every user of this machine can read: move them from the URL to a file and pass \
         that file with --flake-credentials"
    )
}

/// Warnings about the flake URL of a service.
pub(super) fn warnings(what: &str, flake: &FlakeUrl) -> Vec<String> {
    let mut warnings = Vec::new();
    if flake.held_credentials() {
        warnings.push(warning(what));
    }
    let exposed = flake.exposed_parameters();
    if !exposed.is_empty() {
        warnings.push(format!(
            "{what} has the parameter {}, which is passed to git and nix as an argument that every user of this machine can \
             read: if it is secret, use a password in the file of --flake-credentials instead",
            exposed.join(", ")
        ));
    }
    warnings
}
