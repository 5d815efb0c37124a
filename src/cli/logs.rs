//! `logs`: print the log of one job, and the diagnostics if it failed.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use super::replies;
use crate::activation::diagnostics_after_log;
use crate::client::{LogEvent, LogFollower, LogStart, Operator, Replies, Reply, check_single_instance};
use crate::nats::NatsError;
use crate::protocol::{DeployReport, Id, Name};
use crate::text::printable;
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// Host, or an alias for one
    #[arg(value_name = "HOST")]
    host: String,
    /// Job id [default: the running or last job]
    #[arg(long)]
    id: Option<Id>,
    /// Follow the log until the job ends
    #[arg(long)]
    follow: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// JSON form of a line.
#[derive(Serialize)]
struct LogLineJson {
    /// Offset of the line in the log, in bytes.
    offset: u64,
    text: String,
}

/// JSON form of the result, printed last.
#[derive(Serialize)]
struct LogResultJson<'a> {
    host: &'a Name,
    id: &'a Id,
    /// What the host collected after a failure, in addition to the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<&'a str>,
}

impl LogsArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        tokio::select! {
            exit = self.print_log() => exit,
            _ = tokio::signal::ctrl_c() => {
                let error = anyhow::anyhow!("interrupted; the job continues on the host");
                Err(CommandError { exit: Exit::Interrupted, error })
            }
        }
    }

    async fn print_log(&self) -> Result<Exit, CommandError> {
        let names = [self.host.clone()];
        let (operator, discovery, hosts) = replies::find(&names, &self.connection).await?;
        let Some(host) = hosts.first().filter(|_| hosts.len() == 1) else {
            let count = hosts.len();
            let error = anyhow::anyhow!("{} selects {count} hosts: name one host", self.host);
            return Err(CommandError::usage(error));
        };
        if let Some(host) = discovery.fleet.hosts.get(host) {
            check_single_instance(host, discovery.at)?;
        }
        let report = report_of(host, operator.jobs(&hosts, &discovery, self.id.clone()).await?)?;
        // The log of a given id may exist even if the host has no report of that job.
        let newest = report.as_ref().and_then(|report| report.id.clone());
        let nothing = || CommandError::failure(anyhow::anyhow!("no job has run on {host} yet"));
        let id = self.id.clone().or(newest).ok_or_else(nothing)?;
        let mut out = Output::new();
        self.print_lines(&operator, host, &id, &mut out).await?;
        let mut report = report;
        if self.follow && !out.closed && !report.as_ref().is_some_and(|report| report.status.is_final()) {
            // The job has ended since then.
            let replies = operator.jobs(&hosts, &discovery, Some(id.clone())).await?;
            report = report_of(host, replies).ok().flatten();
        }
        let diagnostics = report.as_ref().and_then(|report| report.diagnostics.as_deref());
        let diagnostics = diagnostics.map(diagnostics_after_log).filter(|text| !text.is_empty());
        match self.output {
            Format::Human => {
                diagnostics.into_iter().flat_map(str::lines).for_each(|line| out.line(&printable(line)));
            }
            Format::Json => out.result(Exit::Success, LogResultJson { host, id: &id, diagnostics }),
        }
        Ok(Exit::Success)
    }

    /// Prints the log until its end, or until the reader closes the pipe.
    async fn print_lines(
        &self,
        operator: &Operator,
        host: &Name,
        id: &Id,
        out: &mut Output,
    ) -> Result<(), CommandError> {
        let mut connection = operator.nats.connection_state();
        let (nats, start) = (operator.nats.clone(), LogStart::From(0));
        let log = LogFollower::open(nats, &operator.known, host.clone(), id.clone(), start).await?;
        let mut log = if self.follow { log } else { log.until_now() };
        let mut lines = LineSplitter::default();
        loop {
            let event = tokio::select! {
                event = log.next() => event,
                // Without --follow, a lost connection is an error instead of a reason to wait.
                Ok(lost) = connection.wait_for(|connection| !connection.up), if !self.follow => {
                    return Err(NatsError::Disconnected { reason: lost.reason.clone() }.into());
                }
            };
            match event.transpose()? {
                Some(LogEvent::Text { offset, text }) => {
                    for line in lines.add(offset, &text) {
                        self.print_line(line, out);
                    }
                }
                Some(LogEvent::Missing) => {
                    return Err(CommandError::failure(anyhow::anyhow!(
                        "{host} has no log of job {id}; `homelab-deploy history {host}` lists its jobs"
                    )));
                }
                Some(LogEvent::NoAnswer) if self.follow => {
                    self.print_note(&format!("waiting: {}", no_answer(host)), out);
                }
                Some(LogEvent::NoAnswer) => {
                    return Err(CommandError { exit: Exit::NoAnswer, error: no_answer(host) });
                }
                Some(LogEvent::Recovered | LogEvent::End) => {}
                None => break,
            }
            if out.closed {
                return Ok(());
            }
        }
        if let Some(line) = lines.finish() {
            self.print_line(line, out);
        }
        Ok(())
    }

    fn print_line(&self, (offset, text): (u64, String), out: &mut Output) {
        match self.output {
            Format::Human => out.line(&printable(text.strip_suffix('\r').unwrap_or(&text))),
            Format::Json => out.event("line", LogLineJson { offset, text }),
        }
    }

    /// Prints a note, which is not part of the log.
    fn print_note(&self, text: &str, out: &mut Output) {
        match self.output {
            // The log continues even if standard error is closed.
            Format::Human => drop(writeln!(std::io::stderr(), "note: {text}")),
            Format::Json => out.event("note", text),
        }
    }
}

/// The report in the reply of the host; `None` if it has none.
fn report_of(
    host: &Name,
    replies: Replies<Option<Arc<DeployReport>>>,
) -> Result<Option<Arc<DeployReport>>, CommandError> {
    let error = match replies.hosts.into_iter().next() {
        Some((_, Reply::Ok(report))) => return Ok(report),
        Some((_, Reply::Unsupported)) => {
            anyhow::anyhow!("the listener on {host} is too old to keep logs: update it")
        }
        Some((_, Reply::NoAnswer)) | None => no_answer(host),
    };
    Err(CommandError { exit: Exit::NoAnswer, error })
}

fn no_answer(host: &Name) -> anyhow::Error {
    anyhow::anyhow!("{host} does not answer; its log is available once it does")
}

/// Maximum length of a line in bytes. Longer lines are split, so that output without line ends does not fill memory.
const MAX_LINE: usize = 64 * 1024;

/// The incomplete line and its offset.
#[derive(Debug, Default)]
struct LineSplitter {
    offset: u64,
    text: String,
}

impl LineSplitter {
    /// Adds a piece that starts at `offset`. Returns the completed lines without line ends, each with its offset.
    fn add(&mut self, offset: u64, piece: &str) -> Vec<(u64, String)> {
        if self.text.is_empty() {
            self.offset = offset;
        }
        self.text.push_str(piece);
        let mut lines = Vec::new();
        loop {
            let (line, next) = match self.text.find('\n') {
                Some(end) if end <= MAX_LINE => (end, end + 1),
                None if self.text.len() <= MAX_LINE => return lines,
                _ => {
                    let end = self.text.floor_char_boundary(MAX_LINE);
                    (end, end)
                }
            };
            lines.push((self.offset, self.text[..line].to_owned()));
            self.text.drain(..next);
            self.offset += next as u64;
        }
    }

    /// Returns the last line if it has no line end.
    fn finish(self) -> Option<(u64, String)> {
        (!self.text.is_empty()).then_some((self.offset, self.text))
    }
}
