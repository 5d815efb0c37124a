//! `build`: ask the builder to build hosts and follow the builds.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::operation::YEAR;
use super::output::{Format, Output};
use super::progress::ProgressLines;
use super::render;
use crate::client::{BuildEvent, BuildFollower, BuildSpec, BuildSummary};
use crate::fleet::describe;
use crate::protocol::{BuildReport, Name, PhaseState, Revision};
use crate::text::printable;
use clap::Args;
use std::collections::HashMap;
use std::time::Duration;

/// How long builds are followed, in seconds: the default time limit of the builder.
pub(super) const TIMEOUT: u64 = 4 * 3600;

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Hosts to build
    #[arg(value_name = "HOST", required_unless_present = "all", conflicts_with = "all")]
    hosts: Vec<Name>,
    /// Build every host of the flake
    #[arg(long)]
    all: bool,
    /// Repository name on the builder [default: the builder's default repository]
    #[arg(long, value_name = "NAME")]
    repo: Option<Name>,
    /// Branch, tag or full commit [default: the repository's default branch]
    #[arg(long)]
    branch: Option<Revision>,
    /// Time to follow the builds, in seconds
    #[arg(long, default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl BuildArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let operator = self.connection.resolve()?.operator().await?;
        let spec = BuildSpec { repo: self.repo, hosts: self.hosts, branch: self.branch };
        let mut follow = BuildFollower::send(&operator, spec, Duration::from_secs(self.timeout)).await?;
        let mut out = Output::new();
        let summary = follow_or_interrupt(&mut follow, self.output, &mut out).await?;
        let exit = Exit::from_code(summary.exit_code());
        match self.output {
            Format::Human => out.line(&format!("\n{}", render::builds(&summary, out.colours))),
            Format::Json => out.result(exit, summary),
        }
        Ok(exit)
    }
}

/// Follows builds until each has a result, or until Ctrl-C.
pub(super) async fn follow_or_interrupt(
    follow: &mut BuildFollower,
    format: Format,
    out: &mut Output,
) -> Result<BuildSummary, CommandError> {
    let mut progress = (format == Format::Human).then(|| BuildPrinter::new(out.live));
    loop {
        let update = tokio::select! {
            update = follow.next() => update,
            _ = tokio::signal::ctrl_c() => {
                let error = anyhow::anyhow!("interrupted; the builder continues to build");
                return Err(CommandError { exit: Exit::Interrupted, error });
            }
        };
        match (update.transpose()?, &mut progress) {
            (None, _) => break,
            (Some(update), Some(progress)) => progress.show(&update, out),
            (Some(BuildEvent::Report(report)), None) => out.event("build", &*report),
            (Some(BuildEvent::Note(note)), None) => out.event("note", note),
        }
    }
    // Clears the live lines.
    drop(progress);
    Ok(follow.summary())
}

/// Prints build events.
struct BuildPrinter {
    lines: ProgressLines,
    /// The last printed state of each host and each build.
    last_printed: HashMap<String, String>,
}

impl BuildPrinter {
    fn new(live: bool) -> Self {
        Self { lines: ProgressLines::new(live), last_printed: HashMap::new() }
    }

    /// Prints one event.
    fn show(&mut self, update: &BuildEvent, out: &mut Output) {
        match update {
            BuildEvent::Note(note) => self.lines.line(&format!("note: {}", printable(note)), out),
            BuildEvent::Report(report) => self.report(report, out),
        }
    }

    fn report(&mut self, report: &BuildReport, out: &mut Output) {
        let width = report.hosts.iter().map(|host| host.hostname.as_str().len()).max().unwrap_or(0);
        for host in &report.hosts {
            let name = host.hostname.as_str();
            let text = format!("{name:width$}  {}", describe::host_build(host));
            if host.state == PhaseState::Running {
                self.lines.update(name, &text);
            } else {
                self.lines.remove(name);
            }
            let is_started = host.state != PhaseState::Pending;
            if self.is_change(name, host.state.as_str())
                && is_started
                && !(self.lines.is_live() && host.state == PhaseState::Running)
            {
                self.lines.line(&text, out);
            }
        }
        let target = printable(&report.target);
        if report.hosts.is_empty() && self.is_change(&format!("build {target}"), &report.message) {
            let message = printable(&report.message);
            let text = if report.status.is_final() || message.is_empty() {
                format!("{target}  {}: {message}", report.status)
            } else {
                format!("{target}  {message}")
            };
            self.lines.line(&text, out);
        }
    }

    fn is_change(&mut self, of: &str, what: &str) -> bool {
        self.last_printed.insert(of.to_owned(), what.to_owned()).as_deref() != Some(what)
    }
}
