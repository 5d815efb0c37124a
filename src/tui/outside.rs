//! Everything that the console sets going outside: tasks that own their I/O and answer with events.

mod order;
mod whole_log;

use super::{Effect, Event, Fault, LinkState, LogKey, Memory};
use crate::bus::Link;
use crate::deployer::{
    Discovery, HEADS_WITHIN, Hints, LogFollow, LogStart, News, Operator, Roster, Told, Watch, heads,
};
use crate::fleet::Fleet;
use crate::protocol::{Id, Inbound, Name};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How many events may wait; whoever brings more waits itself.
const ROOM: usize = 64;
/// How long a host stays selected before its log is asked for, so that going through a list asks nothing.
const DWELL: Duration = Duration::from_millis(120);
/// How much of the end of a log is read, in bytes.
const LOG_END: u64 = 32 * 1024;
/// How many past jobs of a host are shown.
const PAST: usize = 10;
/// The pause between two measurements of the way to the server.
const MEASURE: Duration = Duration::from_secs(10);
/// The pause between two times that the roster is written down.
const SAVE: Duration = Duration::from_mins(1);
/// How long leaving may wait for the roster.
const FAREWELL: Duration = Duration::from_secs(2);

/// What runs in the background.
pub(super) struct Outside {
    operator: Arc<Operator>,
    into: mpsc::Sender<Event>,
    hints: Hints,
    tasks: JoinSet<()>,
    /// Deployments of ours that can be aborted.
    aborts: HashMap<Id, CancellationToken>,
    log: Option<AbortHandle>,
    history: Option<AbortHandle>,
    /// Where the looks are kept.
    memory: Option<PathBuf>,
    pump: JoinHandle<()>,
    stop: CancellationToken,
}

impl Outside {
    /// Begins to watch; what happens comes out of the receiver.
    pub(super) async fn begin(
        mut operator: Operator,
        memory: Option<PathBuf>,
    ) -> Result<(Self, mpsc::Receiver<Event>), crate::bus::LinkError> {
        let (into, events) = mpsc::channel(ROOM);
        let watch = operator.watch().await?;
        let hints = watch.hints();
        let stop = CancellationToken::new();
        let pump = tokio::spawn(pump(watch, into.clone(), stop.clone()));
        let operator = Arc::new(operator);
        let mut tasks = JoinSet::new();
        tasks.spawn(measure(operator.clone(), into.clone()));
        let aborts = HashMap::new();
        Ok((
            Self { operator, into, hints, tasks, aborts, log: None, history: None, memory, pump, stop },
            events,
        ))
    }

    /// Carries out an effect that needs nothing of the terminal.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Send(plan) => {
                let abort = CancellationToken::new();
                let sending =
                    order::send(self.operator.clone(), *plan.clone(), abort.clone(), self.into.clone());
                self.tasks.spawn(sending);
                self.aborts.insert(plan.id, abort);
            }
            Effect::Abort(id) => {
                // One that has ended is not there to hear it.
                if let Some(abort) = self.aborts.remove(&id) {
                    abort.cancel();
                }
            }
            Effect::Log(key) => {
                let log = |key| log(self.operator.clone(), self.hints.clone(), key, self.into.clone());
                self.follow(key.map(log));
            }
            Effect::WholeLog(key) => {
                let (operator, hints) = (self.operator.clone(), self.hints.clone());
                self.follow(Some(whole_log::follow(operator, hints, key, self.into.clone())));
            }
            Effect::Job(key) => {
                self.tasks.spawn(whole_log::job(self.operator.clone(), key, self.into.clone()));
            }
            Effect::SaveLog(file) => {
                self.tasks.spawn(whole_log::save(*file, self.into.clone()));
            }
            Effect::History(host) => {
                let asking = self.tasks.spawn(history(self.operator.clone(), host, self.into.clone()));
                if let Some(before) = self.history.replace(asking) {
                    before.abort();
                }
            }
            Effect::Heads(flakes, branch) => {
                let (into, operator) = (self.into.clone(), self.operator.clone());
                self.tasks.spawn(async move {
                    let found = heads(flakes, &branch, HEADS_WITHIN, &operator.credentials).await;
                    let _ = into.send(Event::Heads(found)).await;
                });
            }
            Effect::Remember(looks) => {
                if let Some(file) = self.memory.clone() {
                    self.tasks.spawn(keep(looks, file, self.into.clone()));
                }
            }
            Effect::Copy(_)
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Shell(_)
            | Effect::Switch(_)
            | Effect::Quit => {}
        }
    }

    /// Follows a log in place of the one before.
    fn follow(&mut self, log: Option<impl Future<Output = ()> + Send + 'static>) {
        if let Some(before) = self.log.take() {
            before.abort();
        }
        self.log = log.map(|log| self.tasks.spawn(log));
    }

    /// Forgets tasks that have ended; their panics were told already.
    pub(super) fn tidy(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    /// Ends it all; the roster is written down first.
    pub(super) async fn end(self) {
        self.stop.cancel();
        // A disk that hangs must not hold up whoever leaves.
        let _ = timeout(FAREWELL, self.pump).await;
    }
}

/// Hands on what the watch brings, and writes the roster down now and then.
async fn pump(mut watch: Watch, into: mpsc::Sender<Event>, stop: CancellationToken) {
    let mut save_at = Instant::now() + SAVE;
    let mut saving: Option<JoinHandle<()>> = None;
    loop {
        let news = tokio::select! {
            () = stop.cancelled() => break,
            news = watch.next() => news,
        };
        let event = match news {
            News::Messages(messages) => Event::Messages(messages, Timestamp::now()),
            News::Link(link) => Event::Link(seen(link)),
            News::Refused(refusal) => Event::Refused(refusal),
            News::NoBuilds => Event::NoBuilds,
            News::Build(build) => {
                let (id, report) = *build;
                Event::Build(id, Box::new(report), Timestamp::now())
            }
        };
        if into.send(event).await.is_err() {
            break;
        }
        // Beside the reading: what came while a slow disk holds this up would have to be kept.
        if Instant::now() >= save_at && saving.as_ref().is_none_or(JoinHandle::is_finished) {
            save_at = Instant::now() + SAVE;
            saving = Some(tokio::spawn(save(watch.roster().clone(), into.clone())));
        }
    }
    if let Some(saving) = saving {
        // Its panic was told.
        let _ = saving.await;
    }
    save(watch.roster().clone(), into).await;
}

async fn save(roster: Roster, into: mpsc::Sender<Event>) {
    if let Ok(Err(error)) = spawn_blocking(move || roster.save()).await {
        let title = "The roster could not be kept".to_owned();
        // While leaving nobody listens any more.
        let _ = into.try_send(Event::Fault(Fault { title, text: error.to_string() }));
    }
}

/// Writes down how the table is looked at.
async fn keep(looks: Memory, file: PathBuf, into: mpsc::Sender<Event>) {
    if let Ok(Err(error)) = spawn_blocking(move || looks.save(&file)).await {
        let title = "Sort, filter and columns".to_owned();
        let _ = into.send(Event::Fault(Fault { title, text: error.to_string() })).await;
    }
}

/// The state of the link with times of the wall clock, by which the console counts.
fn seen(link: Link) -> LinkState {
    let wait = |at: std::time::Instant| at.saturating_duration_since(std::time::Instant::now());
    let at = |wait: Duration| Timestamp::now().checked_add(SignedDuration::try_from(wait).ok()?).ok();
    LinkState {
        up: link.up,
        connects: link.connects,
        reason: link.reason,
        next_try: link.next_try.map(wait).and_then(at),
        dropped: link.dropped,
    }
}

async fn measure(operator: Arc<Operator>, into: mpsc::Sender<Event>) {
    let mut link = operator.bus.link();
    let mut tick = interval(MEASURE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if link.wait_for(|link| link.up).await.is_err() {
            return;
        }
        let begun = Instant::now();
        if operator.bus.ping(Duration::from_secs(3)).await.is_ok()
            && into.send(Event::RoundTrip(begun.elapsed())).await.is_err()
        {
            return;
        }
    }
}

/// Follows the end of a log.
async fn log(operator: Arc<Operator>, hints: Hints, key: LogKey, into: mpsc::Sender<Event>) {
    sleep(DWELL).await;
    let (bus, host, job) = (operator.bus.clone(), key.host.clone(), key.job.clone());
    let follow = LogFollow::beside(&hints, bus, &operator.known, host, job, LogStart::Last(LOG_END)).await;
    let Ok(mut follow) = follow else { return };
    // A refusal of its subject is told by the watch.
    while let Some(Ok(news)) = follow.next().await {
        if into.send(Event::Log(key.clone(), news)).await.is_err() {
            return;
        }
    }
}

/// Asks a host for its past, and for its job with the diagnostics that announcements leave out.
async fn history(operator: Arc<Operator>, host: Name, into: mpsc::Sender<Event>) {
    let asked = in_view(&host);
    let hosts = BTreeSet::from([host.clone()]);
    let past = async {
        let replies = operator.history(&hosts, &asked, PAST).await.map_err(|error| error.to_string());
        let told = replies.map(|replies| first(replies.hosts).unwrap_or(Told::Silent));
        into.send(Event::History(host, told)).await
    };
    let job = async {
        let replies = operator.jobs(&hosts, &asked, None).await.ok()?;
        let Told::Answer(report) = first(replies.hosts)? else { return None };
        let report = Inbound::Report(Box::new((*report?).clone()));
        into.send(Event::Messages(vec![Ok(report)], Timestamp::now())).await.ok()
    };
    let _ = tokio::join!(past, job);
}

/// A host that is looked at: it gets the time of one that is there, because whoever looks at it waits for it.
fn in_view(host: &Name) -> Discovery {
    Discovery {
        fleet: Fleet::default(),
        answered: [host.clone()].into(),
        at: Timestamp::now(),
        unreadable: Vec::new(),
        unlisted: 0,
    }
}

/// What a host made of a question; of two that claim its name, one that answered.
fn first<T>(replies: Vec<(Name, Told<T>)>) -> Option<Told<T>> {
    let mut told: Vec<_> = replies.into_iter().map(|(_, told)| told).collect();
    let at = told.iter().position(Told::is_answer).unwrap_or(0);
    (at < told.len()).then(|| told.swap_remove(at))
}
