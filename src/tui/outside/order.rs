//! A deployment of ours: pinned where it goes in waves, sent, and followed to its end.

use crate::deployer::{DeployError, Follow, HEADS_WITHIN, Operator, Plan, Update, heads};
use crate::fleet::Fleet;
use crate::protocol::Inbound;
use crate::tui::Event;
use crate::tui::event::OrderNews;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long a deployment, or each of its waves, is followed.
const PATIENCE: Duration = Duration::from_hours(24);

/// Sends a plan and follows it; once `abort` is cancelled, no further wave begins. Reports come through the watch as well; only what
/// was asked for comes here alone.
pub(super) async fn send(
    operator: Arc<Operator>,
    plan: Plan,
    abort: CancellationToken,
    into: mpsc::Sender<Event>,
) {
    let id = plan.id.clone();
    let order = |news| Event::Order(id.clone(), news);
    let mut follow = match begin(&operator, plan).await {
        Ok(follow) => follow,
        Err(error) => {
            let _ = into.send(order(OrderNews::Failed(error.to_string()))).await;
            return;
        }
    };
    follow.abort_on(abort);
    loop {
        let event = match follow.next().await {
            Some(Ok(Update::Report(report))) => {
                let report = Inbound::Report(Box::new((*report).clone()));
                Event::Messages(vec![Ok(report)], Timestamp::now())
            }
            Some(Ok(Update::Again { host, id, note })) => order(OrderNews::Again(host, id, note)),
            Some(Ok(Update::Wave(wave))) => order(OrderNews::Wave(wave)),
            Some(Ok(Update::Note(note))) => order(OrderNews::Note(note)),
            Some(Err(error)) => {
                let _ = into.send(order(OrderNews::Failed(error.to_string()))).await;
                return;
            }
            None => {
                let _ = into.send(order(OrderNews::Ended(follow.outcome()))).await;
                return;
            }
        };
        if into.send(event).await.is_err() {
            return;
        }
    }
}

/// In waves every host builds the same commit, though the branch moves meanwhile.
async fn begin(operator: &Operator, mut plan: Plan) -> Result<Follow, DeployError> {
    if let Some(branch) = plan.to_pin().cloned().filter(|_| plan.rollout.waves().len() > 1) {
        let heads = heads(plan.flakes(), &branch, HEADS_WITHIN, &operator.credentials).await;
        plan.pin(&heads)?;
    }
    operator.send(plan, Fleet::default(), None, PATIENCE).await
}
