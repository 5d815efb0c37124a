//! `build`: has the builder build hosts, and tells how that went.

use super::access::Access;
use super::answer::answer;
use super::audit::Audit;
use super::error::ToolError;
use super::parameters::BuildParameters;
use super::progress::Progress;
use super::views::BuildView;
use crate::deployer::{BuildOutcome, BuildUpdate, BuildWish, Verdict};
use crate::fleet::words;
use crate::protocol::{PhaseState, printable};
use rmcp::RoleServer;
use rmcp::model::CallToolResponse;
use rmcp::service::RequestContext;
use std::fmt::Write;
use std::time::Duration;

/// Asks the builder and follows it to its verdict, for `patience` at most.
pub(super) async fn build(
    access: &Access,
    parameters: BuildParameters,
    patience: Duration,
    context: &RequestContext<RoleServer>,
    audit: &mut Audit,
) -> Result<CallToolResponse, ToolError> {
    audit.what(&parameters);
    let operator = access.operator().await?;
    let wish =
        BuildWish { repo: parameters.repo, hosts: parameters.target.host()?, branch: parameters.branch };
    let mut follow = operator.build(wish, patience).await?;
    audit.result("not followed to the end; the builder goes on");
    let (mut progress, mut notes) = (Progress::of(context, []), Vec::new());
    loop {
        let update = tokio::select! {
            update = follow.next() => update,
            () = context.ct.cancelled() => {
                return Err(ToolError::new("no longer followed; what the builder builds goes on"));
            }
        };
        match update.transpose()? {
            None => break,
            Some(BuildUpdate::Note(note)) => {
                progress.say(note.clone()).await;
                notes.push(printable(&note));
            }
            Some(BuildUpdate::Report(report)) => {
                let busy = report.hosts.iter().filter(|host| host.state == PhaseState::Running);
                let busy: Vec<_> = busy.map(|host| host.hostname.to_string()).collect();
                let building =
                    if busy.is_empty() { String::new() } else { format!(", building {}", busy.join(", ")) };
                progress.say(format!("{} of {} hosts built{building}", report.done, report.expected)).await;
            }
        }
    }
    let outcome = follow.outcome();
    let failed = outcome.exit_code() != 0;
    let view = BuildView::new(&outcome, notes);
    let text = told(&outcome, &view);
    audit.result(text.lines().next().unwrap_or_default());
    Ok(answer(text, &view, failed))
}

/// An outcome in words: the verdict, each host, and what to do next.
fn told(outcome: &BuildOutcome, view: &BuildView) -> String {
    let mut text = format!("build of {}: {}", view.target, view.verdict);
    if let Some(message) = &view.message {
        let _ = write!(text, ": {message}");
    }
    let reports = outcome.builds.iter().filter_map(|build| build.report.as_deref());
    for host in reports.flat_map(|report| &report.hosts) {
        let _ = write!(text, "\n{}: {}", host.hostname, words::built_host(host));
    }
    for note in &view.notes {
        let _ = write!(text, "\nnote: {note}");
    }
    match outcome.builds.first().map(|build| build.verdict) {
        Some(Verdict::Silent) => {
            text.push_str("\nNo builder answered; an operator has to see whether one runs.");
        }
        Some(Verdict::Unknown) => text.push_str("\nStill building; the same call again joins it."),
        _ => {}
    }
    text
}
