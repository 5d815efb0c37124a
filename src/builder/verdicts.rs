//! Delivers verdicts: tells them until one is known to have reached the server.

use super::record::Record;
use super::reporter::Reporter;
use super::store::Store;
use crate::protocol::Id;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Publishes verdicts, waits for the server to have read them, and notes that durably. Gives those that arrived.
pub(super) async fn deliver(owed: Vec<Record>, store: Arc<Store>, reporter: Reporter) -> Vec<Id> {
    for record in &owed {
        if reporter.send(&record.reply_to, &record.report).await.is_err() {
            return Vec::new();
        }
    }
    if !reporter.arrived().await {
        return Vec::new();
    }
    let ids = owed.iter().map(|record| record.id.clone()).collect();
    let noted = spawn_blocking(move || {
        for record in owed {
            let id = record.id.clone();
            if let Err(error) = store.save(&Record { told: true, ..record }) {
                tracing::warn!(%id, %error, "could not note that a verdict was told");
            }
        }
    });
    // Where it could not be noted it is told once more after a restart, which does no harm.
    let _ = noted.await;
    ids
}
