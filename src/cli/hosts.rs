//! `hosts`: who is there and what runs.

mod forget;
mod outdated;
mod trust;
mod watch;

use super::connection::ConnectionArgs;
use super::exit::{Exit, Failed};
use super::given::Given;
use super::out::{Format, Out};
use super::{render, replies};
use crate::deployer::Discovery;
use crate::fleet::{Host, Presence};
use crate::protocol::{Name, Revision};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use outdated::Outdated;
use serde::Serialize;

#[derive(Debug, Args)]
pub(super) struct HostsArgs {
    #[command(flatten)]
    given: Given,
    /// Only this tier
    #[arg(long)]
    tier: Option<Name>,
    /// Only this role
    #[arg(long)]
    role: Option<Name>,
    /// Only those that do not run the head of the branch in their flake
    #[arg(long)]
    outdated: bool,
    /// The branch for --outdated; without, the context's branch, else master
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Keep running and show what changes, until Ctrl-C
    #[arg(long, conflicts_with = "outdated")]
    watch: bool,
    /// Trust the key, tier and subjects that a host names now, then end
    #[arg(long, value_name = "HOST", conflicts_with_all = ["tier", "role", "outdated", "watch", "forget"])]
    trust: Option<Name>,
    /// Add every new host that answers to the roster, not only the first 50
    #[arg(long, conflicts_with = "forget")]
    accept_new: bool,
    /// Forget a host that was seen before, or with --silent-for all that are silent, then end
    #[arg(long, value_name = "HOST", num_args = 0..=1, conflicts_with_all = ["tier", "role", "outdated", "watch"])]
    #[expect(clippy::option_option, reason = "not given, given without a host, given with one")]
    forget: Option<Option<Name>>,
    /// Forget the hosts that were not heard of for this long, such as 1d or 12h
    #[arg(long, value_name = "TIME", requires = "forget", value_parser = forget::span)]
    silent_for: Option<SignedDuration>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A host as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    presence: Presence,
    two_of_one_name: bool,
    host: &'a Host,
    /// Only where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    outdated: Option<Outdated<'a>>,
}

impl<'a> Shown<'a> {
    fn new(host: &'a Host, now: Timestamp) -> Self {
        let two_of_one_name = host.claimants(now).len() > 1;
        Self { presence: host.presence(now), two_of_one_name, host, outdated: None }
    }
}

impl HostsArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let mut out = Out::new();
        if !self.outdated && self.given.is_typed("branch") {
            return Err(Failed::usage(anyhow::anyhow!("--branch is for --outdated; add that")));
        }
        let effective = self.connection.effective()?;
        match (&self.forget, self.silent_for) {
            (None, _) => {}
            (Some(Some(host)), None) => {
                out.line(&forget::forget(host, &effective)?);
                return Ok(Exit::Done);
            }
            (Some(None), Some(span)) => {
                out.line(&forget::forget_silent(span, &effective)?);
                return Ok(Exit::Done);
            }
            (Some(None), None) | (Some(Some(_)), Some(_)) => {
                return Err(Failed::usage(anyhow::anyhow!(
                    "--forget needs either a host or --silent-for, such as `--forget ns1` or `--forget --silent-for 1d`"
                )));
            }
        }
        let mut operator = effective.operator().await?;
        if let Some(host) = &self.trust {
            out.line(&trust::trust(host, &mut operator).await?);
            return Ok(Exit::Done);
        }
        if self.accept_new {
            operator.roster.accept_new();
        }
        let discovery = operator.discover(self.tier.as_ref(), self.role.as_ref()).await?;
        if self.outdated {
            let branch = effective.branch(self.branch);
            return outdated::tell(&discovery, &branch, &operator.credentials, self.output, &mut out).await;
        }
        if self.watch {
            return watch::watch(operator, discovery, (self.tier, self.role), self.output, &mut out).await;
        }
        self.print(&discovery, &mut out);
        Ok(if discovery.answered.is_empty() { Exit::Silent } else { Exit::Done })
    }

    fn print(&self, discovery: &Discovery, out: &mut Out) {
        let hosts = discovery.fleet.hosts_by_name();
        match self.output {
            Format::Json => {
                for host in hosts {
                    out.json(&Shown::new(host, discovery.at));
                }
            }
            Format::Human if hosts.is_empty() => {
                out.line(replies::NOBODY);
            }
            Format::Human => {
                out.line(&render::fleet(&hosts, discovery.at));
                replies::note_unreadable(&discovery.unreadable, self.output, out);
                replies::warn_unlisted(discovery, self.output, out);
                for host in hosts {
                    for note in render::notes(host) {
                        out.line(&note);
                    }
                }
            }
        }
    }
}
