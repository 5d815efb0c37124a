//! What the network brings.

use crate::bus::Refusal;
use crate::deployer::{HostResult, LogNews, Outcome, Verdict};
use crate::fleet::{failure_groups, words};
use crate::protocol::{Id, Inbound, Status, WireError, printable};
use crate::tui::event::OrderNews;
use crate::tui::{App, LinkState, LogKey, Order, OrderState, Tone};
use jiff::Timestamp;

pub(super) fn messages(app: &mut App, messages: Vec<Result<Inbound, WireError>>, at: Timestamp) {
    for message in messages {
        match message {
            Ok(message) => one(app, message, at),
            Err(error) => {
                app.unreadable += 1;
                app.say(
                    Tone::Warn,
                    format!("a message could not be read: {}", printable(&error.to_string())),
                );
                app.dirty = true;
            }
        }
    }
}

/// Folds a message, and notes what it makes stale. What only tells that a host still lives waits for the clock.
fn one(app: &mut App, message: Inbound, at: Timestamp) {
    let name = message.hostname().clone();
    if let Inbound::Report(report) = &message
        && report.status == Status::Completed
        && let Some(commit) = &report.commit
    {
        app.doubt_heads(commit);
    }
    if let Inbound::Report(report) = &message
        && let Some(id) = &report.id
    {
        app.note_sent(id);
    }
    let rank = |app: &App| app.fleet.hosts.get(&name).map(|host| host.rank(at));
    let before = rank(app);
    let changed = app.fleet.apply(message, at);
    let moved = rank(app) != before;
    app.dirty |= changed || moved;
    if moved {
        app.counted = false;
    }
    if before.is_none() || ((changed || moved) && app.table.is_volatile()) {
        app.table.touch();
    }
}

/// Takes the state of the link; gives whether it has come up.
pub(super) fn link(app: &mut App, link: LinkState) -> bool {
    let came_up = link.up && !app.link.up;
    match (app.link.up, link.up) {
        (false, true) if link.connects > 1 => app.say(Tone::Good, "connected again; asking every host"),
        (true, false) => {
            let reason = link.reason.as_deref().unwrap_or("the connection was lost");
            app.say(Tone::Bad, format!("{}; what runs on the hosts goes on", printable(reason)));
        }
        _ => {}
    }
    if link.dropped > app.link.dropped {
        let dropped = link.dropped;
        app.say(
            Tone::Warn,
            format!("{dropped} times messages were dropped, this reads too slowly; asking again"),
        );
    }
    if !link.up {
        app.round_trip = None;
    }
    app.link = link;
    came_up
}

/// A refusal of what an order sent is told by that order.
pub(super) fn refused(app: &mut App, refusal: &Refusal) {
    let sent = |order: &Order| order.plan.parcels.iter().any(|parcel| parcel.subject == refusal.subject);
    if refusal.publish && app.orders.iter().any(sent) {
        return;
    }
    if app.refused.insert(refusal.subject.clone()) {
        app.fault("Not permitted", printable(&refusal.to_string()));
    }
}

pub(super) fn order(app: &mut App, id: &Id, news: OrderNews) {
    let Some(order) = app.orders.iter_mut().find(|order| order.plan.id == *id) else { return };
    let title = order.title();
    match news {
        OrderNews::Note(note) => app.say(Tone::Busy, printable(&note)),
        OrderNews::Again(host, id, note) => {
            order.again.insert(host, id);
            app.say(Tone::Busy, printable(&note));
        }
        OrderNews::Wave(wave) => {
            order.sent(wave.wave, app.now);
            app.say(Tone::Busy, format!("{title}: {wave}"));
        }
        OrderNews::Failed(reason) => {
            order.state = OrderState::Failed(reason.clone());
            app.fault(title, printable(&reason));
        }
        OrderNews::Ended(outcome) => {
            (order.state, order.stopped) = (OrderState::Ended, outcome.stopped);
            if order.plan.intent.action.makes_job() {
                let (tone, text) = summary(&outcome);
                app.tell(tone, format!("{title}: {text}"));
            } else {
                decided(app, &title, &outcome);
            }
        }
    }
    // Whether its hosts are still waited for counts.
    app.counted = false;
}

/// How many hosts ended how, which did not complete, and what has failed alike.
fn summary(outcome: &Outcome) -> (Tone, String) {
    let kinds = [Verdict::Completed, Verdict::Failed, Verdict::Rejected, Verdict::Unknown, Verdict::Silent];
    let mut parts = Vec::new();
    for kind in kinds {
        let hosts: Vec<_> = outcome.hosts.iter().filter(|host| host.verdict == kind).collect();
        if hosts.is_empty() {
            continue;
        }
        let who = if kind == Verdict::Completed { String::new() } else { format!(" ({})", which(&hosts)) };
        parts.push(format!("{} {}{who}", hosts.len(), kind.as_str()));
    }
    if let Some(stopped) = outcome.stopped {
        parts.push(format!("{} untouched, for {stopped}", outcome.untouched.len()));
    }
    if !outcome.left_out.is_empty() {
        let hosts: Vec<_> = outcome.left_out.iter().map(|left_out| left_out.host.as_str()).collect();
        parts.push(format!("{} left out ({})", hosts.len(), hosts.join(", ")));
    }
    let tone = if outcome.exit_code() == 0 { Tone::Good } else { Tone::Bad };
    (tone, parts.join(", "))
}

/// `web1, web2`; where many have the same cause, that instead: `6: build of foo-1.2 failed; web9`.
fn which(hosts: &[&HostResult]) -> String {
    let mut groups = failure_groups(hosts.iter().filter_map(|host| host.report.as_deref()));
    groups.retain(|group| group.hosts.len() > 1);
    let mut parts: Vec<_> = groups
        .iter()
        .take(2)
        .map(|group| match group.hosts.len() {
            all if all == hosts.len() => group.cause.clone(),
            count => format!("{count}: {}", group.cause),
        })
        .collect();
    let alike = |host: &&&HostResult| groups.iter().take(2).any(|group| group.hosts.contains(&host.host));
    let names: Vec<_> = hosts.iter().filter(|host| !alike(host)).map(|host| host.host.as_str()).collect();
    if !names.is_empty() {
        let more = if names.len() > 4 { ", …" } else { "" };
        parts.push(format!("{}{more}", names[..names.len().min(4)].join(", ")));
    }
    parts.join("; ")
}

/// What each host said to a cancel, a hold or a release. A refusal stays until it was read.
fn decided(app: &mut App, title: &str, outcome: &Outcome) {
    let said = outcome.hosts.iter().map(|result| match &result.report {
        Some(report) => format!("{}: {}", result.host, words::progress_of(report)),
        None => format!("{}: no answer", result.host),
    });
    let said = said.collect::<Vec<_>>().join("\n");
    if outcome.exit_code() == 0 {
        app.tell(Tone::Good, said.replace('\n', "; "));
    } else {
        app.fault(title, said);
    }
}

pub(super) fn log(app: &mut App, key: &LogKey, news: LogNews) {
    if let Some(log) = app.log.as_mut().filter(|log| log.key == *key) {
        log.apply(news);
    }
}
