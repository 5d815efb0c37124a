//! `history`: what was done on hosts, and how it ended.

use super::connection::ConnectionArgs;
use super::exit::{Exit, Failed};
use super::out::{Format, Out};
use super::{render, replies};
use crate::deployer::{Discovery, Told};
use crate::protocol::{HistoryEntry, Name};
use clap::Args;
use jiff::tz::TimeZone;

/// The most that anybody reads, and that we keep in memory, of one host.
const MOST: u64 = 100_000;

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Hosts, aliases or subjects; without any, every known host
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// How many jobs of each host, the newest first
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    limit: u64,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl HistoryArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let (operator, discovery, hosts) = replies::find(&self.hosts, &self.connection).await?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let replies = operator.history(&hosts, &discovery, limit).await?;
        let mut out = Out::new();
        match self.output {
            Format::Human if replies.hosts.is_empty() => out.line(replies::NOBODY),
            Format::Human => {
                let table = render::history(&replies.hosts, &TimeZone::system(), out.colours);
                let silences = render::silences(&replies.hosts, &discovery);
                for text in table.iter().chain(&silences) {
                    out.line(text);
                }
                if table.is_none() && silences.is_empty() {
                    out.line("no job has ended yet");
                }
            }
            Format::Json => {
                for (host, told) in &replies.hosts {
                    print(host, told, &discovery, &mut out);
                }
            }
        }
        replies::note_unreadable(&replies.unreadable, self.output, &mut out);
        Ok(replies::exit(&replies))
    }
}

/// An object for each entry; one without where there are none.
fn print(host: &Name, told: &Told<Vec<HistoryEntry>>, discovery: &Discovery, out: &mut Out) {
    let entries = match told {
        Told::Answer(entries) => entries.as_slice(),
        _ => &[],
    };
    for entry in entries {
        out.json(&replies::Shown::new(host, told, Some(entry), discovery));
    }
    if entries.is_empty() {
        out.json(&replies::Shown::new(host, told, None::<&HistoryEntry>, discovery));
    }
}
