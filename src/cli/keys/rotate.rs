//! `keys rotate`: replaces a key, with both accepted until every host knows the new one.

mod words;

use super::super::connection::ConnectionArgs;
use super::super::exit::{Exit, Failed};
use super::super::out::Out;
use super::super::render;
use super::{note, read_fleet_file};
use crate::deployer::KeyUse;
use crate::durable;
use crate::keys::{Seed, User, begin_rotation, find_entry, finish_rotation, fleet_hosts};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use std::fs;
use std::path::PathBuf;
use words::Rotation;

#[derive(Debug, Args)]
pub(in crate::cli) struct RotateArgs {
    /// The host or operator: NAME, or hosts.NAME or operators.NAME
    name: String,
    /// The fleet file, which is changed in place
    #[arg(long, value_name = "FILE", default_value = "fleet.toml")]
    fleet_file: PathBuf,
    /// Where to write the new seed [default: <name>-next.nkey]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "finish"])]
    out: Option<PathBuf>,
    /// Ask the hosts which of the two keys they know, and change nothing
    #[arg(long, conflicts_with = "finish")]
    status: bool,
    /// Remove the old key from the fleet file, if no host needs it any more
    #[arg(long)]
    finish: bool,
    /// Finish without asking the hosts
    #[arg(long, requires = "finish")]
    force: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl RotateArgs {
    pub(in crate::cli) async fn run(self) -> Result<Exit, Failed> {
        let (text, users) = read_fleet_file(&self.fleet_file).map_err(Failed::usage)?;
        let context = || self.fleet_file.display().to_string();
        let user = find_entry(&users, &self.name).with_context(context).map_err(Failed::usage)?;
        if !self.status && !self.finish {
            self.begin(&text, user).map_err(Failed::usage)?;
            return Ok(Exit::Done);
        }
        // Checked before a host is asked.
        let finished = finish_rotation(&text, &user.entry).with_context(context).map_err(Failed::usage)?;
        let next = user.next_public_key.clone().unwrap_or_default();
        let rotation = self.rotation(user, &next);
        if !self.force {
            let (summary, exit) = self.check(&rotation, &users).await?;
            if self.status {
                Out::new().line(&summary);
                return Ok(exit);
            }
            if exit != Exit::Done {
                let entry = &user.entry;
                let error =
                    anyhow!("{entry} keeps both keys: {summary}; or finish without asking, with --force");
                return Err(Failed { exit, error });
            }
        }
        if read_fleet_file(&self.fleet_file).map_err(Failed::usage)?.0 != text {
            let file = self.fleet_file.display();
            return Err(Failed::usage(anyhow!("{file} was changed by another program; run this again")));
        }
        durable::rewrite(&self.fleet_file, finished.as_bytes()).map_err(Failed::usage)?;
        Out::new().line(&rotation.after_finish());
        Ok(Exit::Done)
    }

    fn begin(&self, text: &str, user: &User) -> anyhow::Result<()> {
        let short = user.entry.rsplit('.').next().unwrap_or_default();
        let file = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("{short}-next.nkey")));
        let seed = Seed::generate()?;
        let changed = begin_rotation(text, &user.entry, seed.public_key())
            .with_context(|| self.fleet_file.display().to_string())?;
        seed.write_new(&file)?;
        if let Err(error) = durable::rewrite(&self.fleet_file, changed.as_bytes()) {
            // No file names this key, so that it is of no use.
            let _ = fs::remove_file(&file);
            bail!("{error}; nothing was changed");
        }
        Out::new().line(seed.public_key());
        note(&self.rotation(user, seed.public_key()).after_begin(&file));
        Ok(())
    }

    fn rotation<'a>(&'a self, user: &'a User, next: &'a str) -> Rotation<'a> {
        Rotation { name: &self.name, fleet_file: &self.fleet_file, user, next }
    }

    /// Asks the hosts and prints what they say. Gives whether the old key can end, as a sentence and as an exit.
    async fn check(&self, rotation: &Rotation<'_>, users: &[User]) -> Result<(String, Exit), Failed> {
        if !rotation.concerns_hosts() {
            return Ok((rotation.asks_no_host(), Exit::Done));
        }
        let mut operator = self.connection.effective()?.operator_of(fleet_hosts(users)).await?;
        let status = operator.key_status(users, rotation.user).await?;
        let missing: Vec<_> = status.missing().map(|(_, key)| *key).collect();
        let exit = if status.hosts.is_empty() {
            Exit::Silent
        } else if missing.is_empty() {
            Exit::Done
        } else if missing.iter().all(|key| *key == KeyUse::NoAnswer) {
            Exit::Silent
        } else {
            Exit::Failed
        };
        if !status.hosts.is_empty() {
            Out::new().line(&render::keys(&status));
        }
        Ok((rotation.summary(&status), exit))
    }
}
