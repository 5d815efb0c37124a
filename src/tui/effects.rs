//! Executes effects: each background task owns its I/O and replies with events.

mod deployment;
mod full_log;
mod logs;

pub use deployment::HandoverResult;
use deployment::RolloutTask;

use super::{ConnectionStatus, ConsoleEvent, Effect, ErrorDialog, EventFeed, LogKey, ViewState};
use crate::client::{
    DetachedRunner, Discovery, HEADS_WITHIN, Inventory, LogFollower, LogStart, MessageTap, Operator, Reply,
    Watch, WatchEvent, discard_rollout, flake_commits, heads, missing_revision, send_rollout_control,
};
use crate::fleet::{COUNTED_JOBS, CommitQuery, Fleet};
use crate::nats::ConnectionState;
use crate::protocol::{Id, Inbound, Name};
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Capacity of the event channel; a full channel makes its senders wait.
const EVENT_CAPACITY: usize = 64;
/// Delay between the selection of a host and the query for its log, so that scrolling through a list sends no queries.
const LOG_DELAY: Duration = Duration::from_millis(120);
/// Number of bytes read from the end of a log.
const LOG_END: u64 = 32 * 1024;
/// Number of past jobs that are requested from a host.
const HISTORY_LIMIT: usize = 10;
/// Interval between pings, which measure the round-trip time and show that the server answers.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How long the server may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time that a check of a revision may delay a deployment.
const CHECK_WITHIN: Duration = Duration::from_secs(5);
/// Longest time to read the commits of a repository. The first time, all of them are fetched.
const READ_COMMITS_WITHIN: Duration = Duration::from_mins(2);
/// Interval between saves of the inventory.
const SAVE_INTERVAL: Duration = Duration::from_mins(1);
/// Longest time that the final save of the inventory may delay the exit.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The background tasks of the console.
pub(super) struct Runtime {
    operator: Arc<Operator>,
    events_tx: mpsc::Sender<ConsoleEvent>,
    tap: MessageTap,
    tasks: JoinSet<()>,
    /// Senders of requests to the deployments of this console.
    commands: HashMap<Id, mpsc::UnboundedSender<RolloutTask>>,
    /// How to start a process that takes a rollout over; `None` if that is not possible.
    background: Option<DetachedRunner>,
    log: Option<AbortHandle>,
    history: Option<AbortHandle>,
    /// File for the view state; `None` if it is not saved.
    view_state_file: Option<PathBuf>,
    /// File for the event feed; `None` if it is not saved.
    feed_file: Option<PathBuf>,
    forwarder: JoinHandle<()>,
    stop: CancellationToken,
}

impl Runtime {
    /// Starts the watch; its events arrive on the receiver.
    pub(super) async fn start(
        mut operator: Operator,
        view_state_file: Option<PathBuf>,
        feed_file: Option<PathBuf>,
        background: Option<DetachedRunner>,
    ) -> Result<(Self, mpsc::Receiver<ConsoleEvent>), crate::nats::NatsError> {
        let (events_tx, events) = mpsc::channel(EVENT_CAPACITY);
        let watch = Watch::start(&mut operator).await?;
        let tap = watch.message_tap();
        let stop = CancellationToken::new();
        let forwarder = tokio::spawn(forward_events(watch, events_tx.clone(), stop.clone()));
        let operator = Arc::new(operator);
        let mut tasks = JoinSet::new();
        tasks.spawn(measure_round_trip(operator.clone(), events_tx.clone()));
        let commands = HashMap::new();
        Ok((
            Self {
                operator,
                events_tx,
                tap,
                tasks,
                commands,
                background,
                log: None,
                history: None,
                view_state_file,
                feed_file,
                forwarder,
                stop,
            },
            events,
        ))
    }

    /// Executes an effect that does not need the terminal.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(plan) => {
                let received = self.open_commands(plan.id.clone());
                let sending =
                    deployment::send(self.operator.clone(), *plan, received, self.events_tx.clone());
                self.tasks.spawn(sending);
            }
            Effect::ResumeRollout(id) => {
                let received = self.open_commands(id.clone());
                let (operator, events_tx) = (self.operator.clone(), self.events_tx.clone());
                self.tasks.spawn(deployment::resume(operator, id, received, events_tx));
            }
            Effect::DiscardRollout(id) => {
                if let Some(directory) = self.operator.rollouts.clone() {
                    self.tasks.spawn(discard(directory, id, self.events_tx.clone()));
                }
            }
            Effect::LocalControl(id, command) => {
                if let Some(commands) = self.commands.get(&id) {
                    // A finished deployment ignores the command.
                    let _ = commands.send(RolloutTask::Command(command));
                }
            }
            Effect::Control(control) => {
                let operator = self.operator.clone();
                self.tasks.spawn(async move {
                    // If it is lost, no reply arrives, which the console shows.
                    let _ = send_rollout_control(&operator.nats, &control).await;
                });
            }
            Effect::HandOver => {
                let (handing_over, events_tx) = (self.hand_over(), self.events_tx.clone());
                self.tasks.spawn(async move {
                    let event = ConsoleEvent::HandedOver(handing_over.await);
                    let _ = events_tx.send(event).await;
                });
            }
            Effect::Log(key) => {
                let log = |key| log_end(self.operator.clone(), self.tap.clone(), key, self.events_tx.clone());
                self.follow(key.map(log));
            }
            Effect::FullLog(key) => {
                let (operator, tap) = (self.operator.clone(), self.tap.clone());
                self.follow(Some(full_log::follow(operator, tap, key, self.events_tx.clone())));
            }
            Effect::FullLogs(keys) => {
                let (operator, tap) = (self.operator.clone(), self.tap.clone());
                self.follow(Some(logs::follow(operator, tap, keys, self.events_tx.clone())));
            }
            Effect::Job(key) => {
                self.tasks.spawn(full_log::query_job(self.operator.clone(), key, self.events_tx.clone()));
            }
            Effect::SaveLog(file) => {
                self.tasks.spawn(full_log::save(*file, self.events_tx.clone()));
            }
            Effect::History(host) => {
                let query =
                    self.tasks.spawn(query_history(self.operator.clone(), host, self.events_tx.clone()));
                if let Some(before) = self.history.replace(query) {
                    before.abort();
                }
            }
            Effect::Durations(hosts) => {
                self.tasks.spawn(query_durations(self.operator.clone(), hosts, self.events_tx.clone()));
            }
            Effect::Heads(flakes, branch) => {
                let (events_tx, operator) = (self.events_tx.clone(), self.operator.clone());
                self.tasks.spawn(async move {
                    let heads = heads(flakes, &branch, HEADS_WITHIN, &operator.credentials).await;
                    let _ = events_tx.send(ConsoleEvent::Heads(heads)).await;
                });
            }
            Effect::Commits(query) => {
                self.tasks.spawn(read_commits(self.operator.clone(), *query, self.events_tx.clone()));
            }
            Effect::CheckRevision(flakes, revision) => {
                let (events_tx, operator) = (self.events_tx.clone(), self.operator.clone());
                self.tasks.spawn(async move {
                    let missing =
                        missing_revision(flakes, &revision, CHECK_WITHIN, &operator.credentials).await;
                    let _ = events_tx.send(ConsoleEvent::RevisionChecked(revision, missing)).await;
                });
            }
            Effect::SaveViewState(view_state) => {
                if let Some(file) = self.view_state_file.clone() {
                    self.tasks.spawn(save_view_state(view_state, file, self.events_tx.clone()));
                }
            }
            Effect::SaveFeed(feed) => {
                if let Some(file) = self.feed_file.clone() {
                    self.tasks.spawn(save_feed(*feed, file, self.events_tx.clone()));
                }
            }
            Effect::Copy(_)
            | Effect::Notify(_)
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Shell(_)
            | Effect::SwitchContext(_)
            | Effect::Quit => {}
        }
    }

    /// The requests to a deployment that starts.
    fn open_commands(&mut self, id: Id) -> mpsc::UnboundedReceiver<RolloutTask> {
        let (commands, received) = mpsc::unbounded_channel();
        self.commands.retain(|_, commands| !commands.is_closed());
        self.commands.insert(id, commands);
        received
    }

    /// Lets other processes take over all rollouts that have batches left to send. Returns the result of each.
    pub(super) fn hand_over(&self) -> impl Future<Output = Vec<(Id, HandoverResult)>> + Send + use<> {
        let request = |(id, commands): (&Id, &mpsc::UnboundedSender<RolloutTask>)| {
            let (done, result) = oneshot::channel();
            commands.send(RolloutTask::HandOver(self.background.clone(), done)).ok()?;
            Some((id.clone(), result))
        };
        let requests: Vec<_> = self.commands.iter().filter_map(request).collect();
        async move {
            let mut results = Vec::new();
            for (id, result) in requests {
                // A deployment without batches left does not reply.
                if let Ok(result) = result.await {
                    results.push((id, result));
                }
            }
            results
        }
    }

    /// Sends no further batch of any rollout, and tells other consoles.
    pub(super) async fn stop_rollouts(&self) {
        let stop = |commands: &mpsc::UnboundedSender<RolloutTask>| {
            let (done, stopped) = oneshot::channel();
            commands.send(RolloutTask::Stop(done)).ok().map(|()| stopped)
        };
        for stopped in self.commands.values().filter_map(stop).collect::<Vec<_>>() {
            let _ = timeout(SHUTDOWN_TIMEOUT, stopped).await;
        }
    }

    /// Follows a log and stops following the previous one.
    fn follow(&mut self, log: Option<impl Future<Output = ()> + Send + 'static>) {
        if let Some(before) = self.log.take() {
            before.abort();
        }
        self.log = log.map(|log| self.tasks.spawn(log));
    }

    /// Removes finished tasks; the panic hook has already reported their panics.
    pub(super) fn reap_tasks(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    /// Stops all tasks after a last save of the inventory.
    pub(super) async fn shutdown(self) {
        self.stop.cancel();
        // A blocked disk must not delay the exit.
        let _ = timeout(SHUTDOWN_TIMEOUT, self.forwarder).await;
    }
}

/// Forwards the events of the watch, and saves the inventory at intervals.
async fn forward_events(mut watch: Watch, events_tx: mpsc::Sender<ConsoleEvent>, stop: CancellationToken) {
    let mut save_at = Instant::now() + SAVE_INTERVAL;
    let mut saving: Option<JoinHandle<()>> = None;
    loop {
        let watch_event = tokio::select! {
            () = stop.cancelled() => break,
            watch_event = watch.next() => watch_event,
        };
        let event = match watch_event {
            WatchEvent::Messages(messages) => ConsoleEvent::Messages(messages, Timestamp::now()),
            WatchEvent::Connection(state) => ConsoleEvent::Connection(connection_status(state)),
            WatchEvent::PermissionDenied(violation) => ConsoleEvent::PermissionDenied(violation),
            WatchEvent::BuildsDenied => ConsoleEvent::BuildsDenied,
            WatchEvent::Rollout(status) => ConsoleEvent::Rollout(status),
            WatchEvent::RolloutsDenied(violation) => ConsoleEvent::RolloutsDenied(violation),
            WatchEvent::Build(build) => {
                let (id, report) = *build;
                ConsoleEvent::Build(id, Box::new(report), Timestamp::now())
            }
        };
        if events_tx.send(event).await.is_err() {
            break;
        }
        // The save runs in a separate task: a slow disk must not delay the events.
        if Instant::now() >= save_at && saving.as_ref().is_none_or(JoinHandle::is_finished) {
            save_at = Instant::now() + SAVE_INTERVAL;
            saving = Some(tokio::spawn(save_inventory(watch.inventory().clone(), events_tx.clone())));
        }
    }
    if let Some(saving) = saving {
        // A panic of the save was already reported.
        let _ = saving.await;
    }
    save_inventory(watch.inventory().clone(), events_tx).await;
}

async fn save_inventory(inventory: Inventory, events_tx: mpsc::Sender<ConsoleEvent>) {
    if let Ok(Err(error)) = spawn_blocking(move || inventory.save()).await {
        let title = "The inventory was not saved".to_owned();
        // During shutdown the event loop has ended and no longer receives events.
        let _ = events_tx.try_send(ConsoleEvent::Error(ErrorDialog { title, text: error.to_string() }));
    }
}

/// Saves the event feed.
async fn save_feed(feed: EventFeed, file: PathBuf, events_tx: mpsc::Sender<ConsoleEvent>) {
    if let Ok(Err(error)) = spawn_blocking(move || feed.save(&file)).await {
        let title = "Events".to_owned();
        let _ = events_tx.send(ConsoleEvent::Error(ErrorDialog { title, text: error.to_string() })).await;
    }
}

/// Removes the saved state of an interrupted rollout.
async fn discard(directory: PathBuf, id: Id, events_tx: mpsc::Sender<ConsoleEvent>) {
    if let Ok(Err(error)) = spawn_blocking(move || discard_rollout(&directory, &id)).await {
        let title = "The rollout was not removed".to_owned();
        let _ = events_tx.send(ConsoleEvent::Error(ErrorDialog { title, text: error.to_string() })).await;
    }
}

/// Saves the view state.
async fn save_view_state(view_state: ViewState, file: PathBuf, events_tx: mpsc::Sender<ConsoleEvent>) {
    if let Ok(Err(error)) = spawn_blocking(move || view_state.save(&file)).await {
        let title = "Sort, filter and columns".to_owned();
        let _ = events_tx.send(ConsoleEvent::Error(ErrorDialog { title, text: error.to_string() })).await;
    }
}

/// Converts the connection state to wall-clock times, which the console uses.
fn connection_status(state: ConnectionState) -> ConnectionStatus {
    let wait = |at: std::time::Instant| at.saturating_duration_since(std::time::Instant::now());
    let at = |wait: Duration| Timestamp::now().checked_add(SignedDuration::try_from(wait).ok()?).ok();
    ConnectionStatus {
        up: state.up,
        connects: state.connects,
        reason: state.reason,
        next_try: state.next_try.map(wait).and_then(at),
        dropped: state.dropped,
    }
}

async fn measure_round_trip(operator: Arc<Operator>, events_tx: mpsc::Sender<ConsoleEvent>) {
    let mut state = operator.nats.connection_state();
    let mut tick = interval(PING_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if state.wait_for(|state| state.up).await.is_err() {
            return;
        }
        let sent_at = Instant::now();
        if operator.nats.ping(PING_TIMEOUT).await.is_ok()
            && events_tx.send(ConsoleEvent::RoundTrip(sent_at.elapsed(), Timestamp::now())).await.is_err()
        {
            return;
        }
    }
}

/// Follows the end of a log.
async fn log_end(
    operator: Arc<Operator>,
    tap: MessageTap,
    key: LogKey,
    events_tx: mpsc::Sender<ConsoleEvent>,
) {
    sleep(LOG_DELAY).await;
    let (nats, host, job) = (operator.nats.clone(), key.host.clone(), key.job.clone());
    let follow =
        LogFollower::open_with_tap(&tap, nats, &operator.known, host, job, LogStart::Last(LOG_END)).await;
    let Ok(mut follow) = follow else { return };
    // The watch reports a permission violation for the subject of the log.
    while let Some(Ok(event)) = follow.next().await {
        if events_tx.send(ConsoleEvent::Log(key.clone(), event)).await.is_err() {
            return;
        }
    }
}

/// Queries the history of a host, and its job with the diagnostics, which presence messages leave out.
async fn query_history(operator: Arc<Operator>, host: Name, events_tx: mpsc::Sender<ConsoleEvent>) {
    let discovery = discovery_of(&host);
    let hosts = BTreeSet::from([host.clone()]);
    let history = async {
        let replies =
            operator.history(&hosts, &discovery, HISTORY_LIMIT).await.map_err(|error| error.to_string());
        let reply = replies.map(|replies| first_reply(replies.hosts).unwrap_or(Reply::NoAnswer));
        events_tx.send(ConsoleEvent::History(host, reply)).await
    };
    let job = async {
        let replies = operator.jobs(&hosts, &discovery, None).await.ok()?;
        let Reply::Ok(report) = first_reply(replies.hosts)? else { return None };
        let report = Inbound::Report(Box::new((*report?).clone()));
        events_tx.send(ConsoleEvent::Messages(vec![Ok(report)], Timestamp::now())).await.ok()
    };
    let _ = tokio::join!(history, job);
}

/// Queries hosts for the durations of their last jobs. A host that does not reply gets no estimates.
async fn query_durations(
    operator: Arc<Operator>,
    hosts: BTreeSet<Name>,
    events_tx: mpsc::Sender<ConsoleEvent>,
) {
    let discovery = Discovery { answered: hosts.iter().cloned().collect(), ..discovery_of_none() };
    let Ok(replies) = operator.history(&hosts, &discovery, COUNTED_JOBS).await else { return };
    let histories = replies.hosts.into_iter().filter_map(|(host, reply)| match reply {
        Reply::Ok(entries) => Some((host, entries)),
        _ => None,
    });
    let _ = events_tx.send(ConsoleEvent::Durations(histories.collect())).await;
}

/// Reads commits from the clones, and sends those of each flake as soon as they are known.
async fn read_commits(operator: Arc<Operator>, query: CommitQuery, events_tx: mpsc::Sender<ConsoleEvent>) {
    let found = flake_commits(query, operator.clones.clone(), READ_COMMITS_WITHIN, &operator.credentials);
    let mut found = pin!(found);
    while let Some(commits) = found.next().await {
        if events_tx.send(ConsoleEvent::Commits(commits)).await.is_err() {
            return;
        }
    }
}

/// A discovery that counts the host as online, so that a query to it gets the full timeout: the operator waits for it.
fn discovery_of(host: &Name) -> Discovery {
    Discovery { answered: [host.clone()].into(), ..discovery_of_none() }
}

/// An empty discovery.
fn discovery_of_none() -> Discovery {
    Discovery {
        fleet: Fleet::default(),
        answered: HashSet::new(),
        at: Timestamp::now(),
        unreadable: Vec::new(),
        unrecorded: 0,
    }
}

/// The reply of a host; if two hosts use the name, the first one that succeeded.
fn first_reply<T>(replies: Vec<(Name, Reply<T>)>) -> Option<Reply<T>> {
    let mut replies: Vec<_> = replies.into_iter().map(|(_, reply)| reply).collect();
    let at = replies.iter().position(Reply::is_ok).unwrap_or(0);
    (at < replies.len()).then(|| replies.swap_remove(at))
}
