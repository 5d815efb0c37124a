//! `status`: show the running or last job of each host.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use super::render;
use super::replies::{self, ReplyJson};
use crate::client::Reply;
use clap::Args;
use jiff::tz::TimeZone;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Hosts, aliases or subjects [default: all known hosts]
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl StatusArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let (operator, discovery, hosts) = replies::find(&self.hosts, &self.connection).await?;
        let replies = operator.jobs(&hosts, &discovery, None).await?;
        let mut out = Output::new();
        match self.output {
            Format::Human if replies.hosts.is_empty() => out.line(replies::NO_HOSTS),
            Format::Human => {
                out.line(&render::status(&replies.hosts, &discovery, &TimeZone::system(), out.colours));
            }
            Format::Json => {
                for (host, reply) in &replies.hosts {
                    let report = match reply {
                        Reply::Ok(report) => report.as_deref(),
                        _ => None,
                    };
                    out.json(&ReplyJson::new(host, reply, report, &discovery));
                }
            }
        }
        replies::note_unreadable(&replies.unreadable, self.output, &mut out);
        Ok(replies::exit(&replies))
    }
}
