//! The main loop of the listener: requests, queries, the running job, presence and the connection.

use super::job::JobHandle;
use super::metrics::ListenerMetrics;
use super::removal::RemovalWatch;
use super::reply::HostSnapshot;
use super::reporter::ListenerReporter;
use super::subscriptions::{ListenerMessage, subscribe};
use super::{ListenerConfig, history, peers};
use crate::activation::Engine;
use crate::clock::now;
use crate::jobs::{
    CurrentHost, DeployedBranches, History, Hold, JobCache, JobRecord, JobStore, Recovery, report_span,
};
use crate::keys::ReplayGuard;
use crate::protocol::{DeployReport, Id, Presence, Query, QueryKind, Status, WireError};
use crate::service::{ServiceError, ServiceEvent, ServiceRuntime, deliver};
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a stop waits for pending messages to be delivered, and then for the metrics server.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Kinds of log lines that any client with access to this host can cause.
const UNREADABLE: &str = "failed to parse a query";
/// Maximum number of such lines in ten seconds: more than manual tests cause.
const MAX_UNREADABLE_LINES: u32 = 10;

/// The state of a listener.
pub(super) struct ListenerService {
    pub(super) runtime: ServiceRuntime,
    pub(super) config: Arc<ListenerConfig>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) store: Arc<JobStore>,
    pub(super) history: Arc<History>,
    pub(super) reporter: ListenerReporter,
    pub(super) running: Option<(Id, JobHandle)>,
    pub(super) metrics: Option<Arc<ListenerMetrics>>,
    /// The running job: at most one.
    pub(super) work: JoinSet<JobRecord>,
    pub(super) hold: Option<Hold>,
    /// Replay protection, if keys are trusted.
    pub(super) replay_guard: Option<ReplayGuard>,
    pub(super) jobs: JobCache,
    /// The failed units at the last query, if the engine supports that.
    units: Option<BTreeSet<String>>,
    /// The query for failed units, one at a time.
    unit_query: JoinSet<Option<BTreeSet<String>>>,
    /// Final records that could not be saved yet: after a reboot of the host their jobs would end a second time.
    unsaved: Vec<JobRecord>,
    /// The task that announces this host over a new connection, one at a time.
    announcement: JoinSet<()>,
    /// The task that persists counts of refused requests.
    pub(super) refusal_write: JoinSet<()>,
}

/// Waits for the next report of the running job; forever if none runs.
async fn report_changed(running: &mut Option<(Id, JobHandle)>) {
    if let Some((_, handle)) = running
        && handle.report.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// The running job in the status line.
fn describe_job(job: &DeployReport) -> String {
    let action = job.action.as_ref().map_or_else(|| "a job".to_owned(), ToString::to_string);
    let revision = job.revision.as_ref().map(|revision| format!(" {revision}")).unwrap_or_default();
    let issuer = job.issuer.as_ref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
    let phase = job.phases.running().map(|phase| format!(", {}", phase.name)).unwrap_or_default();
    format!("{action}{revision}{issuer}{phase}")
}

/// Runs a listener until `shutdown`. Connects once a server is available, and reconnects after each loss.
pub async fn run(
    config: ListenerConfig,
    engine: Arc<dyn Engine>,
    shutdown: CancellationToken,
) -> Result<(), ServiceError> {
    let (store, records) = JobStore::open(&config.state_dir)?;
    let mut runtime = ServiceRuntime::connect(
        &config.settings,
        &config.trusted_keys,
        &config.warnings,
        &store.dir,
        shutdown,
    )
    .await?;
    let reporter = ListenerReporter::new(runtime.nats.clone(), &config, store.dir.identity());
    let store = Arc::new(store);
    let metrics = match &config.metrics {
        Some(_) => Some(ListenerMetrics::open(&config, engine.clone(), store.clone(), &mut runtime)?),
        None => None,
    };
    let replay_guard = (!config.trusted_keys.is_empty()).then(|| ReplayGuard::open(store.dir.path(), now()));
    if let Some(error) = replay_guard.as_ref().and_then(|(_, error)| error.as_ref()) {
        let warning = format!("signed requests from before this start could be replayed: {error}");
        tracing::warn!("{warning}");
        runtime.warnings.insert(warning);
    }
    let mut service = ListenerService {
        runtime,
        replay_guard: replay_guard.map(|(replay_guard, _)| replay_guard),
        engine,
        hold: Hold::read(store.dir.path()),
        history: Arc::new(History::new(store.dir.path())),
        jobs: JobCache::new(store.clone(), config.hostname.clone()),
        store,
        reporter,
        running: None,
        metrics,
        work: JoinSet::new(),
        units: None,
        unit_query: JoinSet::new(),
        announcement: JoinSet::new(),
        unsaved: Vec::new(),
        refusal_write: JoinSet::new(),
        config: Arc::new(config),
    };
    service.recover(records);
    Box::pin(service.serve()).await
}

impl ListenerService {
    /// Resumes or ends the jobs that a previous listener left unfinished, and caches the others.
    fn recover(&mut self, records: Vec<JobRecord>) {
        let mut ended = Vec::new();
        let records = self.recover_hold(records);
        let (boot_id, facts) = (self.engine.boot_id(), self.engine.facts());
        let system = facts.system.as_deref();
        let (boot_id, generation) = (boot_id.as_deref(), facts.generation);
        let can_resume = self.engine.can_resume();
        let decide = |record: &JobRecord| {
            Recovery::of(record, CurrentHost { now: now(), boot_id, system, generation, can_resume })
        };
        // A job that may have changed the host takes precedence over all other unfinished jobs.
        let is_owned = |recovery: &Recovery| matches!(recovery, Recovery::Follow | Recovery::Resume);
        let is_any_owned = records.iter().any(|record| !record.is_final() && is_owned(&decide(record)));
        for mut record in records {
            if !record.is_final() {
                let _entered = report_span(&record.report).entered();
                let recovery = decide(&record);
                // At most one job has an owner, because it was accepted while no other job ran.
                if self.running.is_none() && is_owned(&recovery) {
                    if recovery == Recovery::Follow {
                        tracing::info!("resuming a job that was handed over");
                    } else {
                        tracing::info!("resuming a job that had started to change the host");
                        record.restarts += 1;
                    }
                    self.attach(record, &recovery);
                    continue;
                }
                if self.running.is_none()
                    && !is_any_owned
                    && recovery == Recovery::Restart
                    && self.engine.can_repeat()
                {
                    tracing::info!("restarting interrupted job: nothing was changed");
                    record.restarts += 1;
                    self.attach(record, &recovery);
                    continue;
                }
                recovery.finish(&mut record, system);
                self.reporter.stamp(&mut record.report);
                let reason = &record.report.message;
                tracing::warn!(status = %record.report.status, reason, "ended an interrupted job");
                // If the save fails, the next start makes the same decision.
                if let Err(error) = self.store.save(&record) {
                    tracing::error!(%error, "failed to save the result of a job");
                }
            }
            self.jobs.insert(&record);
            ended.push(record);
        }
        if let Err(error) = DeployedBranches::catch_up(self.store.dir.path(), &ended) {
            tracing::error!(%error, "failed to record the deployed commits");
        }
        history::catch_up(&self.history, &ended);
        if let Some(metrics) = &self.metrics {
            metrics.catch_up(&mut ended);
        }
        self.jobs.prune(now());
    }

    async fn serve(mut self) -> Result<(), ServiceError> {
        let mut messages = subscribe(&self.runtime.nats, &self.config).await?;
        let mut announce_at = Instant::now();
        self.query_failed_units();
        let endpoint = self.metrics.as_ref().map(|metrics| metrics.service.clone());
        self.runtime.ready(endpoint.zip(self.config.metrics.clone()));
        let mut removal = RemovalWatch::new(self.config.presence);
        loop {
            self.runtime.update_status(self.status());
            tokio::select! {
                event = self.runtime.next_event() => match event {
                    ServiceEvent::Stop => break,
                    ServiceEvent::Connected => {
                        self.deliver(None);
                        announce_at = Instant::now();
                    }
                    ServiceEvent::Warnings => announce_at = Instant::now(),
                    ServiceEvent::Delivered(ids) => {
                        for id in &ids {
                            self.jobs.mark_delivered(id);
                        }
                        removal.check_soon();
                    }
                    ServiceEvent::Status => {}
                },
                message = messages.select_next_some() => match message {
                    ListenerMessage::Request(received) => self.on_received_request(*received).await,
                    ListenerMessage::Query(query) => self.on_query(*query).await,
                },
                Some(ended) = self.work.join_next() => {
                    self.on_job_end(ended.ok());
                    self.query_failed_units();
                    announce_at = Instant::now();
                }
                Some(units) = self.unit_query.join_next() => {
                    if self.on_failed_units(units.ok().flatten()) {
                        announce_at = Instant::now();
                    }
                }
                () = removal.removed(), if self.is_idle() => {
                    tracing::info!(unit = removal.unit, "this listener was removed from the host: stopping");
                    break;
                }
                () = report_changed(&mut self.running) => {}
                Some(_) = self.announcement.join_next() => {}
                Some(_) = self.refusal_write.join_next() => self.persist_refusals(),
                // Only after the new connection was handled above, so that each one is announced once.
                () = sleep_until(announce_at), if self.announces() => {
                    self.unsaved.retain(|record| self.store.save(record).is_err());
                    self.announce(self.snapshot().host()).await;
                    self.query_failed_units();
                    // Jitter, so that hosts that started together do not send at the same time forever.
                    announce_at = Instant::now() + self.config.presence.mul_f64(0.9 + fastrand::f64() / 5.0);
                }
            }
        }
        drop(messages);
        self.stop().await;
        Ok(())
    }

    /// Announces that this listener stops, and delivers what is pending. A running activation continues.
    async fn stop(&mut self) {
        self.runtime.notify_stop();
        let restarting = self.running.as_ref().map(|_| true);
        if !self.config.presence.is_zero() {
            self.announce(Presence { online: Some(false), restarting, ..self.snapshot().host() }).await;
        }
        self.runtime.finish(STOP_TIMEOUT).await;
        if let Some(metrics) = self.metrics.as_ref().filter(|metrics| metrics.jobs.has_refused()) {
            metrics.jobs.persist();
        }
        tracing::info!(restarting = restarting.unwrap_or(false), "stopped");
    }

    /// The parts of the status line about the running job and the hold.
    fn status(&self) -> Vec<String> {
        let job = self.running.as_ref().map(|(_, handle)| describe_job(&handle.report.borrow()));
        let hold = self.hold.as_ref().map(|hold| format!("held: {hold}"));
        [job.unwrap_or_else(|| "idle".to_owned())].into_iter().chain(hold).collect()
    }

    /// Queries the failed units in a separate task.
    fn query_failed_units(&mut self) {
        if self.unit_query.is_empty() {
            self.unit_query.spawn(self.engine.failed_units());
        }
    }

    pub(super) fn announces(&self) -> bool {
        !self.config.presence.is_zero() && self.runtime.is_connected()
    }

    pub(super) async fn announce(&self, presence: Presence) {
        // If the connection is down, the next connection announces the host again.
        let _ = ListenerReporter::announce(&self.runtime.nats, &presence).await;
    }

    async fn on_query(&mut self, query: Result<Query, WireError>) {
        let query = match query {
            Ok(query) => query,
            Err(error) => {
                if self.runtime.log_throttle.allows(UNREADABLE, MAX_UNREADABLE_LINES) {
                    tracing::warn!(%error, "{UNREADABLE}");
                }
                return;
            }
        };
        if !query.matches(&self.config.hostname, &self.config.tier, self.config.role.as_ref()) {
            return;
        }
        tracing::debug!(query = %query.kind(), reply_to = %query.reply_to, "received a query");
        match query.kind() {
            QueryKind::Log => self.reply_with_log(query),
            QueryKind::History => self.reply_with_history(query),
            QueryKind::Presence => self.announce_over_new_connection(&query),
            _ => self.reporter.send_reply(&query.destination(), &self.snapshot().reply(&query)).await,
        }
    }

    /// Announces this host over a new connection, for a host that only another client can confirm.
    fn announce_over_new_connection(&mut self, query: &Query) {
        if self.announcement.is_empty() {
            let confirm = query.confirm.as_deref().map(Into::into);
            let presence = Presence { confirm, ..self.snapshot().host() };
            let config = self.config.clone();
            self.announcement.spawn(async move { peers::announce(&config, presence).await });
        }
    }

    fn on_job_end(&mut self, record: Option<JobRecord>) {
        let ended = self.running.take();
        let _entered = ended.map(|(_, handle)| handle.span.entered());
        if let Some(metrics) = &self.metrics {
            metrics.set_in_progress(false);
        }
        let Some(record) = record else {
            // The job's task panicked. Its record stays unfinished and becomes `interrupted` at the next start.
            tracing::error!("the task of a job panicked");
            return;
        };
        let report = &record.report;
        let (status, error) = (report.status.as_str(), report.error.as_ref().map(ToString::to_string));
        let message = if report.status == Status::Completed { "job completed" } else { "job failed" };
        tracing::info!(status, error, reason = report.message, "{message}");
        self.jobs.insert(&record);
        self.jobs.prune(now());
        self.deliver(Some(&record.request.id));
        let is_saved = || self.store.job(&record.request.id).record().is_ok_and(|saved| saved.is_final());
        if record.is_final() && record.handover.is_some() && !is_saved() {
            self.unsaved.push(record);
        }
    }

    /// Sends undelivered results: of all jobs, or of the one with this id.
    pub(super) fn deliver(&mut self, id: Option<&Id>) {
        let undelivered = self.jobs.undelivered(id, now());
        if !undelivered.is_empty() {
            let reports =
                undelivered.into_iter().map(|(id, job)| self.reporter.final_report(id, &job)).collect();
            let (nats, store) = (self.runtime.nats.clone(), self.store.clone());
            let mark = move |id: &Id| store.mark_delivered(id, now());
            self.runtime.deliveries.spawn(deliver(nats, reports, mark));
        }
    }

    /// Stores the failed units. Returns whether they have changed.
    fn on_failed_units(&mut self, units: Option<BTreeSet<String>>) -> bool {
        // An empty first result is not a change.
        let is_new = units.as_ref().is_some_and(|units| *units != self.units.clone().unwrap_or_default());
        self.units = units.or(self.units.take());
        is_new
    }

    /// Whether no job runs and every final report is delivered.
    fn is_idle(&self) -> bool {
        self.running.is_none()
            && self.work.is_empty()
            && self.runtime.deliveries.is_empty()
            && self.jobs.undelivered(None, now()).is_empty()
    }

    /// The last report of a job, running or ended.
    pub(super) fn report_of(&self, id: &Id) -> Option<Arc<DeployReport>> {
        match &self.running {
            Some((running, handle)) if running == id => Some(handle.report.borrow().clone()),
            _ => self.jobs.report(id),
        }
    }

    pub(super) fn snapshot(&self) -> HostSnapshot<'_> {
        HostSnapshot {
            config: &self.config,
            store: &self.store,
            engine: &*self.engine,
            jobs: &self.jobs,
            running: self.running.as_ref().map(|(_, handle)| handle.report.borrow().clone()),
            hold: self.hold.as_ref(),
            warnings: &self.runtime.warnings,
            units: self.units.as_ref(),
            seq: self.reporter.next_seq(),
        }
    }
}
