//! The tool `build`: requests a build and returns its result.

use super::audit::Audit;
use super::client::FleetClient;
use super::parameters::BuildParameters;
use super::progress::ProgressNotifier;
use super::result::{ToolError, tool_result};
use super::views::BuildView;
use crate::client::{BuildEvent, BuildFollower, BuildSpec, BuildSummary, ResultKind};
use crate::fleet::describe;
use crate::protocol::PhaseState;
use crate::text::printable;
use rmcp::RoleServer;
use rmcp::model::CallToolResponse;
use rmcp::service::RequestContext;
use std::fmt::Write;
use std::time::Duration;

/// Requests a build and follows it to its result, for at most `follow_timeout`.
pub(super) async fn build(
    client: &FleetClient,
    parameters: BuildParameters,
    follow_timeout: Duration,
    context: &RequestContext<RoleServer>,
    audit: &mut Audit,
) -> Result<CallToolResponse, ToolError> {
    audit.what(&parameters);
    let operator = client.operator().await?;
    let spec =
        BuildSpec { repo: parameters.repo, hosts: parameters.target.host()?, branch: parameters.branch };
    let mut follow = BuildFollower::send(&operator, spec, follow_timeout).await?;
    audit.result("not followed to the end; the builder continues");
    let (mut progress, mut notes) = (ProgressNotifier::of(context, []), Vec::new());
    loop {
        let update = tokio::select! {
            update = follow.next() => update,
            () = context.ct.cancelled() => {
                return Err(ToolError::new("no longer followed; the builder continues"));
            }
        };
        match update.transpose()? {
            None => break,
            Some(BuildEvent::Note(note)) => {
                progress.send(note.clone()).await;
                notes.push(printable(&note));
            }
            Some(BuildEvent::Report(report)) => {
                let busy = report.hosts.iter().filter(|host| host.state == PhaseState::Running);
                let busy: Vec<_> = busy.map(|host| host.hostname.to_string()).collect();
                let building =
                    if busy.is_empty() { String::new() } else { format!(", building {}", busy.join(", ")) };
                progress.send(format!("{} of {} hosts built{building}", report.done, report.expected)).await;
            }
        }
    }
    let summary = follow.summary();
    let failed = summary.exit_code() != 0;
    let view = BuildView::new(&summary, notes);
    let text = describe(&summary, &view);
    audit.result(text.lines().next().unwrap_or_default());
    Ok(tool_result(text, &view, failed))
}

/// The result as text: the summary, each host, and the next step.
fn describe(summary: &BuildSummary, view: &BuildView) -> String {
    let mut text = format!("build of {}: {}", view.target, view.result);
    if let Some(message) = &view.message {
        let _ = write!(text, ": {message}");
    }
    let reports = summary.builds.iter().filter_map(|build| build.report.as_deref());
    for host in reports.flat_map(|report| &report.hosts) {
        let _ = write!(text, "\n{}: {}", host.hostname, describe::host_build(host));
    }
    for note in &view.notes {
        let _ = write!(text, "\nnote: {note}");
    }
    match summary.builds.first().map(|build| build.result) {
        Some(ResultKind::Silent) => {
            text.push_str("\nNo builder replied; ask an operator to check whether it is running.");
        }
        Some(ResultKind::Unknown) => text.push_str("\nStill building; repeat the call to follow it again."),
        _ => {}
    }
    text
}
