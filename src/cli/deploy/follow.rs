//! Prints the progress of a deployment and its results.

use super::pin;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::operation::describe_detached;
use crate::cli::output::{Format, Output};
use crate::cli::progress::ProgressLines;
use crate::cli::render::{self, CommitsJson};
use crate::cli::resume_command::ResumeCommand;
use crate::client::{
    COMMITS_WITHIN, DeploymentFollower, DeploymentSummary, DetachedRunner, FollowEvent, LocalCommand,
    Operator, commits,
};
use crate::fleet::{FleetCommits, describe};
use crate::protocol::{Action, DeployReport, Name, RolloutState, RolloutStatus, Status};
use crate::text::printable;
use jiff::Timestamp;
use std::collections::HashMap;
use tokio::signal::unix::{SignalKind, signal};

/// Follows until every host has a result, or until Ctrl-C. `resume_command` is for the hosts that were not started. If
/// the terminal is closed, a rollout continues in the background.
pub(in crate::cli) async fn follow_or_interrupt(
    mut follow: DeploymentFollower,
    format: Format,
    resume_command: Option<&ResumeCommand>,
    background: Option<&DetachedRunner>,
    operator: Option<&Operator>,
) -> Result<Exit, CommandError> {
    let id = follow.plan().id.clone();
    let background = background.filter(|_| hand_over_on_hangup(&follow));
    tokio::select! {
        exit = print_updates(&mut follow, format, resume_command, background, operator) => return exit,
        _ = tokio::signal::ctrl_c() => {}
    }
    follow.end("interrupted").await;
    let mut text = format!(
        "interrupted; running jobs continue on their hosts, `homelab-deploy status` shows them (deployment {id})"
    );
    let not_started = follow.plan().not_started();
    if let Some(resume_command) = resume_command.filter(|_| !not_started.is_empty()) {
        let line = resume_command.command_line(&not_started, None);
        text = format!("{text}. No further batch starts; to continue with the remaining hosts:\n  {line}");
    }
    Err(CommandError { exit: Exit::Interrupted, error: anyhow::anyhow!(text) })
}

/// Follows until every host has a result, then prints the table.
pub(in crate::cli) async fn follow_to_end(
    mut follow: DeploymentFollower,
    format: Format,
) -> Result<Exit, CommandError> {
    print_updates(&mut follow, format, None, None, None).await
}

/// Hands the rollout over when the terminal is closed. Returns whether there is a rollout.
fn hand_over_on_hangup(follow: &DeploymentFollower) -> bool {
    let (Some(commands), Ok(mut hangup)) = (follow.commands(), signal(SignalKind::hangup())) else {
        return false;
    };
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // If the rollout has ended, nothing receives the command.
            let _ = commands.send(LocalCommand::HandOver);
        }
    });
    true
}

async fn print_updates(
    follow: &mut DeploymentFollower,
    format: Format,
    resume_command: Option<&ResumeCommand>,
    background: Option<&DetachedRunner>,
    operator: Option<&Operator>,
) -> Result<Exit, CommandError> {
    let mut out = Output::new();
    let mut rollout_line = RolloutLine::default();
    let mut progress = (format == Format::Human).then(|| DeployPrinter::new(follow, out.live));
    while let Some(update) = follow.next().await {
        match (update?, &mut progress) {
            (FollowEvent::Rollout(status), Some(progress)) => {
                if let Some(line) = rollout_line.of(&status) {
                    progress.note(&line, &mut out);
                }
            }
            (FollowEvent::HandOver, _) => {
                let Some(background) = background.filter(|_| follow.has_unsent_batches()) else { continue };
                match background.take_over(&follow.handover()).await {
                    Ok(detached) => {
                        let error = anyhow::anyhow!(describe_detached(&follow.plan().id, &detached));
                        return Err(CommandError { exit: Exit::Interrupted, error });
                    }
                    Err(error) => pin::note(&error.to_string(), format),
                }
            }
            (update, Some(progress)) => progress.show(&update, &mut out),
            (FollowEvent::Report(report), None) => out.event("report", &*report),
            (FollowEvent::BatchStarted(batch), None) => out.event("batch", batch),
            (FollowEvent::Note(note) | FollowEvent::Resent { note, .. }, None) => out.event("note", note),
            (FollowEvent::Rollout(status), None) => {
                if let Some(line) = rollout_line.of(&status) {
                    out.event("note", line);
                }
            }
        }
    }
    // Clears the live lines.
    drop(progress);
    let summary = follow.summary();
    let exit = Exit::from_code(summary.exit_code());
    let resume_line = resume_command.filter(|_| !summary.not_started.is_empty());
    let resume_line =
        resume_line.map(|resume_command| resume_command.command_line(&summary.not_started, summary.stopped));
    let commits = match operator.filter(|_| follow.plan().intent.action == Action::DryActivate) {
        Some(operator) => read_commits(&summary, follow, operator).await,
        None => FleetCommits::default(),
    };
    let listed = CommitsJson::all(&summary, &follow.fleet, &commits);
    match format {
        Format::Human => {
            let outcome = render::outcome(&summary, follow.plan(), Timestamp::now(), out.colours);
            out.line(&format!("\n{outcome}"));
            if follow.plan().intent.action == Action::Diagnose {
                let reports = summary.hosts.iter().filter_map(|host| host.report.as_deref());
                for report in reports.filter(|report| report.status == Status::Completed) {
                    out.line(&format!("\n{}", render::diagnostics(report)));
                }
            }
            if follow.plan().intent.action == Action::DryActivate {
                for changes in render::changes(&summary, &follow.fleet) {
                    out.line(&format!("\n{changes}"));
                }
                if let Some(folded) = render::folded_changes(&summary, &follow.fleet) {
                    out.line(&format!("\n{folded}"));
                }
            }
            for commits in &listed {
                out.line(&format!("\n{}", render::commits(commits, Timestamp::now())));
            }
            for failure in commits.failures.values() {
                out.line(&format!("\nnote: {failure}"));
            }
            if !summary.not_built.is_empty() {
                out.line(&format!("\n{}", render::not_built(&summary)));
            }
            if !summary.left_out.is_empty() {
                out.line(&format!("\n{}", render::left_out(&summary)));
            }
            if let Some(resume_line) = resume_line {
                out.line(&format!("\n{}\n  {resume_line}", render::not_started(&summary)));
            }
        }
        Format::Json => {
            if let Some(resume_line) = resume_line {
                out.event("resume_command", resume_line);
            }
            if follow.plan().intent.action == Action::DryActivate {
                out.event("changes", render::fold(&summary, &follow.fleet));
            }
            if !listed.is_empty() {
                out.event("commits", &listed);
            }
            for failure in commits.failures.values() {
                out.event("note", failure);
            }
            out.result(exit, summary);
        }
    }
    Ok(exit)
}

/// Reads the commits between what the hosts run and what a dry run has built.
async fn read_commits(
    summary: &DeploymentSummary,
    follow: &DeploymentFollower,
    operator: &Operator,
) -> FleetCommits {
    let Some(revision) = &follow.plan().intent.revision else { return FleetCommits::default() };
    let query = render::commits_query(summary, &follow.fleet, revision);
    commits(query, operator.clones.clone(), COMMITS_WITHIN, &operator.credentials).await
}

/// Describes changes of a rollout that operators made.
#[derive(Default)]
struct RolloutLine {
    was_held: bool,
}

impl RolloutLine {
    /// `rollout paused by alice@laptop`; `None` if nothing of interest has changed. A limit that ends the rollout is
    /// part of the summary.
    fn of(&mut self, status: &RolloutStatus) -> Option<String> {
        let is_held = matches!(status.state, RolloutState::Paused | RolloutState::Stopped);
        let was_held = std::mem::replace(&mut self.was_held, is_held);
        let reason = status.reason.as_deref().map(printable).unwrap_or_default();
        match status.state {
            RolloutState::Paused if !was_held => Some(format!("rollout {reason}")),
            RolloutState::Stopped if !was_held => Some(format!(
                "rollout stopped: {reason}; continue or abort it with `homelab-deploy rollouts`"
            )),
            RolloutState::Running if was_held => Some("rollout continued".to_owned()),
            RolloutState::Ended if reason.starts_with("aborted by") => Some(format!("rollout {reason}")),
            _ => None,
        }
    }
}

/// Prints deployment events.
struct DeployPrinter {
    lines: ProgressLines,
    /// The last printed phase of each host, so that heartbeats are not repeated.
    last_printed: HashMap<Name, String>,
    width: usize,
}

impl DeployPrinter {
    pub(super) fn new(follow: &DeploymentFollower, live: bool) -> Self {
        let width = follow.plan().hosts().keys().map(|host| host.as_str().len()).max().unwrap_or(0);
        Self { lines: ProgressLines::new(live), last_printed: HashMap::new(), width }
    }

    /// Prints one event.
    fn show(&mut self, update: &FollowEvent, out: &mut Output) {
        match update {
            FollowEvent::Note(note) | FollowEvent::Resent { note, .. } => {
                self.lines.line(&format!("note: {}", printable(note)), out);
            }
            FollowEvent::BatchStarted(batch) => self.lines.line(&batch.to_string(), out),
            FollowEvent::Report(report) => self.report(report, out),
            FollowEvent::Rollout(_) | FollowEvent::HandOver => {}
        }
    }

    fn note(&mut self, text: &str, out: &mut Output) {
        self.lines.line(text, out);
    }

    fn report(&mut self, report: &DeployReport, out: &mut Output) {
        let name = report.hostname.as_str();
        let text = format!("{name:width$}  {}", describe::job_progress(report), width = self.width);
        if report.status.is_final() {
            self.lines.remove(name);
            self.lines.line(&text, out);
        } else if self.lines.is_live() {
            self.lines.update(name, &text);
        } else {
            // Without live lines, each phase and component is printed once and build progress is not.
            let phase = report.phases.running().map_or(report.status.as_str(), |phase| phase.name.as_str());
            let step = format!("{phase} {}", describe::component_progress(report).unwrap_or_default());
            let last_printed = self.last_printed.insert(report.hostname.clone(), step.clone());
            if last_printed.as_ref() != Some(&step) {
                self.lines.line(&text, out);
            }
        }
    }
}
