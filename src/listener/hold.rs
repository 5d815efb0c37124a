//! Holds this host and releases it, at once and whatever runs. Both leave a record as jobs do, so that an id acts once.

use super::history;
use super::requests::count;
use super::service::Service;
use crate::activation::Engine;
use crate::durable::WriteError;
use crate::jobs::{Hold, Record, Store, StoreError};
use crate::protocol::{Action, DeployRequest, ErrorCode, Phases, Status, fit_start};
use tokio::task::spawn_blocking;

/// How much of an issuer is kept, in bytes as encoded: it stands in every announcement.
const MAX_ISSUER: usize = 256;

/// What this listener can do: all that its engine can, and what it does itself.
pub(super) fn actions(engine: &dyn Engine) -> Vec<Action> {
    let mut actions = engine.actions();
    actions.extend([Action::Hold, Action::Release]);
    actions
}

impl Service {
    /// What is said to whoever wants something of a held host.
    pub(super) fn refusal_while_held(&self) -> Option<String> {
        let hold = self.hold.as_ref()?;
        let host = &self.config.hostname;
        Some(format!("held{}; `homelab-deploy release {host}` ends that", hold.in_full()))
    }

    /// Holds or releases the host; a job that runs goes on.
    pub(super) async fn hold_or_release(&mut self, request: DeployRequest, key: Option<String>) {
        let mut record = self.accept(request, key);
        let after = hold_of(&record);
        record.report.message = self.outcome(after.as_ref());
        let (store, begun) = (self.store.clone(), record.clone());
        let done = spawn_blocking(move || carry_out(&store, &begun)).await;
        let why = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            let request = &record.request;
            tracing::error!(id = %request.id, action = %request.action, reason = why, "could not hold or release");
            let message = format!("could not {}: {why}; nothing was changed", request.action);
            let report = self.reporter.rejection(request, ErrorCode::Unhealthy, &message);
            self.count_refusal(&report);
            return self.say(&record.request.destination(), &report).await;
        }
        let (id, issuer) = (record.request.id.clone(), record.request.issuer.as_deref());
        tracing::warn!(%id, issuer, action = %record.request.action, "{}", record.report.message);
        self.hold = after;
        self.conclude(&mut record);
        let (store, ended) = (self.store.clone(), record.clone());
        // Where it cannot be kept, the next start does the same once more, unless something came after it.
        if let Ok(Err(error)) = spawn_blocking(move || store.save(&ended)).await {
            tracing::error!(%id, %error, "the verdict could not be kept");
        }
        history::keep(self.history.clone(), &record).await;
        if let Some(metrics) = self.metrics.clone() {
            record = count(metrics, record).await;
        }
        self.jobs.insert(&record);
        self.deliver(Some(&id));
        if self.announces() {
            self.announce(self.view().host()).await;
        }
    }

    /// Takes up what a listener was at that died while it held or released: it was taken, and the newest stands. Gives the
    /// records back.
    pub(super) fn recover_hold(&mut self, mut records: Vec<Record>) -> Vec<Record> {
        let concerns = |record: &Record| !record.request.action.makes_job();
        let last = records.iter().rposition(concerns);
        let all = records.iter_mut().enumerate();
        for (at, record) in all.filter(|(_, record)| concerns(record) && !record.is_final()) {
            let (after, id) = (hold_of(record), record.request.id.clone());
            record.report.message = self.outcome(after.as_ref());
            if Some(at) == last {
                match apply(&self.store, record) {
                    Ok(()) => self.hold = after,
                    Err(error) => {
                        tracing::error!(%id, %error, "could not hold or release; the next start tries again");
                        continue;
                    }
                }
            }
            self.conclude(record);
            tracing::warn!(%id, "{}", record.report.message);
            if let Err(error) = self.store.save(record) {
                tracing::error!(%id, %error, "the verdict could not be kept");
            }
        }
        // What is still open is no job that could be taken up.
        records.retain(|record| record.is_final() || !concerns(record));
        records
    }

    /// What is answered, where it can be kept that the host is held so from now on, or no more.
    fn outcome(&self, after: Option<&Hold>) -> String {
        let host = &self.config.hostname;
        let goes_on = self.running.as_ref().map(|(id, _)| format!("; job {id} goes on")).unwrap_or_default();
        match (after, self.hold.as_ref().map(Hold::in_full)) {
            (Some(_), None) => format!("held until `homelab-deploy release {host}`{goes_on}"),
            (Some(_), Some(before)) => {
                format!("held until `homelab-deploy release {host}`{goes_on}; before that held{before}")
            }
            (None, Some(before)) => format!("released; it was held{before}"),
            (None, None) => "it was not held".to_owned(),
        }
    }

    fn conclude(&self, record: &mut Record) {
        record.report.status = Status::Completed;
        record.report.phases = Phases::default();
        self.reporter.stamp(&mut record.report);
    }
}

/// How the host is held once this is carried out.
fn hold_of(record: &Record) -> Option<Hold> {
    let request = &record.request;
    (request.action == Action::Hold).then(|| Hold {
        reason: request.reason.as_deref().unwrap_or_default().trim().to_owned(),
        issuer: request.issuer.as_deref().map(|issuer| fit_start(issuer, MAX_ISSUER).to_owned()),
        since: Some(record.accepted_at),
    })
}

/// Writes down that it was taken and does it. What was not done leaves nothing behind.
fn carry_out(store: &Store, record: &Record) -> Result<(), StoreError> {
    store.save(record)?;
    apply(store, record).inspect_err(|_| store.remove(&record.request.id))?;
    Ok(())
}

fn apply(store: &Store, record: &Record) -> Result<(), WriteError> {
    match hold_of(record) {
        Some(hold) => hold.keep(store.state_dir()),
        None => Hold::end(store.state_dir()),
    }
}
