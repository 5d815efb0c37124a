//! Adds each job that has ended to the history, and replies to queries with pages of it.

use super::service::ListenerService;
use crate::jobs::{History, JobRecord};
use crate::protocol::{Action, HistoryEntry, HistoryReply, Query, QueryKind, QueryReply};
use tokio::task::spawn_blocking;

/// Number of entries in a reply if the query has no limit.
const DEFAULT_LIMIT: u64 = 20;

impl ListenerService {
    /// Replies with a page of the history. The files are read in a separate task.
    pub(super) fn reply_with_history(&mut self, query: Query) {
        if !self.has_free_task(&query) {
            return;
        }
        let (history, reporter) = (self.history.clone(), self.reporter.clone());
        let hostname = self.config.hostname.clone();
        let limit = usize::try_from(query.limit.unwrap_or(DEFAULT_LIMIT)).unwrap_or(usize::MAX);
        self.runtime.deliveries.spawn(async move {
            let (to, before) = (query.destination(), query.before);
            let page = spawn_blocking(move || history.page(before.as_ref(), limit)).await;
            match page {
                Ok(Ok(page)) => {
                    let (entries, next) = (page.entries, page.next);
                    let reply = HistoryReply { query: QueryKind::History, hostname, entries, next };
                    reporter.send_reply(&to, &QueryReply::History(reply)).await;
                }
                // An empty reply would mean that no job has ever run here.
                Ok(Err(error)) => tracing::warn!(%error, "failed to read the history"),
                Err(_) => {}
            }
            Vec::new()
        });
    }
}

/// Adds a job that has ended to the history. If that fails, the next start adds it.
pub(super) fn record_job(history: &History, record: &JobRecord) {
    if let Some(entry) = entry(record) {
        append(history, &[entry]);
    }
}

/// Adds those jobs that are missing from the history, for example after a power failure or on a full disk.
pub(super) fn catch_up(history: &History, records: &[JobRecord]) {
    let mut entries: Vec<_> = records.iter().filter_map(entry).collect();
    match history.missing(entries.iter().map(|entry| entry.id.clone()).collect()) {
        Ok(missing) => entries.retain(|entry| missing.contains(&entry.id)),
        Err(error) => {
            tracing::warn!(%error, "failed to read the history");
            return;
        }
    }
    if !entries.is_empty() {
        append(history, &entries);
    }
}

fn append(history: &History, entries: &[HistoryEntry]) {
    if let Err(error) = history.append(entries) {
        tracing::warn!(%error, "failed to add jobs to the history");
    }
}

fn entry(record: &JobRecord) -> Option<HistoryEntry> {
    let (request, report) = (&record.request, &record.report);
    record.is_final().then(|| HistoryEntry {
        id: request.id.clone(),
        at: record.accepted_at,
        action: request.action.clone(),
        status: report.status.clone(),
        error: report.error.clone(),
        issuer: report.issuer.clone().map(Into::into),
        key: record.verified_key.clone(),
        revision: report.revision.clone().map(Into::into),
        commit: report.commit.clone().map(Into::into),
        generation: report.generation,
        reason: request.reason.clone().filter(|_| request.action == Action::Hold),
        elapsed_ms: report.elapsed_ms.unwrap_or(0),
        phases: report.phases.clone(),
        components: report.components.changed().map(|component| component.name.clone()).collect(),
    })
}
