//! `keys rotate`: replace a key in two steps, with both keys valid in between.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::keys::note;
use super::output::Output;
use super::{render, replies};
use crate::atomic_file;
use crate::client::{KeyStatus, KeyUse};
use crate::keys::{
    Credential, User, UserSeed, find_entry, finish_rotation, fleet_hosts, read_fleet_file, start_rotation,
};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// Host or operator: NAME, hosts.NAME or operators.NAME
    name: String,
    /// Fleet file, modified in place
    #[arg(long, value_name = "FILE", default_value = "fleet.toml")]
    fleet_file: PathBuf,
    /// File for the new seed [default: <name>-next.nkey]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "finish"])]
    out: Option<PathBuf>,
    /// Ask the hosts which of the two keys they know, without changing anything
    #[arg(long, conflicts_with = "finish")]
    status: bool,
    /// Remove the old key from the fleet file if no host needs it
    #[arg(long)]
    finish: bool,
    /// Finish without asking the hosts
    #[arg(long, requires = "finish")]
    force: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl RotateArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let (text, users) = read_fleet_file(&self.fleet_file).map_err(CommandError::usage)?;
        let context = || self.fleet_file.display().to_string();
        let user = find_entry(&users, &self.name).with_context(context).map_err(CommandError::usage)?;
        if !self.status && !self.finish {
            self.start(&text, user).map_err(CommandError::usage)?;
            return Ok(Exit::Success);
        }
        // Checked before the hosts are queried.
        let finished =
            finish_rotation(&text, &user.entry).with_context(context).map_err(CommandError::usage)?;
        let next = user.next_public_key.clone().unwrap_or_default();
        let rotation = self.rotation(user, &next);
        if !self.force {
            let (summary, exit) = Box::pin(self.check(&rotation, &users)).await?;
            if self.status {
                Output::new().line(&summary);
                return Ok(exit);
            }
            if exit != Exit::Success {
                let entry = &user.entry;
                let error = anyhow!(
                    "{entry} keeps both keys: {summary}; to finish without asking the hosts, add --force"
                );
                return Err(CommandError { exit, error });
            }
        }
        if read_fleet_file(&self.fleet_file).map_err(CommandError::usage)?.0 != text {
            let file = self.fleet_file.display();
            return Err(CommandError::usage(anyhow!(
                "{file} was changed by another program: run the command again"
            )));
        }
        atomic_file::rewrite(&self.fleet_file, finished.as_bytes()).map_err(CommandError::usage)?;
        Output::new().line(&rotation.after_finish());
        Ok(Exit::Success)
    }

    fn start(&self, text: &str, user: &User) -> anyhow::Result<()> {
        let short = user.entry.rsplit('.').next().unwrap_or_default();
        let file = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("{short}-next.nkey")));
        let seed = UserSeed::generate()?;
        let changed = start_rotation(text, &user.entry, seed.public_key())
            .with_context(|| self.fleet_file.display().to_string())?;
        seed.write_new(&file)?;
        if let Err(error) = atomic_file::rewrite(&self.fleet_file, changed.as_bytes()) {
            // The fleet file does not have this key, so the seed is useless.
            let _ = fs::remove_file(&file);
            bail!("{error}; nothing was changed");
        }
        Output::new().line(seed.public_key());
        note(&self.rotation(user, seed.public_key()).after_start(&file));
        Ok(())
    }

    fn rotation<'a>(&'a self, user: &'a User, next: &'a str) -> KeyRotation<'a> {
        KeyRotation { name: &self.name, fleet_file: &self.fleet_file, user, next }
    }

    /// Queries the hosts and prints their replies. Returns whether the old key can be removed, as a sentence and an
    /// exit.
    async fn check(
        &self,
        rotation: &KeyRotation<'_>,
        users: &[User],
    ) -> Result<(String, Exit), CommandError> {
        if !rotation.concerns_hosts() {
            return Ok((rotation.no_host_to_query(), Exit::Success));
        }
        let mut operator = self.connection.resolve()?.operator_with_fleet(fleet_hosts(users)).await?;
        let status = KeyStatus::query(&mut operator, users, rotation.user).await?;
        let missing: Vec<_> = status.missing().map(|(_, key)| *key).collect();
        let exit = if status.hosts.is_empty() {
            Exit::NoAnswer
        } else if missing.is_empty() {
            Exit::Success
        } else if missing.iter().all(|key| *key == KeyUse::NoAnswer) {
            Exit::NoAnswer
        } else {
            Exit::Failure
        };
        if !status.hosts.is_empty() {
            Output::new().line(&render::keys(&status));
        }
        Ok((rotation.summary(&status), exit))
    }
}

/// A key that is being replaced.
struct KeyRotation<'a> {
    /// The entry as given on the command line.
    name: &'a str,
    fleet_file: &'a Path,
    /// The entry before the change.
    user: &'a User,
    /// The new public key.
    next: &'a str,
}

impl KeyRotation<'_> {
    fn is_host(&self) -> bool {
        matches!(self.user.credential, Credential::Listener { .. })
    }

    /// Whether hosts know the keys of this entry: their own key, or keys whose signatures they check.
    fn concerns_hosts(&self) -> bool {
        !matches!(self.user.credential, Credential::Viewer | Credential::Builder)
    }

    /// One sentence about whether the old key can be removed.
    fn summary(&self, status: &KeyStatus) -> String {
        if status.hosts.is_empty() {
            return replies::NO_HOSTS.to_owned();
        }
        let missing = |silent: bool| {
            let missing = status.missing().filter(|(_, key)| (*key == KeyUse::NoAnswer) == silent);
            missing.map(|(host, _)| host.as_str()).collect::<Vec<_>>()
        };
        let parts: Vec<_> = [self.pending_hosts(&missing(false)), describe_no_answer(&missing(true))]
            .into_iter()
            .flatten()
            .collect();
        if parts.is_empty() {
            let what = if self.is_host() { "the host uses the new key" } else { "no host needs the old key" };
            return format!("{what}: finish with `{}`", self.command(" --finish"));
        }
        parts.join("; ")
    }

    /// Describes the hosts that do not know the new key.
    fn pending_hosts(&self, hosts: &[&str]) -> Option<String> {
        let which = counted(hosts)?;
        Some(if self.is_host() {
            format!(
                "{which} does not use the new key yet: write the new seed to its --nkey-file and restart its listener"
            )
        } else {
            let (verb, next) = (if hosts.len() == 1 { "does" } else { "do" }, self.next);
            format!(
                "{which} {verb} not trust the new key yet: add {next} to the trusted keys there and deploy"
            )
        })
    }

    /// The sentence for a viewer or builder, whose key no host knows.
    fn no_host_to_query(&self) -> String {
        let kind = self.user.credential.kind();
        format!(
            "no host knows the key of a {kind}: finish with `{}` once the new seed is in use",
            self.command(" --finish")
        )
    }

    /// Next steps after the start of a rotation.
    fn after_start(&self, seed: &Path) -> String {
        let (seed, fleet_file, entry) = (seed.display(), self.fleet_file.display(), &self.user.entry);
        let (old, next) = (&self.user.public_key, self.next);
        let mut steps = vec![self.reload()];
        if self.is_host() {
            steps.push(
                "replace the seed in the host's --nkey-file with the new one and restart its listener"
                    .to_owned(),
            );
            steps.push(format!("ask the host: {}", self.command(" --status")));
        } else {
            if self.concerns_hosts() {
                steps.push(format!(
                    "on every host that trusts {old}, add {next} to the trusted keys (trustedKeys, --trusted-key) and deploy with \
                     the old key"
                ));
                steps.push(format!("repeat until no host is missing: {}", self.command(" --status")));
            }
            steps.push(format!("use {seed} instead of the old seed (--nkey-file, nkey_file)"));
        }
        steps.push(format!("finish: {}", self.command(" --finish")));
        numbered(
            &format!("wrote the seed to {seed}; {entry} in {fleet_file} now has two keys. Next steps:"),
            &steps,
        )
    }

    /// Next steps after the end of a rotation.
    fn after_finish(&self) -> String {
        let (fleet_file, entry, old) = (self.fleet_file.display(), &self.user.entry, &self.user.public_key);
        let mut steps = vec![self.reload()];
        if self.concerns_hosts() && !self.is_host() {
            steps.push(format!("remove {old} from the trusted keys of every host and deploy"));
        }
        steps.push("destroy the old seed".to_owned());
        numbered(&format!("{entry} in {fleet_file} now has only the new key. Next steps:"), &steps)
    }

    fn reload(&self) -> String {
        let file = self.fleet_file.display();
        format!("homelab-deploy keys nats-config {file} > authorization.conf && nats-server --signal reload")
    }

    fn command(&self, end: &str) -> String {
        format!("homelab-deploy keys rotate {} --fleet-file {}{end}", self.name, self.fleet_file.display())
    }
}

fn numbered(head: &str, steps: &[String]) -> String {
    let mut text = head.to_owned();
    for (n, step) in steps.iter().enumerate() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n  {}. {step}", n + 1);
    }
    text
}

/// Describes the hosts that do not answer.
fn describe_no_answer(hosts: &[&str]) -> Option<String> {
    let verb = if hosts.len() == 1 { "does" } else { "do" };
    Some(format!("{} {verb} not answer", counted(hosts)?))
}

fn counted(hosts: &[&str]) -> Option<String> {
    match hosts {
        [] => None,
        [host] => Some((*host).to_owned()),
        hosts => Some(format!("{} hosts ({})", hosts.len(), hosts.join(", "))),
    }
}
