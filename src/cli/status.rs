//! `status`: how the running or last job of each host stands.

use super::connection::ConnectionArgs;
use super::exit::{Exit, Failed};
use super::out::{Format, Out};
use super::{render, replies};
use crate::deployer::Told;
use clap::Args;
use jiff::tz::TimeZone;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Hosts, aliases or subjects; without any, every known host
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl StatusArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let (operator, discovery, hosts) = replies::find(&self.hosts, &self.connection).await?;
        let replies = operator.jobs(&hosts, &discovery, None).await?;
        let mut out = Out::new();
        match self.output {
            Format::Human if replies.hosts.is_empty() => out.line(replies::NOBODY),
            Format::Human => {
                out.line(&render::status(&replies.hosts, &discovery, &TimeZone::system(), out.colours));
            }
            Format::Json => {
                for (host, told) in &replies.hosts {
                    let report = match told {
                        Told::Answer(report) => report.as_deref(),
                        _ => None,
                    };
                    out.json(&replies::Shown::new(host, told, report, &discovery));
                }
            }
        }
        replies::note_unreadable(&replies.unreadable, self.output, &mut out);
        Ok(replies::exit(&replies))
    }
}
