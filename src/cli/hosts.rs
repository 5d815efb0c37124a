//! `hosts`: who is there and what runs.

use super::connection::ConnectionArgs;
use super::effective::Effective;
use super::exit::{Exit, Failed};
use super::out::{Format, Out};
use super::{render, replies};
use crate::deployer::Discovery;
use crate::fleet::{Host, Presence};
use crate::protocol::{Name, printable};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub(super) struct HostsArgs {
    /// Only this tier
    #[arg(long)]
    tier: Option<Name>,
    /// Only this role
    #[arg(long)]
    role: Option<Name>,
    /// Forget a host that was seen before, then end
    #[arg(long, value_name = "HOST", conflicts_with_all = ["tier", "role"])]
    forget: Option<Name>,
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
    #[serde(rename = "host")]
    host: &'a Host,
}

impl HostsArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let mut out = Out::new();
        let effective = self.connection.effective()?;
        if let Some(host) = &self.forget {
            out.line(&forget(host, &effective)?);
            return Ok(Exit::Done);
        }
        let mut operator = effective.operator().await?;
        let discovery = operator.discover(self.tier.as_ref(), self.role.as_ref()).await?;
        self.print(&discovery, &mut out);
        Ok(if discovery.answered.is_empty() { Exit::Silent } else { Exit::Done })
    }

    fn print(&self, discovery: &Discovery, out: &mut Out) {
        let hosts = discovery.fleet.hosts_by_name();
        match self.output {
            Format::Json => {
                for host in hosts {
                    let presence = host.presence(discovery.at);
                    out.json(&Shown {
                        presence,
                        two_of_one_name: host.claimants(discovery.at).len() > 1,
                        host,
                    });
                }
            }
            Format::Human if hosts.is_empty() => {
                out.line(replies::NOBODY);
            }
            Format::Human => {
                out.line(&render::fleet(&hosts, discovery.at));
                replies::note_unreadable(&discovery.unreadable, self.output, out);
                for host in hosts {
                    for warning in host.answer.iter().flat_map(|answer| &answer.warnings) {
                        out.line(&format!("note: {}: {}", host.name, printable(warning)));
                    }
                }
            }
        }
    }
}

/// Forgets a host; gives what to say of it.
fn forget(host: &Name, effective: &Effective) -> Result<String, Failed> {
    let mut roster = effective.roster()?;
    let listed = effective.chosen.hosts.get(host).and_then(|listed| listed.source.place());
    let seen = roster.hosts.get(host).is_some_and(|entry| entry.seen.is_some());
    match listed {
        Some(place) if !seen => {
            return Err(Failed::usage(anyhow::anyhow!(
                "{host} was never seen, it is expected because {place} lists it; remove it there"
            )));
        }
        None if !seen => {
            return Err(Failed::usage(anyhow::anyhow!("{host} is not in the roster; nothing was forgotten")));
        }
        _ => {}
    }
    roster.forget(host);
    roster.save()?;
    Ok(match listed {
        Some(place) => format!("{host} is forgotten, but still expected: {place} lists it"),
        None => format!("{host} is forgotten until it answers again"),
    })
}
