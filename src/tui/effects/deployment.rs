//! A deployment of this console: pinned to a commit if it has batches, sent, and followed until it ends.

use crate::client::{
    DeployError, DeploymentFollower, DetachedProcess, DetachedRunner, FollowEvent, HEADS_WITHIN,
    LocalCommand, Operator, Plan, heads,
};
use crate::fleet::Fleet;
use crate::protocol::{Id, Inbound, RolloutCommand};
use crate::tui::event::SentDeploymentEvent;
use crate::tui::{ConsoleEvent, ResumedRollout};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a deployment, or each of its batches, is followed.
const FOLLOW_TIMEOUT: Duration = Duration::from_hours(24);

/// The process that continues a rollout, or why it continues here.
pub type HandoverResult = Result<DetachedProcess, String>;

/// A request to the task of a deployment.
#[derive(Debug)]
pub(super) enum RolloutTask {
    /// Carry out a command of the operator.
    Command(RolloutCommand),
    /// Let another process take over. Without batches left, the sender is dropped.
    HandOver(Option<DetachedRunner>, oneshot::Sender<HandoverResult>),
    /// Send no further batch, because the console ends.
    Stop(oneshot::Sender<()>),
}

/// Sends a plan and follows it.
///
/// Reports also arrive through the watch; only replies to queries arrive here alone.
pub(super) async fn send(
    operator: Arc<Operator>,
    plan: Plan,
    tasks: mpsc::UnboundedReceiver<RolloutTask>,
    events_tx: mpsc::Sender<ConsoleEvent>,
) {
    let id = plan.id.clone();
    let mut follow = match start(&operator, plan).await {
        Ok(follow) => follow,
        Err(error) => {
            let failed = SentDeploymentEvent::Failed(error.to_string());
            let _ = events_tx.send(ConsoleEvent::SentDeployment(id, failed)).await;
            return;
        }
    };
    follow.wait_at_limit();
    run(follow, tasks, events_tx).await;
}

/// Continues an interrupted rollout and follows it.
pub(super) async fn resume(
    operator: Arc<Operator>,
    id: Id,
    tasks: mpsc::UnboundedReceiver<RolloutTask>,
    events_tx: mpsc::Sender<ConsoleEvent>,
) {
    let mut follow = match DeploymentFollower::resume_interrupted(&operator, &id).await {
        Ok(follow) => follow,
        Err(error) => {
            let _ = events_tx.send(ConsoleEvent::Resumed(id, Err(error.to_string()))).await;
            return;
        }
    };
    follow.wait_at_limit();
    let handover = follow.handover();
    let resumed = ResumedRollout { plan: handover.plan, resent: handover.resent };
    if events_tx.send(ConsoleEvent::Resumed(id, Ok(Box::new(resumed)))).await.is_ok() {
        run(follow, tasks, events_tx).await;
    }
}

/// Follows a deployment to its end, and carries out what the operator requests.
async fn run(
    mut follow: DeploymentFollower,
    mut tasks: mpsc::UnboundedReceiver<RolloutTask>,
    events_tx: mpsc::Sender<ConsoleEvent>,
) {
    let id = follow.plan().id.clone();
    let commands = follow.commands();
    // The last request to hand over, until the follower has stopped sending.
    let mut handover = None;
    loop {
        let event = {
            let next = follow.next();
            tokio::pin!(next);
            // The follower is not cancelled while it sends a batch: requests reach it as commands.
            loop {
                let task = tokio::select! {
                    biased;
                    event = &mut next => break event,
                    Some(task) = tasks.recv() => task,
                };
                // A deployment without batches has nothing left to send.
                let Some(commands) = &commands else { continue };
                let command = match task {
                    RolloutTask::Command(command) => LocalCommand::Control(command),
                    RolloutTask::HandOver(background, done) => {
                        handover = Some((background, done));
                        LocalCommand::HandOver
                    }
                    RolloutTask::Stop(done) => LocalCommand::End(done),
                };
                let _ = commands.send(command);
            }
        };
        if let Some(Ok(FollowEvent::HandOver)) = event {
            let Some((background, done)) = handover.take().filter(|_| follow.has_unsent_batches()) else {
                continue;
            };
            let result = take_over(background, &follow).await;
            let is_handed_over = result.is_ok();
            let _ = done.send(result);
            if is_handed_over {
                let event = ConsoleEvent::SentDeployment(id, SentDeploymentEvent::HandedOver);
                let _ = events_tx.send(event).await;
                return;
            }
            continue;
        }
        let (event, is_last) = console_event(&id, event, &follow);
        if events_tx.send(event).await.is_err() || is_last {
            return;
        }
    }
}

/// The event for the console, and whether it is the last one.
fn console_event(
    id: &Id,
    event: Option<Result<FollowEvent, DeployError>>,
    follow: &DeploymentFollower,
) -> (ConsoleEvent, bool) {
    let sent = |event| ConsoleEvent::SentDeployment(id.clone(), event);
    match event {
        Some(Ok(FollowEvent::Report(report))) => {
            let report = Inbound::Report(Box::new((*report).clone()));
            (ConsoleEvent::Messages(vec![Ok(report)], Timestamp::now()), false)
        }
        Some(Ok(FollowEvent::Resent { host, id, note })) => {
            (sent(SentDeploymentEvent::Resent(host, id, note)), false)
        }
        Some(Ok(FollowEvent::BatchStarted(batch))) => (sent(SentDeploymentEvent::BatchSent(batch)), false),
        Some(Ok(FollowEvent::Note(note))) => (sent(SentDeploymentEvent::Note(note)), false),
        Some(Ok(FollowEvent::Rollout(status))) => (sent(SentDeploymentEvent::Rollout(status)), false),
        Some(Ok(FollowEvent::HandOver)) => (sent(SentDeploymentEvent::HandedOver), true),
        Some(Err(error)) => (sent(SentDeploymentEvent::Failed(error.to_string())), true),
        None => (sent(SentDeploymentEvent::Finished(follow.summary())), true),
    }
}

async fn take_over(background: Option<DetachedRunner>, follow: &DeploymentFollower) -> HandoverResult {
    let Some(background) = background else {
        return Err("no background process is possible here".to_owned());
    };
    background.take_over(&follow.handover()).await.map_err(|error| error.to_string())
}

/// Sends the plan. A plan with batches is pinned first, so that all hosts build the same commit if the branch moves.
async fn start(operator: &Operator, mut plan: Plan) -> Result<DeploymentFollower, DeployError> {
    if let Some(branch) = plan.revision_to_pin().cloned().filter(|_| plan.rollout.batches().len() > 1) {
        let heads = heads(plan.flakes(), &branch, HEADS_WITHIN, &operator.credentials).await;
        plan.pin(&heads)?;
    }
    DeploymentFollower::send(operator, plan, Fleet::default(), None, FOLLOW_TIMEOUT).await
}
