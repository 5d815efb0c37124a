//! `hosts --watch`: the fleet as it moves, until whoever watches has seen enough.

mod changes;
mod screen;
mod watched;

use super::super::exit::{Exit, Failed};
use super::super::out::{Format, Out};
use super::super::replies;
use crate::bus::LinkError;
use crate::deployer::{Discovery, News, Operator, RosterError, Watch};
use crate::protocol::{Name, printable};
use changes::{Lines, Objects};
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use screen::Screen;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use watched::Watched;

/// How much news may wait.
const ROOM: usize = 64;
/// How often it is looked at what time alone has changed: ages, and who has fallen silent.
const TICK: Duration = Duration::from_secs(1);

/// In which form the fleet is shown.
enum View {
    /// A table that is drawn anew.
    Screen(Screen),
    /// A line for each change.
    Lines(Lines),
    /// An object for each change.
    Objects(Objects),
}

/// Shows the hosts that are there, and from then on what becomes of them.
pub(super) async fn watch(
    mut operator: Operator,
    discovery: Discovery,
    (tier, role): (Option<Name>, Option<Name>),
    format: Format,
    out: &mut Out,
) -> Result<Exit, Failed> {
    let watch = operator.watch().await?;
    let stop = CancellationToken::new();
    let (into, news) = mpsc::channel(ROOM);
    let pump = tokio::spawn(pump(watch, into, stop.clone()));
    let mut view = match format {
        Format::Json => View::Objects(Objects::default()),
        Format::Human if out.live => View::Screen(Screen::default()),
        Format::Human => View::Lines(Lines::default()),
    };
    replies::note_unreadable(&discovery.unreadable, format, out);
    replies::warn_unlisted(&discovery, format, out);
    let exit = follow(Watched::new(discovery.fleet, tier, role), &mut view, news, out).await;
    stop.cancel();
    if let Ok(kept) = pump.await {
        kept?;
    }
    exit
}

/// Hands on what the watch brings, which must not be interrupted at that. Writes the roster down in the end.
async fn pump(
    mut watch: Watch,
    into: mpsc::Sender<News>,
    stop: CancellationToken,
) -> Result<(), RosterError> {
    loop {
        let news = tokio::select! {
            () = stop.cancelled() => break,
            news = watch.next() => news,
        };
        tokio::select! {
            () = stop.cancelled() => break,
            sent = into.send(news) => if sent.is_err() { break },
        }
    }
    watch.roster().save()
}

async fn follow(
    mut watched: Watched,
    view: &mut View,
    mut news: mpsc::Receiver<News>,
    out: &mut Out,
) -> Result<Exit, Failed> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let exit = loop {
        if out.closed {
            break Ok(Exit::Done);
        }
        tokio::select! {
            biased;
            _ = &mut interrupted => break Ok(Exit::Interrupted),
            () = view.due() => view.draw(&watched, out),
            _ = tick.tick() => {
                out.closed |= nobody_reads();
                view.on_tick(&watched, out);
            }
            Some(received) = news.recv() => match received {
                News::Refused(refusal) => break Err(LinkError::Refused(refusal).into()),
                // No host is about them.
                News::Build(_) | News::NoBuilds => {}
                News::Link(link) => {
                    if let Some(note) = watched.on_link(&link) {
                        view.note(&note, out);
                    }
                }
                News::Messages(messages) => {
                    let (now, mut moved) = (Timestamp::now(), BTreeSet::new());
                    for message in messages {
                        match message {
                            Ok(message) => moved.extend(watched.take(message, now)),
                            Err(error) => view.unreadable(&printable(&error.to_string()), out),
                        }
                    }
                    view.on_moved(&watched, &moved, out);
                }
            },
        }
    };
    view.end();
    exit
}

/// Whether standard output leads to a pipe whose reader is gone, which else only shows in the next thing said.
fn nobody_reads() -> bool {
    let stdout = std::io::stdout();
    let mut pipe = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut pipe, Some(&at_once)).is_ok() && pipe[0].revents().contains(PollFlags::ERR)
}

impl View {
    /// When the table may be drawn anew; never where there is nothing to draw.
    async fn due(&self) {
        match self {
            Self::Screen(screen) => screen.due().await,
            _ => std::future::pending().await,
        }
    }

    fn draw(&mut self, watched: &Watched, out: &mut Out) {
        if let Self::Screen(screen) = self {
            screen.draw(watched, out);
        }
    }

    fn on_moved(&mut self, watched: &Watched, moved: &BTreeSet<Name>, out: &mut Out) {
        let now = watched.now();
        let hosts = watched.hosts().into_iter().filter(|host| moved.contains(&host.name));
        match self {
            Self::Screen(screen) => screen.touch(),
            Self::Lines(lines) => hosts.for_each(|host| lines.tell(host, now, out)),
            Self::Objects(objects) => hosts.for_each(|host| objects.tell(host, now, out)),
        }
    }

    /// Shows what time alone has changed; at the first time, all that there is.
    fn on_tick(&mut self, watched: &Watched, out: &mut Out) {
        let now = watched.now();
        match self {
            Self::Screen(screen) => screen.touch(),
            Self::Lines(lines) => {
                let hosts = watched.hosts();
                lines.nobody(hosts.is_empty(), out);
                for host in hosts {
                    lines.tell(host, now, out);
                }
            }
            Self::Objects(objects) => {
                for host in watched.hosts() {
                    if objects.is_due(host, now) {
                        objects.tell(host, now, out);
                    }
                }
            }
        }
    }

    /// Something about the watch itself.
    fn note(&mut self, note: &str, out: &mut Out) {
        match self {
            // It tells how the link stands as long as it is down.
            Self::Screen(screen) => screen.touch(),
            Self::Lines(_) => out.line(&changes::line(&format!("note: {note}"))),
            Self::Objects(_) => out.event("note", note),
        }
    }

    fn unreadable(&mut self, error: &str, out: &mut Out) {
        let note = format!("a message could not be read: {error}");
        match self {
            Self::Screen(screen) => screen.remark(note),
            _ => self.note(&note, out),
        }
    }

    fn end(&self) {
        if let Self::Screen(screen) = self {
            screen.end();
        }
    }
}
