//! The listener's one loop: requests, questions, the running job, announcements, the link.

use super::Config;
use super::answer::View;
use super::delivery::deliver;
use super::history;
use super::inbox::{Inbox, Incoming};
use super::job::Handle;
use super::key_expiry::KeyExpiry;
use super::manager::Standing;
use super::metrics::Metrics;
use super::peers;
use super::removal::Removal;
use super::reporter::Reporter;
use crate::activation::Engine;
use crate::bus::{Bus, ConnectError, Link, LinkError, Seed};
use crate::jobs::{
    AtHand, DeployedCommits, History, Hold, HostNow, Record, Resume, Seen, Store, StoreError, now,
};
use crate::log_fold::LogFold;
use crate::manager::{self, Manager};
use crate::metrics::serve;
use crate::protocol::{Ask, DeployReport, HostAnswer, Id, Status, Want, WireError, is_base_response};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How long a stop may wait for what was said to arrive.
const FAREWELL: Duration = Duration::from_secs(2);
/// Kinds of lines that anyone who may send to this host can cause.
const UNREADABLE: &str = "a question could not be read";
/// How many questions that could not be read are logged one by one in ten seconds: a person who tries something sends fewer.
const MOST_UNREADABLE: u32 = 10;
const DROPPED: &str = "messages were dropped";

/// Why a listener could not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
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

/// The state of a listener.
pub(super) struct Service {
    pub(super) config: Arc<Config>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) store: Arc<Store>,
    pub(super) history: Arc<History>,
    pub(super) reporter: Reporter,
    pub(super) running: Option<(Id, Handle)>,
    pub(super) metrics: Option<Arc<Metrics>>,
    /// Jobs at work: at most one.
    pub(super) work: JoinSet<Record>,
    /// Requests that named no place to answer to.
    pub(super) unanswerable: u64,
    pub(super) log_fold: LogFold,
    pub(super) hold: Option<Hold>,
    /// The signed requests that have come, where keys are trusted.
    pub(super) seen: Option<Seen>,
    bus: Bus,
    pub(super) jobs: AtHand,
    /// Verdicts on their way, answers to a cancel, and what is looked up in files.
    pub(super) deliveries: JoinSet<Vec<Id>>,
    warnings: BTreeSet<String>,
    /// Those that are about the server of this connection.
    server_warnings: Vec<String>,
    /// How often a malformed message had ended the connection when the present one was made.
    ended: u64,
    /// The units that had failed when that was last asked, where it can be.
    units: Option<BTreeSet<String>>,
    /// The service manager being asked for them, one question at a time.
    asking: JoinSet<Option<BTreeSet<String>>>,
    /// Results that the state directory did not take yet: a restart of the host would end their jobs once more.
    unsaved: Vec<Record>,
    /// Announcing this host over a fresh connection, one at a time.
    announcing: JoinSet<()>,
    /// Counts of refusals on their way to the disk, all at once.
    pub(super) keeping: JoinSet<()>,
}

/// Waits for the next report of the running job; for ever where none runs.
async fn phase_changed(running: &mut Option<(Id, Handle)>) {
    if let Some((_, handle)) = running
        && handle.report.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Runs a listener until `shutdown`: connects as soon as there is a server, and serves through every loss of it.
pub async fn run(
    config: Config,
    engine: Arc<dyn Engine>,
    shutdown: CancellationToken,
) -> Result<(), ListenerError> {
    let (store, records) = Store::open(&config.state_dir)?;
    // On the heap, where it is freed once it is done.
    let bus = Box::pin(Bus::lasting(&config.settings)).await?;
    let reporter = Reporter::new(bus.clone(), &config, store.identity());
    let mut warnings: BTreeSet<_> = config.warnings.iter().chain(store.warnings()).cloned().collect();
    let store = Arc::new(store);
    let metrics = config.metrics.as_ref().map(|_| {
        let (metrics, warning) = Metrics::open(&config, engine.clone(), store.clone(), bus.link());
        warnings.extend(warning);
        Arc::new(metrics)
    });
    let seen = (!config.trusted_keys.is_empty()).then(|| Seen::open(store.state_dir(), now()));
    if let Some(error) = seen.as_ref().and_then(|(_, error)| error.as_ref()) {
        let warning = format!("signed requests from before this start could be used once more: {error}");
        tracing::warn!("{warning}");
        warnings.insert(warning);
    }
    let mut service = Service {
        seen: seen.map(|(seen, _)| seen),
        engine,
        hold: Hold::read(store.state_dir()),
        history: Arc::new(History::new(store.state_dir())),
        jobs: AtHand::new(store.clone(), config.hostname.clone()),
        store,
        reporter,
        running: None,
        metrics,
        work: JoinSet::new(),
        unanswerable: 0,
        log_fold: LogFold::default(),
        deliveries: JoinSet::new(),
        warnings,
        server_warnings: Vec::new(),
        ended: 0,
        units: None,
        asking: JoinSet::new(),
        announcing: JoinSet::new(),
        unsaved: Vec::new(),
        keeping: JoinSet::new(),
        bus,
        config: Arc::new(config),
    };
    service.recover(records);
    Box::pin(service.serve(shutdown)).await
}

impl Service {
    /// Takes up or ends what was running when the last listener went away, and remembers the rest.
    fn recover(&mut self, records: Vec<Record>) {
        let mut ended = Vec::new();
        let records = self.recover_hold(records);
        let (boot_id, facts) = (self.engine.boot_id(), self.engine.facts());
        let system = facts.system.as_deref();
        let (boot_id, generation) = (boot_id.as_deref(), facts.generation);
        let resume = |record: &Record| record.resume(HostNow { now: now(), boot_id, system, generation });
        // Whatever else is open: one that somebody may be at work on comes first.
        let owned = records.iter().any(|record| !record.is_final() && resume(record) == Resume::Follow);
        for mut record in records {
            if !record.is_final() {
                let decision = resume(&record);
                let id = record.request.id.clone();
                // One that is still at work was accepted while nothing else was.
                if self.running.is_none() && decision == Resume::Follow {
                    tracing::info!(%id, "taking up a job that was handed over");
                    self.take_up(record, true);
                    continue;
                }
                if self.running.is_none() && !owned && decision == Resume::Again && self.engine.can_repeat() {
                    tracing::info!(%id, "doing a job again that had changed nothing yet");
                    record.restarts += 1;
                    self.take_up(record, false);
                    continue;
                }
                record.end(decision, system);
                self.reporter.stamp(&mut record.report);
                let reason = &record.report.message;
                tracing::warn!(%id, status = %record.report.status, reason, "ended a job that another listener began");
                // Where it cannot be kept, the next start comes to the same verdict.
                if let Err(error) = self.store.save(&record) {
                    tracing::error!(%id, %error, "the verdict could not be kept");
                }
            }
            self.jobs.insert(&record);
            ended.push(record);
        }
        if let Err(error) = DeployedCommits::catch_up(self.store.state_dir(), &ended) {
            tracing::error!(%error, "failed to note the deployed commits");
        }
        history::catch_up(&self.history, &ended);
        if let Some(metrics) = &self.metrics {
            metrics.catch_up(&mut ended);
        }
        self.jobs.tidy(now());
    }

    async fn serve(mut self, shutdown: CancellationToken) -> Result<(), ListenerError> {
        // First, so that no refusal of what follows is missed.
        let mut refusals = self.bus.refusals();
        let mut inbox = Inbox::open(&self.bus, &self.config).await?;
        let mut link = self.bus.link();
        let mut last = Link::default();
        let mut told_problem: Option<String> = None;
        let mut announce_at = Instant::now();
        self.ask_units();
        let (problem, mut problems) = watch::channel(None);
        let mut server = self.serve_metrics(problem, shutdown.clone());
        let mut manager = Manager::ready();
        let mut removal = Removal::watch(self.config.presence);
        let mut key_expiry = KeyExpiry::new(&self.config.trusted_keys);
        key_expiry.update(&mut self.warnings, now());
        loop {
            self.tell(&mut manager);
            tokio::select! {
                () = shutdown.cancelled() => break,
                incoming = inbox.next() => match incoming {
                    Incoming::Request(arrived) => self.on_arrival(*arrived).await,
                    Incoming::Ask(ask) => self.on_ask(*ask).await,
                },
                Some(ended) = self.work.join_next() => {
                    self.on_job_end(ended.ok());
                    self.ask_units();
                    announce_at = Instant::now();
                }
                Some(told) = self.asking.join_next() => {
                    if self.on_units(told.ok().flatten()) {
                        announce_at = Instant::now();
                    }
                }
                Some(delivered) = self.deliveries.join_next() => {
                    self.on_delivered(&delivered.unwrap_or_default());
                    removal.look_soon();
                }
                () = removal.removed(), if self.is_idle() => {
                    tracing::info!(unit = removal.unit, "this listener was removed from the host: stopping");
                    break;
                }
                () = phase_changed(&mut self.running) => {}
                Ok(refusal) = refusals.recv() => {
                    // Where replies go is chosen by who asks; the log has it.
                    if !(refusal.publish && is_base_response(&refusal.subject)) {
                        self.warnings.insert(refusal.to_string());
                    }
                }
                Ok(()) = link.changed() => {
                    let now = link.borrow_and_update().clone();
                    if self.on_link(&now, &last) {
                        announce_at = Instant::now();
                    }
                    last = now;
                }
                () = self.log_fold.due() => self.log_fold.log_due(),
                Some(_) = self.announcing.join_next() => {}
                Some(_) = self.keeping.join_next() => self.keep_refusals(),
                Ok(()) = problems.changed() => {
                    self.warnings.retain(|warning| Some(warning) != told_problem.as_ref());
                    told_problem.clone_from(&problems.borrow_and_update());
                    self.warnings.extend(told_problem.clone());
                    announce_at = Instant::now();
                }
                () = key_expiry.changed() => {
                    key_expiry.update(&mut self.warnings, now());
                    announce_at = Instant::now();
                }
                // Each connection is announced once: the branch above has to see it first.
                () = sleep_until(announce_at), if last.connects > 0 && self.announces() => {
                    self.unsaved.retain(|record| self.store.save(record).is_err());
                    self.announce(self.view().host()).await;
                    self.ask_units();
                    // Jitter, so that a fleet that started together does not speak together for ever.
                    announce_at = Instant::now() + self.config.presence.mul_f64(0.9 + fastrand::f64() / 5.0);
                }
            }
        }
        drop(inbox);
        manager::stopping();
        self.log_fold.log_all();
        self.farewell().await;
        if let Some(metrics) = self.metrics.as_ref().filter(|metrics| metrics.has_refused()) {
            metrics.keep();
        }
        // Long enough for whoever is being answered.
        let _ = timeout(FAREWELL, server.join_next()).await;
        Ok(())
    }

    /// Tells the service manager how this listener stands.
    fn tell(&self, manager: &mut Manager) {
        let settings = &self.config.settings;
        let link = self.bus.link().borrow().clone();
        let job = self.running.as_ref().map(|(_, handle)| handle.report.borrow().clone());
        let standing = Standing {
            server: &settings.shown(),
            key: settings.seed.as_ref().map(Seed::public_key),
            link: &link,
            job: job.as_deref(),
            held: self.hold.as_ref(),
            warnings: &self.warnings,
        };
        manager.stands(&standing.sentence());
    }

    /// Serves the metrics, where they are wanted.
    fn serve_metrics(
        &self,
        problem: watch::Sender<Option<String>>,
        shutdown: CancellationToken,
    ) -> JoinSet<()> {
        let mut server = JoinSet::new();
        if let Some((metrics, address)) = self.metrics.clone().zip(self.config.metrics.clone()) {
            server.spawn(serve(metrics, address, problem, shutdown));
        }
        server
    }

    /// Asks for the units that have failed, beside everything else.
    fn ask_units(&mut self) {
        if self.asking.is_empty() {
            self.asking.spawn(self.engine.failed_units());
        }
    }

    pub(super) fn announces(&self) -> bool {
        !self.config.presence.is_zero() && self.bus.link().borrow().up
    }

    /// Says that this listener goes away. A running activation is left alone.
    async fn farewell(&mut self) {
        let restarting = self.running.as_ref().map(|_| true);
        if !self.config.presence.is_zero() {
            self.announce(HostAnswer { online: Some(false), restarting, ..self.view().host() }).await;
        }
        let said = async {
            while self.deliveries.join_next().await.is_some() {}
            self.reporter.arrived().await;
        };
        // What has not arrived by then is told at the next start.
        let _ = timeout(FAREWELL, said).await;
        tracing::info!(restarting = restarting.unwrap_or(false), "stopped");
    }

    pub(super) async fn announce(&self, answer: HostAnswer) {
        // While the link is down nobody can hear it; coming up announces again.
        let _ = Reporter::announce(&self.bus, &answer).await;
    }

    async fn on_ask(&mut self, ask: Result<Ask, WireError>) {
        let ask = match ask {
            Ok(ask) => ask,
            Err(error) => {
                if self.log_fold.allows(UNREADABLE, MOST_UNREADABLE) {
                    tracing::warn!(%error, "{UNREADABLE}");
                }
                return;
            }
        };
        if !ask.concerns(&self.config.hostname, &self.config.tier, self.config.role.as_ref()) {
            return;
        }
        match ask.wanted() {
            Want::Log => self.answer_log(ask),
            Want::History => self.answer_history(ask),
            Want::Presence => self.announce_afresh(&ask),
            _ => self.reporter.answer(&ask.destination(), &self.view().answer(&ask)).await,
        }
    }

    /// Announces this host over a fresh connection, for one that only another client can confirm.
    fn announce_afresh(&mut self, ask: &Ask) {
        if self.announcing.is_empty() {
            let confirm = ask.confirm.as_deref().map(Into::into);
            let answer = HostAnswer { confirm, ..self.view().host() };
            let config = self.config.clone();
            self.announcing.spawn(async move { peers::announce(&config, answer).await });
        }
    }

    fn on_job_end(&mut self, record: Option<Record>) {
        let ended = self.running.take();
        if let Some(metrics) = &self.metrics {
            metrics.set_in_progress(false);
        }
        let Some(record) = record else {
            // The job's task panicked; its record is still open and becomes `interrupted` at the next start.
            let id = ended.map(|(id, _)| id.to_string());
            tracing::error!(id, "the task of a job died");
            return;
        };
        let report = &record.report;
        let (status, error) = (report.status.as_str(), report.error.as_ref().map(ToString::to_string));
        let message = if report.status == Status::Completed { "job completed" } else { "job failed" };
        tracing::info!(id = %record.request.id, status, error, reason = report.message, "{message}");
        self.jobs.insert(&record);
        self.jobs.tidy(now());
        self.deliver(Some(&record.request.id));
        let is_saved = self.store.job(&record.request.id).record().is_ok_and(|saved| saved.is_final());
        if !is_saved && record.is_final() && record.orders.is_some() {
            self.unsaved.push(record);
        }
    }

    /// Tells the verdicts that are not known to have arrived: of all jobs, or of the one with this id.
    pub(super) fn deliver(&mut self, id: Option<&Id>) {
        let owed = self.jobs.owed(id, now());
        if !owed.is_empty() {
            self.deliveries.spawn(deliver(owed, self.store.clone(), self.reporter.clone()));
        }
    }

    fn on_delivered(&mut self, ids: &[Id]) {
        for id in ids {
            self.jobs.sent(id);
        }
    }

    /// Takes in the units that have failed, and gives whether that is news.
    fn on_units(&mut self, units: Option<BTreeSet<String>>) -> bool {
        // Nothing new is no reason to speak, also the first time.
        let is_new = units.as_ref().is_some_and(|units| *units != self.units.clone().unwrap_or_default());
        self.units = units.or(self.units.take());
        is_new
    }

    /// Takes what has changed of the connection; gives whether the host is to be announced.
    fn on_link(&mut self, now: &Link, last: &Link) -> bool {
        let is_new = now.up && now.connects != last.connects;
        if is_new {
            let is_logged = now.ended == self.ended;
            self.ended = now.ended;
            self.on_connected(is_logged);
        }
        let is_said = now.reason != last.reason;
        // What the server says at once may be seen together with the connection.
        let said = now.reason.clone().filter(|_| now.up && (is_new || is_said));
        let announces = is_new || said.is_some();
        if let Some(said) = said {
            self.warn_of_server(said);
        } else if !now.up && !now.is_replaced() && is_said {
            let shown = now.reason.as_deref().unwrap_or("connecting");
            tracing::warn!(attempt = now.attempts, reason = shown, "not connected");
        }
        let is_lossless = (now.dropped, now.too_large) == (last.dropped, last.too_large);
        if !is_lossless && self.log_fold.allows(DROPPED, 1) {
            tracing::warn!(dropped = now.dropped, too_large = now.too_large, "{DROPPED}");
        }
        announces
    }

    /// Says what is owed over a new connection. One that replaces an ended connection is logged with the end of that, once
    /// a minute.
    fn on_connected(&mut self, is_logged: bool) {
        if is_logged {
            tracing::info!(server = self.config.settings.shown(), "connected");
        }
        self.forget_server();
        self.bus.shortage().into_iter().for_each(|lack| self.warn_of_server(lack));
        self.deliver(None);
    }

    /// Warns of what the server says or lacks.
    fn warn_of_server(&mut self, warning: String) {
        tracing::warn!("{warning}");
        self.server_warnings.push(warning.clone());
        self.warnings.insert(warning);
    }

    /// Forgets what was said of the server of the last connection.
    fn forget_server(&mut self) {
        for warning in self.server_warnings.drain(..) {
            self.warnings.remove(&warning);
        }
    }

    /// Whether no job runs and every final report is delivered.
    fn is_idle(&self) -> bool {
        self.running.is_none()
            && self.work.is_empty()
            && self.deliveries.is_empty()
            && self.jobs.owed(None, now()).is_empty()
    }

    /// The present report of a job, running or ended.
    pub(super) fn report_of(&self, id: &Id) -> Option<Arc<DeployReport>> {
        match &self.running {
            Some((running, handle)) if running == id => Some(handle.report.borrow().clone()),
            _ => self.jobs.report(id),
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            config: &self.config,
            store: &self.store,
            engine: &*self.engine,
            jobs: &self.jobs,
            running: self.running.as_ref().map(|(_, handle)| handle.report.borrow().clone()),
            hold: self.hold.as_ref(),
            warnings: &self.warnings,
            units: self.units.as_ref(),
            seq: self.reporter.next_seq(),
        }
    }
}
