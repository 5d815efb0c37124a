//! `man`: print manual pages, generated from the help.

use super::exit::{CommandError, Exit};
use super::output::Output;
use anyhow::Context;
use clap::Args;
use clap_mangen::Man;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write a page per command to this directory instead of printing the main page
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl ManArgs {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        match &self.out {
            None => print(),
            Some(directory) => write(directory),
        }
        .map_err(CommandError::failure)?;
        Ok(Exit::Success)
    }
}

fn print() -> anyhow::Result<()> {
    let mut page = Vec::new();
    Man::new(super::command().disable_help_subcommand(true))
        .render(&mut page)
        .context("could not generate the manual page")?;
    Output::new().line(String::from_utf8_lossy(&page).trim_end());
    Ok(())
}

fn write(directory: &Path) -> anyhow::Result<()> {
    let failed = || format!("could not write manual pages to {}", directory.display());
    std::fs::create_dir_all(directory).with_context(failed)?;
    clap_mangen::generate_to(super::command(), directory).with_context(failed)
}
