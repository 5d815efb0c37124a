//! `config`: what is in force and where it comes from, and what is wrong in the file.

mod check;
mod show;

use super::exit::{Exit, Failed};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting that is in force, and where it comes from
    Show(Box<show::ShowArgs>),
    /// Check the configuration file: every context, key file, certificate, alias and host
    Check(check::CheckArgs),
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        match self {
            Self::Show(args) => args.run(),
            Self::Check(args) => args.run(),
        }
    }
}
