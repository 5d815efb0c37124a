//! What `keys rotate` prints: how far the hosts are, and what to do next.

use super::super::super::replies;
use crate::deployer::{KeyStatus, KeyUse};
use crate::keys::{Credential, User};
use std::fmt::Write;
use std::path::Path;

/// A key that is being replaced.
pub(super) struct Rotation<'a> {
    /// The entry as it was typed.
    pub(super) name: &'a str,
    pub(super) fleet_file: &'a Path,
    /// The entry before the change.
    pub(super) user: &'a User,
    /// The new public key.
    pub(super) next: &'a str,
}

impl Rotation<'_> {
    fn is_host(&self) -> bool {
        matches!(self.user.credential, Credential::Listener { .. })
    }

    /// Whether hosts know the keys of this entry: their own, or those whose signatures they look at.
    pub(super) fn concerns_hosts(&self) -> bool {
        !matches!(self.user.credential, Credential::Viewer | Credential::Builder)
    }

    /// Whether the old key can end, in one sentence.
    pub(super) fn summary(&self, status: &KeyStatus) -> String {
        if status.hosts.is_empty() {
            return replies::NOBODY.to_owned();
        }
        let missing = |silent: bool| {
            let missing = status.missing().filter(|(_, key)| (*key == KeyUse::NoAnswer) == silent);
            missing.map(|(host, _)| host.as_str()).collect::<Vec<_>>()
        };
        let parts: Vec<_> =
            [self.behind(&missing(false)), silent(&missing(true))].into_iter().flatten().collect();
        if parts.is_empty() {
            let what =
                if self.is_host() { "it uses the new key" } else { "no host needs the old key any more" };
            return format!("{what}: finish with `{}`", self.command(" --finish"));
        }
        parts.join("; ")
    }

    /// Of the hosts that do not know the new key.
    fn behind(&self, hosts: &[&str]) -> Option<String> {
        let which = counted(hosts)?;
        Some(if self.is_host() {
            format!(
                "{which} does not use the new key yet: put the new seed into its --nkey-file, and restart its listener"
            )
        } else {
            let (verb, next) = (if hosts.len() == 1 { "does" } else { "do" }, self.next);
            format!(
                "{which} {verb} not trust the new key yet: add {next} to the trusted keys there, and deploy"
            )
        })
    }

    /// Of a viewer or a builder.
    pub(super) fn asks_no_host(&self) -> String {
        let kind = self.user.credential.kind();
        format!(
            "no host knows the key of a {kind}: finish with `{}` once the new seed is in use",
            self.command(" --finish")
        )
    }

    /// What to do after the beginning.
    pub(super) fn after_begin(&self, seed: &Path) -> String {
        let (seed, fleet_file, entry) = (seed.display(), self.fleet_file.display(), &self.user.entry);
        let (old, next) = (&self.user.public_key, self.next);
        let mut steps = vec![self.reload()];
        if self.is_host() {
            steps.push(
                "replace the seed in the --nkey-file of the host by the new one, and restart its listener"
                    .to_owned(),
            );
            steps.push(format!("ask the host: {}", self.command(" --status")));
        } else {
            if self.concerns_hosts() {
                steps.push(format!(
                    "on every host that trusts {old}, add {next} to its trusted keys (trustedKeys, --trusted-key), and deploy with \
                     the old key"
                ));
                steps.push(format!("ask the hosts until none is missing: {}", self.command(" --status")));
            }
            steps.push(format!("use {seed} instead of the old seed (--nkey-file, nkey_file)"));
        }
        steps.push(format!("finish: {}", self.command(" --finish")));
        numbered(&format!("the seed is in {seed}, and {entry} in {fleet_file} has two keys. Next:"), &steps)
    }

    /// What to do after the end.
    pub(super) fn after_finish(&self) -> String {
        let (fleet_file, entry, old) = (self.fleet_file.display(), &self.user.entry, &self.user.public_key);
        let mut steps = vec![self.reload()];
        if self.concerns_hosts() && !self.is_host() {
            steps.push(format!("remove {old} from the trusted keys of every host, and deploy"));
        }
        steps.push("destroy the old seed".to_owned());
        numbered(&format!("{entry} in {fleet_file} has the new key alone. Next:"), &steps)
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
        // Writing to a `String` has no way to fail.
        let _ = write!(text, "\n  {}. {step}", n + 1);
    }
    text
}

/// Of the hosts that do not answer.
fn silent(hosts: &[&str]) -> Option<String> {
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
