//! Delivers verdicts: tells them until one is known to have reached the server.

use super::reporter::Reporter;
use crate::jobs::{Known, Store, now};
use crate::protocol::Id;
use std::sync::Arc;

/// Publishes verdicts, waits for the server to have read them, and notes that durably. Gives those that arrived.
pub(super) async fn deliver(owed: Vec<(Id, Known)>, store: Arc<Store>, reporter: Reporter) -> Vec<Id> {
    for (_, job) in &owed {
        if reporter.send(&job.destination, &job.report).await.is_err() {
            return Vec::new();
        }
    }
    if !reporter.arrived().await {
        return Vec::new();
    }
    let ids: Vec<_> = owed.into_iter().map(|(id, _)| id).collect();
    let arrived = ids.clone();
    let noted = tokio::task::spawn_blocking(move || {
        for id in ids {
            if let Err(error) = store.mark_sent(&id, now()) {
                tracing::warn!(%id, %error, "could not note that a verdict was told");
            }
        }
    });
    // Where it could not be noted it is told once more after a restart, which does no harm.
    let _ = noted.await;
    arrived
}
