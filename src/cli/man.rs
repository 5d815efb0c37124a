//! `man`: the manual pages, made from the same text as the help.

use super::exit::{Exit, Failed};
use super::out::Out;
use anyhow::Context;
use clap::Args;
use clap_mangen::Man;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder, instead of printing the first of them
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl ManArgs {
    pub(super) fn run(&self) -> Result<Exit, Failed> {
        match &self.out {
            None => print(),
            Some(folder) => write(folder),
        }
        .map_err(Failed::host)?;
        Ok(Exit::Done)
    }
}

fn print() -> anyhow::Result<()> {
    let mut page = Vec::new();
    Man::new(super::command().disable_help_subcommand(true))
        .render(&mut page)
        .context("could not make the manual page")?;
    Out::new().line(String::from_utf8_lossy(&page).trim_end());
    Ok(())
}

fn write(folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("could not write manual pages to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(failed)?;
    clap_mangen::generate_to(super::command(), folder).with_context(failed)
}
