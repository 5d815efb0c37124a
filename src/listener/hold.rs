//! Holds and releases this host at once, even while a job runs. Both leave a record like a job, so that an id acts once.

use super::service::ListenerService;
use crate::activation::Engine;
use crate::atomic_file::WriteError;
use crate::jobs::{Hold, JobRecord, JobStore, report_span};
use crate::protocol::{Action, DeployRequest, ErrorCode, Phases, Status};
use crate::state_dir::StoreError;
use crate::text::fitting_prefix;
use tokio::task::spawn_blocking;

/// Maximum encoded size of an issuer, in bytes: every presence message contains it.
const MAX_ISSUER: usize = 256;

/// The supported actions: those of the engine, and hold and release.
pub(super) fn actions(engine: &dyn Engine) -> Vec<Action> {
    let mut actions = engine.actions();
    actions.extend([Action::Hold, Action::Release]);
    actions
}

impl ListenerService {
    /// The error message for requests to a held host; `None` if it is not held.
    pub(super) fn held_message(&self) -> Option<String> {
        let hold = self.hold.as_ref()?;
        let host = &self.config.hostname;
        Some(format!("held{}; release it with `homelab-deploy release {host}`", hold.details()))
    }

    /// Holds or releases the host. A running job continues.
    pub(super) async fn hold_or_release(&mut self, request: DeployRequest, key: Option<String>) {
        let mut record = self.accept(request, key);
        let new_hold = hold_of(&record);
        record.report.message = self.hold_result(new_hold.as_ref());
        let (store, accepted) = (self.store.clone(), record.clone());
        let done = spawn_blocking(move || save_and_apply(&store, &accepted)).await;
        let failure = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(failure) = failure {
            let request = &record.request;
            tracing::error!(reason = failure, "failed to hold or release the host");
            let message = format!("failed to {} the host: {failure}; nothing was changed", request.action);
            let report = self.reporter.rejection_report(request, ErrorCode::Unhealthy, &message);
            self.count_refusal(&report);
            return self.send_report(&record.request.destination(), &report).await;
        }
        let (id, issuer) = (record.request.id.clone(), record.request.issuer.as_deref());
        tracing::warn!(issuer, "{}", record.report.message);
        self.hold = new_hold;
        self.complete(&mut record);
        let (store, ended) = (self.store.clone(), record.clone());
        // If the save fails, the next start repeats the action, unless a newer hold or release exists.
        if let Ok(Err(error)) = spawn_blocking(move || store.save(&ended)).await {
            tracing::error!(%error, "failed to save the result of a hold or release");
        }
        let record = self.result_recorder().record(record).await;
        self.jobs.insert(&record);
        self.deliver(Some(&id));
        if self.announces() {
            self.announce(self.snapshot().host()).await;
        }
    }

    /// Completes holds and releases that a previous listener had accepted when it died; only the newest takes effect.
    /// Returns the remaining records.
    pub(super) fn recover_hold(&mut self, mut records: Vec<JobRecord>) -> Vec<JobRecord> {
        let is_hold = |record: &JobRecord| !record.request.action.creates_job();
        let last = records.iter().rposition(is_hold);
        let all = records.iter_mut().enumerate();
        for (at, record) in all.filter(|(_, record)| is_hold(record) && !record.is_final()) {
            let _entered = report_span(&record.report).entered();
            let new_hold = hold_of(record);
            record.report.message = self.hold_result(new_hold.as_ref());
            if Some(at) == last {
                match apply(&self.store, record) {
                    Ok(()) => self.hold = new_hold,
                    Err(error) => {
                        tracing::error!(%error, "failed to hold or release the host: the next start tries again");
                        continue;
                    }
                }
            }
            self.complete(record);
            tracing::warn!("{}", record.report.message);
            if let Err(error) = self.store.save(record) {
                tracing::error!(%error, "failed to save the result of a hold or release");
            }
        }
        // An unfinished hold or release is not a job that could be resumed.
        records.retain(|record| record.is_final() || !is_hold(record));
        records
    }

    /// The message of the report, if the action succeeds.
    fn hold_result(&self, new_hold: Option<&Hold>) -> String {
        let host = &self.config.hostname;
        let continuing =
            self.running.as_ref().map(|(id, _)| format!("; job {id} continues")).unwrap_or_default();
        match (new_hold, self.hold.as_ref().map(Hold::details)) {
            (Some(_), None) => format!("held until `homelab-deploy release {host}`{continuing}"),
            (Some(_), Some(before)) => {
                format!("held until `homelab-deploy release {host}`{continuing}; previously held{before}")
            }
            (None, Some(before)) => format!("released; was held{before}"),
            (None, None) => "the host was not held".to_owned(),
        }
    }

    fn complete(&self, record: &mut JobRecord) {
        record.report.status = Status::Completed;
        record.report.phases = Phases::default();
        self.reporter.stamp(&mut record.report);
    }
}

/// The hold after this action; `None` after a release.
fn hold_of(record: &JobRecord) -> Option<Hold> {
    let request = &record.request;
    (request.action == Action::Hold).then(|| Hold {
        reason: request.reason.as_deref().unwrap_or_default().trim().to_owned(),
        issuer: request.issuer.as_deref().map(|issuer| fitting_prefix(issuer, MAX_ISSUER).to_owned()),
        since: Some(record.accepted_at),
    })
}

/// Saves the record and applies the action. If the action fails, the record is removed.
fn save_and_apply(store: &JobStore, record: &JobRecord) -> Result<(), StoreError> {
    store.save(record)?;
    apply(store, record).inspect_err(|_| store.remove(&record.request.id))?;
    Ok(())
}

fn apply(store: &JobStore, record: &JobRecord) -> Result<(), WriteError> {
    match hold_of(record) {
        Some(hold) => hold.save(store.dir.path()),
        None => Hold::remove(store.dir.path()),
    }
}
