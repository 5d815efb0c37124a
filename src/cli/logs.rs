//! `logs`: the log of one job, from its first line.

mod lines;

use super::connection::ConnectionArgs;
use super::exit::{Exit, Failed};
use super::out::{Format, Out};
use super::replies;
use crate::bus::LinkError;
use crate::deployer::{LogFollow, LogNews, LogStart, Operator, Replies, Told, check_one};
use crate::protocol::{DeployReport, Id, Name, printable};
use clap::Args;
use lines::Lines;
use serde::Serialize;
use std::io::Write;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// The host, or an alias of it
    #[arg(value_name = "HOST")]
    host: String,
    /// The job; without, the running or else the last one
    #[arg(long)]
    id: Option<Id>,
    /// Go on until the job ends
    #[arg(long)]
    follow: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A line as JSON.
#[derive(Serialize)]
struct Line {
    /// Where it begins in the log, in bytes.
    offset: u64,
    text: String,
}

/// A log as JSON, once it was told.
#[derive(Serialize)]
struct Whole<'a> {
    host: &'a Name,
    id: &'a Id,
}

impl LogsArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        tokio::select! {
            exit = self.tell() => exit,
            _ = tokio::signal::ctrl_c() => {
                let error = anyhow::anyhow!("interrupted; what runs on the host goes on");
                Err(Failed { exit: Exit::Interrupted, error })
            }
        }
    }

    async fn tell(&self) -> Result<Exit, Failed> {
        let names = [self.host.clone()];
        let (operator, discovery, hosts) = replies::find(&names, &self.connection).await?;
        let Some(host) = hosts.first().filter(|_| hosts.len() == 1) else {
            let count = hosts.len();
            let error =
                anyhow::anyhow!("{} means {count} hosts; name the one whose log it shall be", self.host);
            return Err(Failed::usage(error));
        };
        if let Some(host) = discovery.fleet.hosts.get(host) {
            check_one(host, discovery.at)?;
        }
        let replies = operator.jobs(&hosts, &discovery, self.id.clone()).await?;
        let id = self.job(host, replies)?;
        self.print(operator, host, id).await
    }

    /// The job whose log it shall be.
    fn job(&self, host: &Name, replies: Replies<Option<Arc<DeployReport>>>) -> Result<Id, Failed> {
        let mut told = replies.hosts.into_iter().map(|(_, told)| told);
        let error = match told.next() {
            // Its log may be there where nothing else is known of the job any more.
            Some(Told::Answer(report)) => {
                let newest = report.and_then(|report| report.id.clone());
                let nothing = || Failed::host(anyhow::anyhow!("no job has run on {host} yet"));
                return self.id.clone().or(newest).ok_or_else(nothing);
            }
            Some(Told::TooOld) => {
                anyhow::anyhow!("the listener on {host} is too old to keep logs; update it")
            }
            Some(Told::Silent) | None => silent(host),
        };
        Err(Failed { exit: Exit::Silent, error })
    }

    async fn print(&self, operator: Operator, host: &Name, id: Id) -> Result<Exit, Failed> {
        let mut link = operator.bus.link();
        let (bus, known, start) = (operator.bus, operator.known, LogStart::From(0));
        let log = LogFollow::open(bus, &known, host.clone(), id.clone(), start).await?;
        let mut log = if self.follow { log } else { log.until_now() };
        let (mut out, mut lines) = (Out::new(), Lines::default());
        loop {
            let news = tokio::select! {
                news = log.next() => news,
                // Whoever wants no more than the present does not wait for a server to come back.
                Ok(lost) = link.wait_for(|link| !link.up), if !self.follow => {
                    return Err(LinkError::Down { reason: lost.reason.clone() }.into());
                }
            };
            match news.transpose()? {
                Some(LogNews::Text { offset, text }) => {
                    for line in lines.add(offset, &text) {
                        self.line(line, &mut out);
                    }
                }
                Some(LogNews::Missing) => {
                    return Err(Failed::host(anyhow::anyhow!(
                        "{host} keeps no log of job {id}; `homelab-deploy history {host}` lists its jobs"
                    )));
                }
                Some(LogNews::Silent) if self.follow => {
                    self.note(&format!("waiting: {}", silent(host)), &mut out);
                }
                Some(LogNews::Silent) => return Err(Failed { exit: Exit::Silent, error: silent(host) }),
                Some(LogNews::Back | LogNews::End) => {}
                None => break,
            }
            if out.closed {
                return Ok(Exit::Done);
            }
        }
        if let Some(line) = lines.rest() {
            self.line(line, &mut out);
        }
        if self.output == Format::Json {
            out.result(Exit::Done, Whole { host, id: &id });
        }
        Ok(Exit::Done)
    }

    fn line(&self, (offset, text): (u64, String), out: &mut Out) {
        match self.output {
            Format::Human => out.line(&printable(text.strip_suffix('\r').unwrap_or(&text))),
            Format::Json => out.event("line", Line { offset, text }),
        }
    }

    /// A note is no part of the log.
    fn note(&self, text: &str, out: &mut Out) {
        match self.output {
            // Where nobody reads our errors, the log still comes.
            Format::Human => drop(writeln!(std::io::stderr(), "note: {text}")),
            Format::Json => out.event("note", text),
        }
    }
}

fn silent(host: &Name) -> anyhow::Error {
    anyhow::anyhow!("{host} does not answer; its log can be read once it does")
}
