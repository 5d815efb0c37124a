//! The builder's one loop: requests, commits that were looked up, builds, verdicts, the link.

use super::Config;
use super::build::{Built, HEARTBEAT};
use super::config::Rules;
use super::engine::Engine;
use super::inbox::Inbox;
use super::lane::Lane;
use super::metrics::Metrics;
use super::order::Order;
use super::record::Record;
use super::report;
use super::reporter::Reporter;
use super::requests::Resolved;
use super::stage::Stage;
use super::standing;
use super::store::Store;
use super::verdicts::deliver;
use crate::bus::{Bus, ConnectError, LinkError, Seed, Settings};
use crate::jobs::{StoreError, now};
use crate::log_fold::LogFold;
use crate::manager::{self, Manager};
use crate::metrics::serve;
use crate::protocol::{BuildReport, ErrorCode, Id, Name};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, interval_at, timeout};
use tokio_util::sync::CancellationToken;

/// How long a stop may wait for what runs to end, and for what was said to arrive.
const STOPPING: Duration = Duration::from_millis(2500);
const FAREWELL: Duration = Duration::from_secs(1);
/// A kind of line that anyone who may send requests can cause.
const DROPPED: &str = "messages were dropped";
/// Remotes that are asked for their branches at the same time.
const LOOKING: usize = 4;
/// How often old records are looked for.
const SWEEP: Duration = Duration::from_hours(1);

/// Why a builder could not start.
#[derive(Debug, thiserror::Error)]
pub enum BuilderError {
    /// The state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The connection's settings.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The client library.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// The state of the builder.
pub(super) struct Service {
    pub(super) rules: Arc<Rules>,
    pub(super) store: Arc<Store>,
    pub(super) reporter: Reporter,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) lanes: BTreeMap<Name, Lane>,
    /// Verdicts that are not known to have reached the server.
    owed: HashMap<Id, Record>,
    pub(super) metrics: Option<Arc<Metrics>>,
    /// Requests that named no place to answer to.
    pub(super) unanswerable: u64,
    pub(super) log_fold: LogFold,
    /// Branches that are looked up.
    pub(super) resolving: JoinSet<Resolved>,
    pub(super) looking: Arc<Semaphore>,
    /// Held while the history of a repository is looked at: one git at a time writes there.
    pub(super) histories: BTreeMap<Name, Arc<Mutex<()>>>,
    /// Builds at work, one of each repository at most.
    pub(super) builds: JoinSet<(Name, Option<Built>)>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) news: mpsc::Sender<(Name, Stage)>,
    deliveries: JoinSet<Vec<Id>>,
    /// Ends what is built when the builder goes away.
    pub(super) stop: CancellationToken,
    warnings: BTreeSet<String>,
    settings: Settings,
    bus: Bus,
}

/// Runs the builder until `shutdown`: connects as soon as there is a server, and serves through every loss of it.
pub async fn run(
    config: Config,
    engine: Arc<dyn Engine>,
    shutdown: CancellationToken,
) -> Result<(), BuilderError> {
    let (store, records, mut warnings) = Store::open(&config.state_dir)?;
    let bus = Bus::lasting(&config.settings).await?;
    let store = Arc::new(store);
    warnings.extend(config.warnings.iter().cloned());
    let metrics = config.metrics.as_ref().map(|_| {
        let (metrics, warning) = Metrics::open(store.clone(), bus.link());
        warnings.extend(warning);
        Arc::new(metrics)
    });
    let (news, stages) = mpsc::channel(64);
    let slots = Arc::new(Semaphore::new(config.rules.parallel));
    let histories = config.rules.repos.keys().map(|repo| (repo.clone(), Arc::default())).collect();
    let mut service = Service {
        histories,
        reporter: Reporter::new(bus.clone(), store.identity().starts),
        rules: Arc::new(config.rules),
        store,
        engine,
        lanes: BTreeMap::new(),
        owed: HashMap::new(),
        metrics,
        unanswerable: 0,
        log_fold: LogFold::default(),
        resolving: JoinSet::new(),
        looking: Arc::new(Semaphore::new(LOOKING)),
        builds: JoinSet::new(),
        slots,
        news,
        deliveries: JoinSet::new(),
        stop: CancellationToken::new(),
        warnings: warnings.into_iter().collect(),
        settings: config.settings,
        bus,
    };
    let mut server = JoinSet::new();
    let (problem, problems) = watch::channel(None);
    if let Some((metrics, address)) = service.metrics.clone().zip(config.metrics) {
        server.spawn(serve(metrics, address, problem, shutdown.clone()));
    }
    service.recover(records).await;
    service.serve(stages, problems, shutdown).await?;
    // Long enough for whoever is being answered.
    let _ = timeout(FAREWELL, server.join_next()).await;
    Ok(())
}

impl Service {
    /// Takes up what was not finished when the last builder went away.
    async fn recover(&mut self, records: Vec<Record>) {
        if let Some(metrics) = &self.metrics {
            let open: BTreeSet<_> = records.iter().filter(|r| !r.is_final()).map(|r| &r.id).collect();
            metrics.noted(|id| open.contains(id));
        }
        for record in records {
            if record.is_owed(now()) {
                self.owed.insert(record.id.clone(), record);
            } else if record.is_final() {
            } else if record.is_past(now()) {
                let why = "the builder was away for more than a day; ask again";
                let report = report::failed(&record, ErrorCode::Interrupted, why);
                self.conclude(record, report).await;
            } else if !self.rules.repos.contains_key(&record.repo) {
                let why = format!("this builder has no repository \"{}\" any more", record.repo);
                let report = report::failed(&record, ErrorCode::UnknownRepo, why);
                self.conclude(record, report).await;
            } else {
                tracing::info!(id = %record.id, repo = %record.repo, target = record.target, "taking up a build");
                let mut order = Order::new(record);
                self.reporter.change(&mut order.record, "taken up again after a restart");
                self.line_up(order);
            }
        }
    }

    async fn serve(
        &mut self,
        mut stages: mpsc::Receiver<(Name, Stage)>,
        mut problems: watch::Receiver<Option<String>>,
        shutdown: CancellationToken,
    ) -> Result<(), BuilderError> {
        // First, so that no refusal of what follows is missed.
        let mut refusals = self.bus.refusals();
        let mut inbox = Inbox::open(&self.bus, &self.rules).await?;
        let mut link = self.bus.link();
        let (mut connects, mut ended, mut reason) = (0, 0, None);
        let mut told_problem: Option<String> = None;
        let mut lost = (0, 0);
        let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let mut sweep = tokio::time::interval(SWEEP);
        let mut manager = Manager::ready();
        loop {
            self.tell_manager(&mut manager);
            tokio::select! {
                () = shutdown.cancelled() => break,
                incoming = inbox.next() => match incoming {
                    (Ok(asked), _) => self.on_request(asked).await,
                    (Err(bad), reply) => self.on_bad_request(&bad, reply.as_deref()).await,
                },
                Some(resolved) = self.resolving.join_next() => if let Ok(resolved) = resolved {
                    self.on_resolved(resolved).await;
                },
                Some((repo, stage)) = stages.recv() => self.on_stage(&repo, stage, None).await,
                Some(built) = self.builds.join_next() => if let Ok((repo, built)) = built {
                    self.on_built(&repo, built).await;
                },
                Some(delivered) = self.deliveries.join_next() => {
                    delivered.unwrap_or_default().iter().for_each(|id| drop(self.owed.remove(id)));
                }
                Ok(refusal) = refusals.recv() => drop(self.warnings.insert(refusal.to_string())),
                Ok(()) = link.changed() => {
                    let now = link.borrow_and_update().clone();
                    if now.up && now.connects != connects {
                        connects = now.connects;
                        // One that replaces an ended connection is logged with the end of that, once a minute.
                        if now.ended == ended {
                            tracing::info!(server = self.settings.shown(), "connected");
                        }
                        ended = now.ended;
                        self.deliver(None);
                        self.tell_open().await;
                    } else if !now.up && !now.is_replaced() && now.reason != reason {
                        let shown = now.reason.as_deref().unwrap_or("connecting");
                        tracing::warn!(attempt = now.attempts, reason = shown, "not connected");
                    }
                    if lost != (now.dropped, now.too_large) && self.log_fold.allows(DROPPED, 1) {
                        tracing::warn!(dropped = now.dropped, too_large = now.too_large, "{DROPPED}");
                    }
                    lost = (now.dropped, now.too_large);
                    reason = now.reason;
                }
                () = self.log_fold.due() => self.log_fold.log_due(),
                Ok(()) = problems.changed() => {
                    self.warnings.retain(|warning| Some(warning) != told_problem.as_ref());
                    told_problem.clone_from(&problems.borrow_and_update());
                    self.warnings.extend(told_problem.clone());
                }
                _ = beat.tick() => self.tell_waiting().await,
                _ = sweep.tick() => {
                    let store = self.store.clone();
                    spawn_blocking(move || store.sweep(now()));
                }
            }
        }
        drop(inbox);
        manager::stopping();
        self.log_fold.log_all();
        self.farewell().await;
        Ok(())
    }

    /// Tells the service manager how the builder stands.
    fn tell_manager(&self, manager: &mut Manager) {
        let key = self.settings.seed.as_ref().map(Seed::public_key);
        let link = self.bus.link().borrow().told(&self.settings.shown(), key);
        let parts = [link, standing::sentence(&self.lanes)];
        let parts: Vec<_> = parts.into_iter().chain(self.warnings.iter().cloned()).collect();
        manager.stands(&parts.join("; "));
    }

    /// Every order that has not ended, told as it stands.
    async fn tell_open(&mut self) {
        let repos: Vec<_> = self.lanes.keys().cloned().collect();
        for repo in repos {
            if let Some(stage) =
                self.lanes.get(&repo).and_then(|lane| Some(lane.running.as_ref()?.stage.clone()))
            {
                self.on_stage(&repo, stage, None).await;
            }
        }
        self.tell_waiting().await;
    }

    /// Tells those who wait that somebody is there.
    async fn tell_waiting(&mut self) {
        for order in self.lanes.values_mut().flat_map(Lane::waiting_mut) {
            self.reporter.stamp(&mut order.record.report);
            let _ = self.reporter.send(&order.record.reply_to, &order.record.report).await;
        }
    }

    /// Ends an order: its verdict is kept, and told.
    pub(super) async fn conclude(&mut self, mut record: Record, mut report: BuildReport) {
        self.reporter.stamp(&mut report);
        let (status, error) = (report.status.as_str(), report.error.as_ref().map(ToString::to_string));
        tracing::info!(id = %record.id, repo = %record.repo, target = record.target, status, error,
            reason = report.message, "a build has ended");
        record.report = report;
        record.ended_at = Some(now());
        let (store, kept) = (self.store.clone(), record.clone());
        // Where it cannot be kept, the next start builds once more and comes to the same.
        if let Ok(Err(error)) = spawn_blocking(move || store.save(&kept)).await {
            tracing::error!(id = %record.id, %error, "the verdict could not be kept");
        }
        let id = record.id.clone();
        self.owed.insert(id.clone(), record);
        self.deliver(Some(&id));
    }

    /// Tells the verdicts that are not known to have arrived: of all orders, or of the one with this id.
    fn deliver(&mut self, id: Option<&Id>) {
        let now = now();
        self.owed.retain(|_, record| record.is_owed(now));
        let wanted = self.owed.iter().filter(|(owed, _)| id.is_none_or(|id| id == *owed));
        let owed: Vec<_> = wanted.map(|(_, record)| record.clone()).collect();
        if !owed.is_empty() {
            self.deliveries.spawn(deliver(owed, self.store.clone(), self.reporter.clone()));
        }
    }

    /// Stops what is built: nix keeps what is done, and the next start goes on.
    async fn farewell(&mut self) {
        self.stop.cancel();
        let orders: Vec<_> = self.lanes.values().flat_map(Lane::orders).cloned().collect();
        for mut order in orders {
            self.reporter
                .change(&mut order.record, "the builder stops; it goes on once it has started again");
            let _ = self.reporter.send(&order.record.reply_to, order.report()).await;
        }
        let ended = async { while self.builds.join_next().await.is_some() {} };
        // What heeds nothing is ended by force when this process ends.
        let _ = timeout(STOPPING, ended).await;
        let said = async {
            while self.deliveries.join_next().await.is_some() {}
            self.reporter.arrived().await;
        };
        // What has not arrived by then is told at the next start.
        let _ = timeout(FAREWELL, said).await;
        tracing::info!("stopped");
    }
}
