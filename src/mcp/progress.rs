//! Follows a deployment during a call, and sends progress notifications to a client that requests them.

use super::result::ToolError;
use crate::client::{DeploymentFollower, FollowEvent};
use crate::fleet::describe;
use crate::ordered::CollectOrdered;
use crate::protocol::{DeployReport, Name, PhaseName};
use crate::text::printable;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use std::collections::BTreeMap;

/// Steps per host: its phases and the result.
const STEPS: usize = PhaseName::PIPELINE.len() + 1;

/// Sends progress notifications if the client has sent a token.
pub(super) struct ProgressNotifier {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    /// Finished steps per host.
    steps: BTreeMap<Name, usize>,
    /// Number of notifications since the last finished step. The reported progress must increase each time.
    within: u32,
}

impl ProgressNotifier {
    pub(super) fn new(follow: &DeploymentFollower, context: &RequestContext<RoleServer>) -> Self {
        Self::of(context, follow.summary().hosts.into_iter().map(|result| result.host))
    }

    /// A notifier for these hosts; without hosts, notifications have no total.
    pub(super) fn of(context: &RequestContext<RoleServer>, hosts: impl IntoIterator<Item = Name>) -> Self {
        let token = context.meta.get_progress_token();
        let steps = hosts.into_iter().map(|host| (host, 0)).collect_map();
        Self { to: token.map(|token| (context.peer.clone(), token)), steps, within: 0 }
    }

    /// Reports an event of the deployment.
    pub(super) async fn update(&mut self, update: &FollowEvent) {
        match update {
            FollowEvent::Report(report) => {
                let text = format!("{}: {}", report.hostname, describe::job_progress(report));
                let steps = self.steps.entry(report.hostname.clone()).or_default();
                let reached = reached(report).max(*steps);
                if reached > std::mem::replace(steps, reached) {
                    self.within = 0;
                }
                self.send(text).await;
            }
            FollowEvent::BatchStarted(batch) => self.send(batch.to_string()).await,
            FollowEvent::Note(note) | FollowEvent::Resent { note, .. } => self.send(note.clone()).await,
            FollowEvent::Rollout(status) => {
                if let Some(reason) = &status.reason {
                    self.send(format!("rollout {}: {reason}", status.state)).await;
                }
            }
            FollowEvent::HandOver => {}
        }
    }

    /// Reports a message.
    pub(super) async fn send(&mut self, text: String) {
        let Some((peer, token)) = &self.to else { return };
        self.within += 1;
        let progress = number(self.steps.values().sum()) + 1.0 - 1.0 / f64::from(self.within);
        let mut notification = ProgressNotificationParam::new(token.clone(), progress).with_message(text);
        if !self.steps.is_empty() {
            notification = notification.with_total(number(self.steps.len() * STEPS));
        }
        // A client that has disconnected misses the notification; the call ends independently.
        let _ = peer.notify_progress(notification).await;
    }
}

fn reached(report: &DeployReport) -> usize {
    if report.status.is_final() {
        return STEPS;
    }
    report.phases.running().and_then(|phase| phase.name.rank()).unwrap_or(0)
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Follows a deployment to its results or the timeout and returns its notes. Cancelling the call only ends the
/// following.
pub(super) async fn until_done(
    follow: &mut DeploymentFollower,
    context: &RequestContext<RoleServer>,
) -> Result<Vec<String>, ToolError> {
    let (mut progress, mut notes) = (ProgressNotifier::new(follow, context), Vec::new());
    // Sent first, because a cancelled call receives no further messages.
    let id = &follow.plan().id;
    progress.send(format!("following deployment {id}; the hosts continue even if this call ends")).await;
    loop {
        let update = tokio::select! {
            update = follow.next() => update,
            // The client no longer waits for this call.
            () = context.ct.cancelled() => {
                let id = &follow.plan().id;
                return Err(ToolError::new(format!(
                    "no longer followed; the hosts continue, and host_status shows their progress (deployment {id})"
                )));
            }
        };
        let update = update.transpose().map_err(|error| {
            let (error, id) = (ToolError::from(error), &follow.plan().id);
            ToolError::new(format!("{error} (deployment {id}; host_status shows its result)"))
        })?;
        let Some(update) = update else { return Ok(notes) };
        progress.update(&update).await;
        if let FollowEvent::Note(note) | FollowEvent::Resent { note, .. } = update {
            notes.push(printable(&note));
        }
    }
}
