//! Past jobs: each is written down once it has ended, and told in pages to whoever asks.

use super::service::Service;
use crate::jobs::{History, Record};
use crate::protocol::{Action, Answer, Ask, HistoryAnswer, HistoryEntry, Want};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// How many entries are told where nobody says.
const LIMIT: u64 = 20;

impl Service {
    /// Answers with a page of the history. The files are read where nobody waits for them.
    pub(super) fn answer_history(&mut self, ask: Ask) {
        if !self.can_look_up(&ask) {
            return;
        }
        let (history, reporter) = (self.history.clone(), self.reporter.clone());
        let hostname = self.config.hostname.clone();
        let limit = usize::try_from(ask.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
        self.deliveries.spawn(async move {
            let (to, before) = (ask.destination(), ask.before);
            let page = spawn_blocking(move || history.page(before.as_ref(), limit)).await;
            match page {
                Ok(Ok(page)) => {
                    let (entries, next) = (page.entries, page.next);
                    let answer = HistoryAnswer { want: Want::History, hostname, entries, next };
                    reporter.answer(&to, &Answer::History(answer)).await;
                }
                // An empty answer would tell that nothing was ever done here.
                Ok(Err(error)) => tracing::warn!(%error, "could not read the history"),
                Err(_) => {}
            }
            Vec::new()
        });
    }
}

/// Writes down a job that has ended. One that cannot be is at the next start.
pub(super) async fn keep(history: Arc<History>, record: &Record) {
    if let Some(entry) = entry(record) {
        let _ = spawn_blocking(move || append(&history, &[entry])).await;
    }
}

/// Writes down those of these jobs that have ended and were not, since the power went or the disk was full.
pub(super) fn catch_up(history: &History, records: &[Record]) {
    let mut entries: Vec<_> = records.iter().filter_map(entry).collect();
    match history.lacks(entries.iter().map(|entry| entry.id.clone()).collect()) {
        Ok(lacks) => entries.retain(|entry| lacks.contains(&entry.id)),
        Err(error) => {
            tracing::warn!(%error, "could not read the history");
            return;
        }
    }
    if !entries.is_empty() {
        append(history, &entries);
    }
}

fn append(history: &History, entries: &[HistoryEntry]) {
    if let Err(error) = history.append(entries) {
        tracing::warn!(%error, "the history lacks a job");
    }
}

fn entry(record: &Record) -> Option<HistoryEntry> {
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
    })
}
