//! `hosts`: list hosts, their status and what they run.

mod changes;
mod known_hosts;
mod live_table;
mod outdated;
mod watch;

use super::arg_source::ArgSource;
use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use super::{render, replies};
use crate::client::Discovery;
use crate::fleet::{Host, Reachability};
use crate::protocol::{Name, Revision};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use outdated::OutdatedJson;
use serde::Serialize;

#[derive(Debug, Args)]
pub(super) struct HostsArgs {
    #[command(flatten)]
    arg_source: ArgSource,
    /// Show only this tier
    #[arg(long)]
    tier: Option<Name>,
    /// Show only this role
    #[arg(long)]
    role: Option<Name>,
    /// Show only hosts that do not run the head of the branch of their flake
    #[arg(long)]
    outdated: bool,
    /// Branch for --outdated [default: the context's branch, else master]
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Show changes continuously, until Ctrl-C
    #[arg(long, conflicts_with = "outdated")]
    watch: bool,
    /// Trust the key, tier and subjects that a host currently announces, and exit
    #[arg(long, value_name = "HOST", conflicts_with_all = ["tier", "role", "outdated", "watch", "forget"])]
    trust: Option<Name>,
    /// Add all new hosts that answer to the inventory, not only the first 50
    #[arg(long, conflicts_with = "forget")]
    accept_new: bool,
    /// Remove a host, or all silent hosts with --silent-for, from the inventory and exit
    #[arg(long, value_name = "HOST", num_args = 0..=1, conflicts_with_all = ["tier", "role", "outdated", "watch"])]
    #[expect(clippy::option_option, reason = "absent, without a host, or with a host")]
    forget: Option<Option<Name>>,
    /// With --forget, remove hosts that were not seen for this long, such as 1d or 12h
    #[arg(long, value_name = "TIME", requires = "forget", value_parser = known_hosts::span)]
    silent_for: Option<SignedDuration>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// JSON form of a host.
#[derive(Serialize)]
struct HostJson<'a> {
    presence: Reachability,
    name_conflict: bool,
    host: &'a Host,
    /// Present with --outdated only.
    #[serde(skip_serializing_if = "Option::is_none")]
    outdated: Option<OutdatedJson<'a>>,
}

impl<'a> HostJson<'a> {
    fn new(host: &'a Host, now: Timestamp) -> Self {
        let name_conflict = host.has_name_conflict(now);
        Self { presence: host.reachability(now), name_conflict, host, outdated: None }
    }
}

impl HostsArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let mut out = Output::new();
        if !self.outdated && self.arg_source.is_flag("branch") {
            return Err(CommandError::usage(anyhow::anyhow!("--branch requires --outdated")));
        }
        let resolved = self.connection.resolve()?;
        match (&self.forget, self.silent_for) {
            (None, _) => {}
            (Some(Some(host)), None) => {
                out.line(&known_hosts::forget(host, &resolved)?);
                return Ok(Exit::Success);
            }
            (Some(None), Some(span)) => {
                out.line(&known_hosts::forget_silent(span, &resolved)?);
                return Ok(Exit::Success);
            }
            (Some(None), None) | (Some(Some(_)), Some(_)) => {
                return Err(CommandError::usage(anyhow::anyhow!(
                    "--forget needs either a host or --silent-for, such as `--forget ns1` or `--forget --silent-for 1d`"
                )));
            }
        }
        let mut operator = resolved.operator().await?;
        if let Some(host) = &self.trust {
            out.line(&known_hosts::trust(host, &mut operator).await?);
            return Ok(Exit::Success);
        }
        if self.accept_new {
            operator.inventory.accept_new();
        }
        let discovery = operator.discover(self.tier.as_ref(), self.role.as_ref()).await?;
        if self.outdated {
            let branch = resolved.branch(self.branch);
            return outdated::print(&discovery, &branch, &operator, self.output, &mut out).await;
        }
        if self.watch {
            return watch::watch(operator, discovery, (self.tier, self.role), self.output, &mut out).await;
        }
        self.print(&discovery, &mut out);
        Ok(if discovery.answered.is_empty() { Exit::NoAnswer } else { Exit::Success })
    }

    fn print(&self, discovery: &Discovery, out: &mut Output) {
        let hosts = discovery.fleet.hosts_by_name();
        match self.output {
            Format::Json => {
                for host in hosts {
                    out.json(&HostJson::new(host, discovery.at));
                }
            }
            Format::Human if hosts.is_empty() => {
                out.line(replies::NO_HOSTS);
            }
            Format::Human => {
                out.line(&render::fleet(&hosts, discovery.at));
                replies::note_unreadable(&discovery.unreadable, self.output, out);
                replies::warn_unrecorded(discovery, self.output, out);
                for host in hosts {
                    for note in render::notes(host) {
                        out.line(&note);
                    }
                }
            }
        }
    }
}
