//! The event loop of `notify`: reports of the fleet, ended deployments, and attempts to post.

use super::config::NotifyConfig;
use super::deployment_text::{self, deployment_for};
use super::filter::EventChoice;
use super::groups::{DeploymentGroups, GroupTimes};
use super::host_watch::{HostWatch, TroubleChange};
use super::notification::{Notification, NotificationEvent, NotifyResult};
use super::outbox::{Attempt, Outbox};
use super::payload::{MAX_TITLE, clean, clean_line};
use super::post::{PostResult, Poster};
use super::source::{FleetSource, SourceEvent};
use super::state::{self, CurrentState, SavedState, saved_report};
use crate::client::{Inventory, InventoryError, KnownHost, KnownHosts, Operator};
use crate::clock::now;
use crate::config::Unproven;
use crate::keys::FleetHost;
use crate::nats::{ConnectionSettings, NatsError};
use crate::ordered::CollectOrdered;
use crate::protocol::{Id, Inbound, Name};
use crate::service::{ServiceError, ServiceEvent, ServiceRuntime};
use crate::state_dir::{StateDir, StoreError};
use crate::text::format::count;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long waiting notifications are tried at the end.
const LAST_ATTEMPTS: Duration = Duration::from_secs(4);
/// Maximum time for messages to the NATS server at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval at which hosts are checked, and at which open deployments are saved.
const TICK: Duration = Duration::from_secs(5);
/// Results of this time before the end of the last process count as new, if they were not notified.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// Maximum number of events that are handled at once.
const MAX_EVENTS: usize = 256;
/// A kind of log lines that hosts can cause, and how many of them are logged in ten seconds.
const FORGOTTEN: &str = "too many deployments at once: one was dropped before its end was posted";
const MAX_FORGOTTEN_LINES: u32 = 3;
/// The name of the file with the hosts seen so far, in the state directory.
const INVENTORY: &str = "inventory.json";

/// All settings of the service.
#[derive(Debug)]
pub struct NotifySettings {
    /// The configuration file.
    pub config: NotifyConfig,
    /// The targets with their secrets.
    pub posters: BTreeMap<Name, Poster>,
    /// NATS servers and the credential.
    pub connection: ConnectionSettings,
    /// The hosts of the fleet file; `None` without one.
    pub fleet: Option<Vec<FleetHost>>,
    /// Directory for what must survive a restart.
    pub state_dir: PathBuf,
    /// Problems found at start that do not prevent the service from running.
    pub warnings: Vec<String>,
}

/// Why the service failed to start.
#[derive(Debug, thiserror::Error)]
pub enum NotifyServiceError {
    /// The connection or the state directory cannot be used.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The hosts seen so far cannot be read.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A subscription failed.
    #[error(transparent)]
    Nats(#[from] NatsError),
}

/// One target at work.
struct ActiveTarget {
    poster: Poster,
    outbox: Outbox,
}

/// The service.
struct NotifyService {
    runtime: ServiceRuntime,
    groups: DeploymentGroups,
    hosts: HostWatch,
    targets: BTreeMap<Name, ActiveTarget>,
    /// Running attempts, at most one for each target.
    posts: JoinSet<(Name, PostResult)>,
    file: PathBuf,
    /// Since when no event can arrive.
    lost_since: Option<Timestamp>,
    /// When the first process started.
    first_start: Timestamp,
    /// Until when events could arrive; `None` before the first connection.
    watched_until: Option<Timestamp>,
    /// Whether the state has changed, and whether a change must be saved before the next attempt to post.
    is_changed: bool,
    must_save: bool,
    /// The warning of the last failed attempt to save the state.
    save_warning: Option<String>,
}

/// Runs the service until `shutdown`.
pub async fn run(settings: NotifySettings, shutdown: CancellationToken) -> Result<(), NotifyServiceError> {
    let mut dir = StateDir::open(
        &settings.state_dir,
        state::RECORDS,
        "; after a restart, notifications may be repeated until this is fixed",
    )?;
    let saved = SavedState::read(&mut dir);
    let inventory = Inventory::open(&dir.path().join(INVENTORY))?;
    let connection = &settings.connection;
    let runtime = ServiceRuntime::connect(connection, &[], &settings.warnings, &dir, shutdown).await?;
    let operator = operator(&settings, &runtime, inventory);
    let mut service = NotifyService::new(&settings, runtime, saved, SavedState::file(&dir));
    for (name, entry) in &operator.inventory.hosts {
        service.groups.fleet.restore_host(entry.to_host(name));
    }
    let source = FleetSource::start(operator).await?;
    service.serve(source).await;
    Ok(())
}

/// An operator that only watches. It knows the keys of the fleet file, or those of the hosts seen so far.
fn operator(settings: &NotifySettings, runtime: &ServiceRuntime, inventory: Inventory) -> Operator {
    let hosts = settings.fleet.iter().flatten().cloned().map(KnownHost::of_fleet_file).collect_map();
    let allow = settings.config.unproven == Unproven::Allow;
    let known = KnownHosts::new(hosts, settings.fleet.is_some(), &inventory, Some(allow));
    Operator { known, ..Operator::new(runtime.nats.clone(), inventory, String::new()) }
}

impl NotifyService {
    fn new(settings: &NotifySettings, runtime: ServiceRuntime, saved: SavedState, file: PathBuf) -> Self {
        let times =
            GroupTimes { end_after: settings.config.end_after, silent_after: settings.config.silent_after };
        let started = now();
        let first_start = saved.first_start.unwrap_or(started);
        let since = saved.watched_until.and_then(|until| until.checked_sub(OVERLAP).ok());
        let since = since.map_or(first_start, |since| since.max(first_start));
        let mut waiting = saved.waiting;
        let targets = settings.posters.iter().map(|(name, poster)| {
            let mut outbox = Outbox::default();
            waiting.remove(name).into_iter().for_each(|earlier| outbox.restore(earlier));
            (name.clone(), ActiveTarget { poster: poster.clone(), outbox })
        });
        let targets = targets.collect_map();
        for (target, _) in waiting.iter().filter(|(_, outbox)| !outbox.is_empty()) {
            tracing::warn!(%target, "dropped waiting notifications: the target was removed from the configuration");
        }
        Self {
            runtime,
            groups: DeploymentGroups::new(times, since, saved.deployments, saved.reports),
            hosts: HostWatch::new(settings.config.host_after, saved.troubles),
            targets,
            posts: JoinSet::new(),
            file,
            lost_since: Some(saved.watched_until.unwrap_or(started)),
            first_start,
            watched_until: saved.watched_until,
            is_changed: true,
            must_save: false,
            save_warning: None,
        }
    }

    async fn serve(mut self, mut source: FleetSource) {
        let mut tick = tokio::time::interval(TICK);
        self.runtime.ready(None);
        loop {
            self.update_status();
            self.dispatch(false).await;
            let wake = self.wake_at();
            tokio::select! {
                event = self.runtime.next_event() => if matches!(event, ServiceEvent::Stop) { break },
                event = source.next() => {
                    self.on_event(event);
                    // All that has arrived, because the times and the status line need to be computed only once.
                    for _ in 0..MAX_EVENTS {
                        let Some(event) = source.try_next() else { break };
                        self.on_event(event);
                    }
                }
                Some(posted) = self.posts.join_next() => if let Ok((target, result)) = posted {
                    self.on_posted(&target, result).await;
                },
                () = sleep_until(wake) => self.on_time(),
                _ = tick.tick() => {
                    self.on_time();
                    self.check_hosts();
                    self.save_if(self.is_changed).await;
                }
            }
        }
        self.runtime.notify_stop();
        source.stop().await;
        self.flush().await;
        self.touch_watched();
        self.save().await;
        self.runtime.finish(FLUSH_TIMEOUT).await;
        tracing::info!("stopped");
    }

    fn on_event(&mut self, event: SourceEvent) {
        let now = now();
        match event {
            SourceEvent::Report { report, is_live } => {
                self.is_changed = true;
                if let Some(id) = self.groups.on_report(&report, is_live, now) {
                    self.notify_failure(&id, &report.hostname, now);
                }
            }
            SourceEvent::Host(presence) => {
                self.groups.fleet.apply_presence(*presence, now);
            }
            SourceEvent::Identity(host, identity) => {
                self.groups.fleet.apply(Inbound::Identity(host, identity), now);
            }
            SourceEvent::Rollout(status) => self.groups.on_rollout(&status, now),
            SourceEvent::Connection(true) => {
                if let Some(since) = self.lost_since.take() {
                    self.groups.excuse_outage(since, now);
                }
            }
            SourceEvent::Connection(false) => {
                if self.lost_since.is_none() {
                    self.touch_watched();
                    self.lost_since = Some(now);
                }
            }
        }
    }

    /// Notifies the first failure of a deployment, once for each target.
    fn notify_failure(&mut self, id: &Id, host: &Name, now: Timestamp) {
        for (name, target) in &mut self.targets {
            let filter = &target.poster.target().filter;
            if !filter.wants(EventChoice::Failure) || !filter.has_result(NotifyResult::Failed) {
                continue;
            }
            let Some(group) = self.groups.group_mut(id).filter(|group| !group.failures.contains_key(name))
            else {
                continue;
            };
            // The host may not be one that the target is about.
            group.failures.insert(name.clone(), host.clone());
            let notification = deployment_for(&self.groups.fleet, id, filter)
                .and_then(|(deployment, hosts)| deployment_text::failure(deployment, &hosts, host, now));
            match (notification, self.groups.group_mut(id)) {
                (Some(notification), _) => target.add(notification),
                (None, Some(group)) => _ = group.failures.remove(name),
                (None, None) => {}
            }
            self.must_save = true;
        }
    }

    fn notify_end(&mut self, id: &Id, now: Timestamp) {
        if !self.groups.fleet.deployments.contains_key(id)
            && self.runtime.log_throttle.allows(FORGOTTEN, MAX_FORGOTTEN_LINES)
        {
            tracing::warn!(%id, "{FORGOTTEN}");
        }
        for (name, target) in &mut self.targets {
            let filter = &target.poster.target().filter;
            let Some((deployment, hosts)) = deployment_for(&self.groups.fleet, id, filter) else { continue };
            let has_result = hosts.iter().any(|host| filter.has_result(host.result));
            // The notification of the failure has the same content.
            let failed = self.groups.group_mut(id).and_then(|group| group.failures.get(name));
            let is_notified = hosts.len() == 1
                && hosts[0].result == NotifyResult::Failed
                && failed.is_some_and(|failed| *failed == hosts[0].host);
            if filter.wants(EventChoice::End) && has_result && !is_notified {
                target.add(deployment_text::end(deployment, &hosts, now));
            }
        }
        self.must_save = true;
    }

    /// Handles what happens with time alone, while events can arrive.
    fn on_time(&mut self) {
        if self.lost_since.is_some() {
            return;
        }
        let now = now();
        for id in self.groups.take_ended(now) {
            self.notify_end(&id, now);
        }
    }

    /// Notifies hosts that are offline and units that have failed, if a target asks for that.
    fn check_hosts(&mut self) {
        let wants = |choice| self.targets.values().any(|target| target.poster.target().filter.wants(choice));
        if self.lost_since.is_some() || !(wants(EventChoice::Offline) || wants(EventChoice::Units)) {
            return;
        }
        let now = now();
        for change in self.hosts.changes(&self.groups.fleet, now) {
            self.notify_host(&change, now);
        }
    }

    fn notify_host(&mut self, change: &TroubleChange, now: Timestamp) {
        let host = self.groups.fleet.hosts.get(&change.host);
        let (tier, role) = host.map(|host| (host.tier.as_ref(), host.role.as_ref())).unwrap_or_default();
        let (name, units) = (&change.host, change.units.join(", "));
        let (choice, title, message) = match change.event {
            NotificationEvent::Offline => (EventChoice::Offline, format!("{name} is offline"), String::new()),
            NotificationEvent::Online => (EventChoice::Offline, format!("{name} is back"), String::new()),
            NotificationEvent::UnitsRecovered => {
                (EventChoice::Units, format!("{name}: {} fine again", units_are(change.units.len())), units)
            }
            _ => (EventChoice::Units, format!("{name}: {} failed", units_have(change.units.len())), units),
        };
        for target in self.targets.values_mut() {
            let filter = &target.poster.target().filter;
            if filter.wants(choice) && filter.has_host(&change.host, tier, role) {
                let mut notification = Notification::new(change.event, title.clone(), message.clone(), now);
                notification.host = Some(change.host.clone());
                target.add(notification);
            }
        }
        self.must_save = true;
    }

    /// Starts an attempt for each target that has something to post.
    async fn dispatch(&mut self, is_last: bool) {
        // What a restart must not repeat is saved first.
        self.save_if(self.must_save).await;
        let at = Instant::now();
        for (name, target) in &mut self.targets {
            let limit = target.poster.target().limit;
            if let Some(notification) = target.outbox.next(limit, at, is_last) {
                let (name, poster) = (name.clone(), target.poster.clone());
                self.posts.spawn(async move {
                    let result = poster.post(&notification).await;
                    (name, result)
                });
            }
        }
    }

    /// Handles the result of an attempt. Returns whether the target works.
    async fn on_posted(&mut self, name: &Name, result: PostResult) -> bool {
        let Some(target) = self.targets.get_mut(name) else { return false };
        let server = target.poster.origin();
        let attempt = target.outbox.on_result(result, now());
        if attempt == Attempt::StillFailing {
            return false;
        }
        // Saved at once, because a restart would post it again.
        self.save_if(true).await;
        match &attempt {
            Attempt::Posted => tracing::info!(target = %name, server, "posted notification"),
            Attempt::Failed(reason) => {
                tracing::warn!(target = %name, server, reason, "failed to post notification, retrying");
            }
            Attempt::StillFailing => {}
            Attempt::Dropped(reason) => {
                tracing::error!(target = %name, server, reason, "dropped notification");
            }
        }
        attempt == Attempt::Posted
    }

    /// Tries all waiting notifications for a few seconds, each target until an attempt fails.
    async fn flush(&mut self) {
        let until = Instant::now() + LAST_ATTEMPTS;
        self.dispatch(true).await;
        let mut failed = BTreeSet::new();
        while let Ok(Some(posted)) = timeout_at(until, self.posts.join_next()).await {
            let Ok((name, result)) = posted else { continue };
            if !self.on_posted(&name, result).await {
                failed.insert(name);
            }
            for name in &failed {
                if let Some(target) = self.targets.get_mut(name) {
                    target.outbox.suspend();
                }
            }
            self.dispatch(true).await;
        }
        self.posts.abort_all();
        let left = self.targets.values().filter(|target| !target.outbox.is_empty()).count();
        if left > 0 {
            tracing::warn!(targets = left, "stopping with waiting notifications; the next start posts them");
        }
    }

    /// When something happens with time alone.
    fn wake_at(&self) -> Instant {
        let (now, at) = (now(), Instant::now());
        let end = self.groups.next_end(now).filter(|_| self.lost_since.is_none());
        let end = end.map(|end| at + Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO));
        let due = self.targets.values().filter_map(|target| target.outbox.due(target.poster.target().limit));
        due.chain(end).min().unwrap_or(at + TICK)
    }

    fn update_status(&mut self) {
        let open = self.groups.open_count();
        let problems = self.targets.iter().filter_map(|(name, target)| {
            let problem = target.outbox.describe()?;
            Some(format!("{name}: {problem}"))
        });
        let mut parts = vec![count(self.targets.len(), "target")];
        parts.extend((open > 0).then(|| format!("{} running", count(open, "deployment"))));
        parts.extend(problems);
        self.runtime.update_status(parts);
    }

    fn touch_watched(&mut self) {
        if self.lost_since.is_none() {
            self.watched_until = Some(now());
        }
    }

    async fn save_if(&mut self, is_due: bool) {
        if is_due {
            self.touch_watched();
            self.save().await;
        }
    }

    async fn save(&mut self) {
        (self.is_changed, self.must_save) = (false, false);
        let waiting = self.targets.iter().map(|(name, target)| (name, &target.outbox)).collect_map();
        let content = CurrentState {
            first_start: self.first_start,
            watched_until: self.watched_until,
            deployments: self.groups.groups(),
            reports: self.groups.open_reports().map(|report| saved_report(report)).collect(),
            troubles: self.hosts.notified(),
            waiting,
        }
        .encode();
        let file = self.file.clone();
        let written = spawn_blocking(move || state::write(&file, &content)).await;
        let warning = match written {
            Ok(Err(error)) => Some(format!("{error}; after a restart, notifications may be repeated")),
            _ => None,
        };
        if warning != self.save_warning {
            self.save_warning.iter().for_each(|old| _ = self.runtime.warnings.remove(old));
            if let Some(warning) = &warning {
                tracing::error!("{warning}");
                self.runtime.warnings.insert(warning.clone());
            }
            self.save_warning = warning;
        }
    }
}

impl ActiveTarget {
    /// Adds a notification with the target's templates.
    fn add(&mut self, mut notification: Notification) {
        let target = self.poster.target();
        notification.message = clean(&notification.message);
        let title = clean_line(&target.title.render(&notification), MAX_TITLE);
        notification.message = clean(&target.message.render(&notification));
        notification.title = title;
        self.outbox.add(notification);
    }
}

fn units_have(number: usize) -> String {
    format!("{} {}", count(number, "unit"), if number == 1 { "has" } else { "have" })
}

fn units_are(number: usize) -> String {
    format!("{} {}", count(number, "unit"), if number == 1 { "is" } else { "are" })
}
