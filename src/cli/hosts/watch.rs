//! `hosts --watch`: show changes of the fleet until interrupted.

use super::changes::{JsonDiff, LineDiff, timestamped};
use super::live_table::LiveTable;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::output::{Format, Output};
use crate::cli::replies;
use crate::client::{Discovery, InventoryError, Operator, Watch, WatchEvent};
use crate::fleet::{Fleet, Host};
use crate::nats::{ConnectionState, NatsError};
use crate::protocol::{Inbound, Name};
use crate::text::printable;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Number of events that can be buffered.
const CHANNEL_CAPACITY: usize = 64;
/// Interval to refresh what changes with time alone: ages, and hosts that become stale.
const TICK: Duration = Duration::from_secs(1);

/// Output form of the watch.
enum WatchOutput {
    /// A table that is redrawn in place.
    Table(LiveTable),
    /// One line per change.
    Lines(LineDiff),
    /// One JSON object per change.
    Objects(JsonDiff),
}

/// Shows the current hosts, then every change.
pub(super) async fn watch(
    mut operator: Operator,
    discovery: Discovery,
    (tier, role): (Option<Name>, Option<Name>),
    format: Format,
    out: &mut Output,
) -> Result<Exit, CommandError> {
    let watch = Watch::start(&mut operator).await?;
    let stop = CancellationToken::new();
    let (into, events) = mpsc::channel(CHANNEL_CAPACITY);
    let pump = tokio::spawn(pump(watch, into, stop.clone()));
    let mut view = match format {
        Format::Json => WatchOutput::Objects(JsonDiff::default()),
        Format::Human if out.live => WatchOutput::Table(LiveTable::default()),
        Format::Human => WatchOutput::Lines(LineDiff::default()),
    };
    replies::note_unreadable(&discovery.unreadable, format, out);
    replies::warn_unrecorded(&discovery, format, out);
    let exit = follow(WatchState::new(discovery.fleet, tier, role), &mut view, events, out).await;
    stop.cancel();
    if let Ok(saved) = pump.await {
        saved?;
    }
    exit
}

/// Forwards events. A separate task, because `Watch::next` must not be interrupted. Saves the inventory at the end.
async fn pump(
    mut watch: Watch,
    into: mpsc::Sender<WatchEvent>,
    stop: CancellationToken,
) -> Result<(), InventoryError> {
    loop {
        let event = tokio::select! {
        () = stop.cancelled() => break,
        event = watch.next() => event,
        };
        tokio::select! {
            () = stop.cancelled() => break,
            sent = into.send(event) => if sent.is_err() { break },
        }
    }
    watch.inventory().save()
}

async fn follow(
    mut state: WatchState,
    view: &mut WatchOutput,
    mut events: mpsc::Receiver<WatchEvent>,
    out: &mut Output,
) -> Result<Exit, CommandError> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let exit = loop {
        if out.closed {
            break Ok(Exit::Success);
        }
        tokio::select! {
            biased;
            _ = &mut interrupted => break Ok(Exit::Interrupted),
            () = view.wait_until_due() => view.draw(&state, out),
            _ = tick.tick() => {
                out.closed |= is_reader_gone();
                view.on_tick(&state, out);
            }
            Some(received) = events.recv() => match received {
                WatchEvent::PermissionDenied(violation) => break Err(NatsError::PermissionViolation(violation).into()),
                // Build events do not concern hosts.
                WatchEvent::Build(_)
                | WatchEvent::BuildsDenied
                | WatchEvent::Rollout(_)
                | WatchEvent::RolloutsDenied(_) => {}
                WatchEvent::Connection(connection) => {
                    if let Some(note) = state.on_connection(&connection) {
                        view.note(&note, out);
                    }
                }
                WatchEvent::Messages(messages) => {
                    let (now, mut moved) = (Timestamp::now(), BTreeSet::new());
                    for message in messages {
                        match message {
                            Ok(message) => moved.extend(state.apply(message, now)),
                            Err(error) => view.unreadable(&printable(&error.to_string()), out),
                        }
                    }
                    view.on_moved(&state, &moved, out);
                }
            },
        }
    };
    view.end();
    exit
}

/// Whether standard output is a pipe without a reader, which would otherwise be noticed only at the next write.
fn is_reader_gone() -> bool {
    let stdout = std::io::stdout();
    let mut pipe = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut pipe, Some(&at_once)).is_ok() && pipe[0].revents().contains(PollFlags::ERR)
}

impl WatchOutput {
    /// Waits until the table can be redrawn. Never returns if there is nothing to draw.
    async fn wait_until_due(&self) {
        match self {
            Self::Table(table) => table.wait_until_due().await,
            _ => std::future::pending().await,
        }
    }

    fn draw(&mut self, state: &WatchState, out: &mut Output) {
        if let Self::Table(table) = self {
            table.draw(state, out);
        }
    }

    fn on_moved(&mut self, state: &WatchState, moved: &BTreeSet<Name>, out: &mut Output) {
        let now = state.now();
        let hosts = state.hosts().into_iter().filter(|host| moved.contains(&host.name));
        match self {
            Self::Table(table) => table.invalidate(),
            Self::Lines(lines) => hosts.for_each(|host| lines.print(host, now, out)),
            Self::Objects(objects) => hosts.for_each(|host| objects.print(host, now, out)),
        }
    }

    /// Shows what changed with time alone; the first call shows all hosts.
    fn on_tick(&mut self, state: &WatchState, out: &mut Output) {
        let now = state.now();
        match self {
            Self::Table(table) => table.invalidate(),
            Self::Lines(lines) => {
                let hosts = state.hosts();
                lines.print_no_hosts(hosts.is_empty(), out);
                for host in hosts {
                    lines.print(host, now, out);
                }
            }
            Self::Objects(objects) => {
                for host in state.hosts() {
                    if objects.is_due(host, now) {
                        objects.print(host, now, out);
                    }
                }
            }
        }
    }

    /// Shows a note about the watch itself.
    fn note(&mut self, note: &str, out: &mut Output) {
        match self {
            // The table shows the connection state while it is down.
            Self::Table(table) => table.invalidate(),
            Self::Lines(_) => out.line(&timestamped(&format!("note: {note}"))),
            Self::Objects(_) => out.event("note", note),
        }
    }

    fn unreadable(&mut self, error: &str, out: &mut Output) {
        let note = format!("a message could not be read: {error}");
        match self {
            Self::Table(table) => table.set_note(note),
            _ => self.note(&note, out),
        }
    }

    fn end(&self) {
        if let Self::Table(table) = self {
            table.end();
        }
    }
}

/// The fleet and the filter for the shown hosts.
pub(super) struct WatchState {
    fleet: Fleet,
    tier: Option<Name>,
    role: Option<Name>,
    /// When the connection was lost, and why.
    lost: Option<(Timestamp, String)>,
}

impl WatchState {
    fn new(fleet: Fleet, tier: Option<Name>, role: Option<Name>) -> Self {
        Self { fleet, tier, role, lost: None }
    }

    /// The hosts that match the filter, by name.
    pub(super) fn hosts(&self) -> Vec<&Host> {
        let mut hosts = self.fleet.hosts_by_name();
        hosts.retain(|host| {
            (self.tier.is_none() || host.tier == self.tier) && (self.role.is_none() || host.role == self.role)
        });
        hosts
    }

    /// The time to judge staleness by. It does not advance while disconnected, because hosts cannot be heard then.
    pub(super) fn now(&self) -> Timestamp {
        self.lost.as_ref().map_or_else(Timestamp::now, |(since, _)| *since)
    }

    /// Applies a message. Returns the host that may have changed.
    fn apply(&mut self, message: Inbound, now: Timestamp) -> Option<Name> {
        let host = message.hostname().clone();
        self.fleet.apply(message, now).then_some(host)
    }

    /// Applies a connection state. Returns a note for the operator.
    fn on_connection(&mut self, connection: &ConnectionState) -> Option<String> {
        match (connection.up, self.lost.take()) {
            (true, Some((since, _))) => {
                self.fleet.excuse_outage(since, Timestamp::now());
                Some("reconnected; all hosts were queried".to_owned())
            }
            (true, None) => None,
            (false, lost) => {
                let reason = printable(connection.reason.as_deref().unwrap_or("connecting"));
                let is_new = lost.is_none();
                self.lost = Some((lost.map_or_else(|| self.now(), |(since, _)| since), reason));
                is_new.then(|| self.connection_error()).flatten()
            }
        }
    }

    /// Describes why there is no connection.
    pub(super) fn connection_error(&self) -> Option<String> {
        let (_, reason) = self.lost.as_ref()?;
        Some(format!("not connected: {reason}; retrying, no updates until then"))
    }
}
