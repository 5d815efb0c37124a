//! Follows the logs of several hosts together.

use crate::client::{LogFollower, LogStart, MessageTap, Operator};
use crate::tui::{ConsoleEvent, LogKey};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Number of bytes that are read from the end of each log.
const END: u64 = 256 * 1024;

/// Follows logs until they end. All stop when this future is dropped.
pub(super) async fn follow(
    operator: Arc<Operator>,
    tap: MessageTap,
    keys: Vec<LogKey>,
    events_tx: mpsc::Sender<ConsoleEvent>,
) {
    let mut followers = JoinSet::new();
    for key in keys {
        followers.spawn(follow_one(operator.clone(), tap.clone(), key, events_tx.clone()));
    }
    while followers.join_next().await.is_some() {}
}

async fn follow_one(
    operator: Arc<Operator>,
    tap: MessageTap,
    key: LogKey,
    events_tx: mpsc::Sender<ConsoleEvent>,
) {
    let (nats, host, job) = (operator.nats.clone(), key.host.clone(), key.job.clone());
    let follow =
        LogFollower::open_with_tap(&tap, nats, &operator.known, host, job, LogStart::Last(END)).await;
    let Ok(mut follow) = follow else { return };
    while let Some(Ok(event)) = follow.next().await {
        if events_tx.send(ConsoleEvent::HostLog(key.clone(), event)).await.is_err() {
            return;
        }
    }
}
