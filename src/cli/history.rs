//! `history`: list past jobs of hosts.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use super::render;
use super::replies::{self, ReplyJson};
use crate::client::{Discovery, Reply};
use crate::protocol::{HistoryEntry, Name};
use clap::Args;
use jiff::tz::TimeZone;

/// Maximum number of jobs of one host, to limit memory.
const MAX_JOBS: u64 = 100_000;

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Hosts, aliases or subjects [default: all known hosts]
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// Number of jobs per host, newest first
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_JOBS))]
    limit: u64,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl HistoryArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let (operator, discovery, hosts) = replies::find(&self.hosts, &self.connection).await?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let replies = operator.history(&hosts, &discovery, limit).await?;
        let mut out = Output::new();
        match self.output {
            Format::Human if replies.hosts.is_empty() => out.line(replies::NO_HOSTS),
            Format::Human => {
                let table = render::history(&replies.hosts, &TimeZone::system(), out.colours);
                let missing = render::missing_replies(&replies.hosts, &discovery);
                for text in table.iter().chain(&missing) {
                    out.line(text);
                }
                if table.is_none() && missing.is_empty() {
                    out.line("no job has finished yet");
                }
            }
            Format::Json => {
                for (host, reply) in &replies.hosts {
                    print_json(host, reply, &discovery, &mut out);
                }
            }
        }
        replies::note_unreadable(&replies.unreadable, self.output, &mut out);
        Ok(replies::exit(&replies))
    }
}

/// Prints an object per entry, or a single object without an entry if there are none.
fn print_json(host: &Name, reply: &Reply<Vec<HistoryEntry>>, discovery: &Discovery, out: &mut Output) {
    let entries = match reply {
        Reply::Ok(entries) => entries.as_slice(),
        _ => &[],
    };
    for entry in entries {
        out.json(&ReplyJson::new(host, reply, Some(entry), discovery));
    }
    if entries.is_empty() {
        out.json(&ReplyJson::new(host, reply, None::<&HistoryEntry>, discovery));
    }
}
