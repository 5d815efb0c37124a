//! The builder's event loop: requests, resolved commits, builds, results and the connection.

use super::BuilderConfig;
use super::build::{FinishedBuild, HEARTBEAT};
use super::config::BuildRules;
use super::engine::BuildEngine;
use super::metrics::BuilderMetrics;
use super::queue::{BuildJob, RepoQueue, status_line};
use super::record::{BuildRecord, failed_report};
use super::reporter::BuildReporter;
use super::requests::ResolvedCommit;
use super::state::BuildState;
use super::store::BuildStore;
use super::subscriptions::subscribe;
use crate::clock::now;
use crate::metrics::{Address, ServiceMetrics};
use crate::ordered::CollectOrdered;
use crate::protocol::{BuildReport, ErrorCode, Id, Name};
use crate::service::{ServiceError, ServiceEvent, ServiceRuntime, deliver};
use futures_util::StreamExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, interval_at, timeout};
use tokio_util::sync::CancellationToken;

/// Maximum time to wait at shutdown: for running builds, and for sent messages to be acknowledged.
const STOP_TIMEOUT: Duration = Duration::from_millis(2500);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of remotes that are queried at the same time.
const MAX_LOOKUPS: usize = 4;
/// Interval of the removal of old records.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// State of the builder.
pub(super) struct BuilderService {
    pub(super) runtime: ServiceRuntime,
    pub(super) rules: Arc<BuildRules>,
    pub(super) store: Arc<BuildStore>,
    pub(super) reporter: BuildReporter,
    pub(super) engine: Arc<dyn BuildEngine>,
    pub(super) queues: BTreeMap<Name, RepoQueue>,
    /// Results that the server has not acknowledged.
    undelivered: HashMap<Id, BuildRecord>,
    /// Final records that could not be saved yet, for example because the build has filled the disk.
    pub(super) unsaved: HashMap<Id, BuildRecord>,
    pub(super) metrics: Option<Arc<BuilderMetrics>>,
    /// Running branch lookups.
    pub(super) resolving: JoinSet<ResolvedCommit>,
    pub(super) lookup_slots: Arc<Semaphore>,
    /// One lock per repository, held while its history is read: only one git process may write there.
    pub(super) histories: BTreeMap<Name, Arc<Mutex<()>>>,
    /// Running builds, at most one per repository.
    pub(super) builds: JoinSet<(Name, Option<FinishedBuild>)>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) state_sender: mpsc::Sender<(Name, BuildState)>,
    /// Stops all builds when the builder shuts down.
    pub(super) stop: CancellationToken,
}

/// Runs the builder until `shutdown`. Connects as soon as a server is available and reconnects after every loss.
pub async fn run(
    config: BuilderConfig,
    engine: Arc<dyn BuildEngine>,
    shutdown: CancellationToken,
) -> Result<(), ServiceError> {
    let (store, records) = BuildStore::open(&config.state_dir)?;
    let mut runtime = ServiceRuntime::connect(
        &config.settings,
        &config.rules.trusted_keys,
        &config.warnings,
        &store.dir,
        shutdown,
    )
    .await?;
    let store = Arc::new(store);
    let metrics = match &config.metrics {
        Some(_) => Some(BuilderMetrics::open(&store, &mut runtime)?),
        None => None,
    };
    let (state_sender, states) = mpsc::channel(64);
    let slots = Arc::new(Semaphore::new(config.rules.parallel));
    let histories = config.rules.repos.keys().map(|repo| (repo.clone(), Arc::default())).collect_map();
    let mut service = BuilderService {
        histories,
        reporter: BuildReporter::new(runtime.nats.clone(), store.dir.identity()),
        runtime,
        rules: Arc::new(config.rules),
        store,
        engine,
        queues: BTreeMap::new(),
        undelivered: HashMap::new(),
        unsaved: HashMap::new(),
        metrics,
        resolving: JoinSet::new(),
        lookup_slots: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        builds: JoinSet::new(),
        slots,
        state_sender,
        stop: CancellationToken::new(),
    };
    service.recover(records).await;
    let endpoint = service.metrics.as_ref().map(|metrics| metrics.service.clone());
    service.serve(states, endpoint.zip(config.metrics)).await
}

impl BuilderService {
    /// Resumes the jobs that were unfinished when the last builder stopped.
    async fn recover(&mut self, records: Vec<BuildRecord>) {
        if let Some(metrics) = &self.metrics {
            let open: BTreeSet<_> = records.iter().filter(|r| !r.is_final()).map(|r| &r.id).collect_set();
            metrics.noted(|id| open.contains(id));
        }
        for record in records {
            if record.is_undelivered(now()) {
                self.undelivered.insert(record.id.clone(), record);
            } else if record.is_final() {
            } else if record.is_expired(now()) {
                let why = "the builder was offline for more than a day; send the request again";
                let report = failed_report(&record, ErrorCode::Interrupted, why);
                self.finish(record, report).await;
            } else if !self.rules.repos.contains_key(&record.repo) {
                let why = format!("this builder no longer has a repository \"{}\"", record.repo);
                let report = failed_report(&record, ErrorCode::UnknownRepo, why);
                self.finish(record, report).await;
            } else {
                record.span().in_scope(|| tracing::info!("resuming build"));
                let mut job = BuildJob::new(record);
                self.reporter.set_progress(&mut job.record, "resumed after a restart");
                self.enqueue(job);
            }
        }
    }

    async fn serve(
        mut self,
        mut states: mpsc::Receiver<(Name, BuildState)>,
        metrics: Option<(Arc<ServiceMetrics>, Address)>,
    ) -> Result<(), ServiceError> {
        let mut messages = subscribe(&self.runtime.nats, &self.rules).await?;
        let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        self.runtime.ready(metrics);
        loop {
            self.runtime.update_status([status_line(&self.queues)]);
            tokio::select! {
                event = self.runtime.next_event() => match event {
                    ServiceEvent::Stop => break,
                    ServiceEvent::Connected => {
                        self.deliver(None);
                        self.report_open().await;
                    }
                    ServiceEvent::Delivered(ids) => self.on_delivered(&ids),
                    ServiceEvent::Warnings | ServiceEvent::Status => {}
                },
                message = messages.select_next_some() => match message {
                    (Ok(received), _) => self.on_request(received).await,
                    (Err(bad), reply) => self.on_bad_request(&bad, reply.as_deref()).await,
                },
                Some(resolved) = self.resolving.join_next() => if let Ok(resolved) = resolved {
                    self.on_resolved(resolved).await;
                },
                Some((repo, state)) = states.recv() => self.on_state(&repo, state, None).await,
                Some(built) = self.builds.join_next() => if let Ok((repo, built)) = built {
                    self.on_finished(&repo, built).await;
                },
                _ = beat.tick() => {
                    self.report_waiting().await;
                    self.save_unsaved().await;
                }
                _ = sweep.tick() => {
                    let store = self.store.clone();
                    spawn_blocking(move || store.sweep(now()));
                }
            }
        }
        drop(messages);
        self.shut_down().await;
        Ok(())
    }

    /// Reports the state of every unfinished job.
    async fn report_open(&mut self) {
        let repos: Vec<_> = self.queues.keys().cloned().collect();
        for repo in repos {
            if let Some(state) =
                self.queues.get(&repo).and_then(|queue| Some(queue.running.as_ref()?.state.clone()))
            {
                self.on_state(&repo, state, None).await;
            }
        }
        self.report_waiting().await;
    }

    /// Sends a heartbeat for every waiting job.
    async fn report_waiting(&mut self) {
        for job in self.queues.values_mut().flat_map(RepoQueue::waiting_mut) {
            self.reporter.stamp(&mut job.record.report);
            let _ = self.reporter.send(&job.record.reply_to, &job.record.report).await;
        }
    }

    /// Finishes a job: saves its result and delivers it.
    pub(super) async fn finish(&mut self, mut record: BuildRecord, mut report: BuildReport) {
        self.reporter.stamp(&mut report);
        let (status, error) = (report.status.as_str(), report.error.as_ref().map(ToString::to_string));
        let span = record.span();
        span.in_scope(|| tracing::info!(status, error, reason = report.message, "build finished"));
        record.report = report;
        record.ended_at = Some(now());
        let id = record.id.clone();
        // If the builder stops before the result is saved, the next start builds the job again and gets the same result.
        if let Err(error) = self.save(&record).await {
            span.in_scope(|| tracing::error!(error, "failed to save result"));
            self.unsaved.insert(id.clone(), record.clone());
        }
        self.undelivered.insert(id.clone(), record);
        self.deliver(Some(&id));
    }

    fn on_delivered(&mut self, ids: &[Id]) {
        for id in ids {
            self.undelivered.remove(id);
            if let Some(record) = self.unsaved.get_mut(id) {
                record.delivered = true;
            }
        }
    }

    /// Tries again to save results.
    async fn save_unsaved(&mut self) {
        for (id, record) in std::mem::take(&mut self.unsaved) {
            if self.save(&record).await.is_err() {
                self.unsaved.insert(id, record);
            }
        }
    }

    /// Delivers the undelivered results: all of them, or only the one with this id.
    fn deliver(&mut self, id: Option<&Id>) {
        let now = now();
        self.undelivered.retain(|_, record| record.is_undelivered(now));
        let selected =
            self.undelivered.iter().filter(|(undelivered, _)| id.is_none_or(|id| id == *undelivered));
        let records: HashMap<_, _> = selected.map(|(id, record)| (id.clone(), record.clone())).collect();
        if !records.is_empty() {
            let reports = records.values().map(|record| self.reporter.final_report(record)).collect();
            let store = self.store.clone();
            let mark = move |id: &Id| match records.get(id) {
                Some(record) => store.save(&BuildRecord { delivered: true, ..record.clone() }),
                None => Ok(()),
            };
            self.runtime.deliveries.spawn(deliver(self.runtime.nats.clone(), reports, mark));
        }
    }

    /// Stops all builds. Nix keeps what is finished, and the next start resumes the jobs.
    async fn shut_down(&mut self) {
        self.runtime.notify_stop();
        self.stop.cancel();
        let jobs: Vec<_> = self.queues.values().flat_map(RepoQueue::jobs).cloned().collect();
        for mut job in jobs {
            self.reporter.set_progress(
                &mut job.record,
                "the builder is stopping; the build resumes after its restart",
            );
            let _ = self.reporter.send(&job.record.reply_to, job.report()).await;
        }
        let ended = async { while self.builds.join_next().await.is_some() {} };
        // Processes that ignore the stop are killed when this process exits.
        let _ = timeout(STOP_TIMEOUT, ended).await;
        self.runtime.finish(FLUSH_TIMEOUT).await;
        tracing::info!("stopped");
    }
}
