//! Keys on the event feed.

use super::fleet_screen::copy_names;
use super::host_screen;
use crate::tui::{App, Effect, EventsScreen, FeedRow, KeyCommand, LogKey, LogScreen, Screen, Tone, view};

/// Opens the feed. Histories of hosts that were not queried recently complete it.
pub(super) fn open(app: &mut App) -> Option<Effect> {
    let last_looked = app.feed.look(app.now);
    app.screens.push(Screen::Events(Box::new(EventsScreen::new(last_looked))));
    if !app.connection.up {
        return None;
    }
    let has_history =
        |host: &&crate::fleet::Host| host.job.as_ref().is_some_and(|job| job.instance.is_some());
    let hosts = app.fleet.hosts.values().filter(has_history).map(|host| &host.name);
    let due = app.durations.take_due(hosts, app.now);
    (!due.is_empty()).then_some(Effect::Durations(due))
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let page = view::rows_in_view(app.size) + 1;
    let Some(Screen::Events(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        return None;
    }
    let selected = screen.cursor.selected().copied();
    let event = match selected {
        Some(FeedRow::Event(number)) => app.feed.get(number),
        _ => None,
    };
    match (command, event) {
        (KeyCommand::Open, Some(event)) => {
            let host = event.host.clone();
            return Some(host_screen::open(app, host));
        }
        (KeyCommand::Log, Some(event)) => match event.job.clone() {
            Some(job) => {
                let key = LogKey { host: event.host.clone(), job };
                app.screens.push(Screen::Log(LogScreen::new(key)));
            }
            None => app.show_notice(Tone::Warn, "this event has no log"),
        },
        (KeyCommand::Copy, Some(_)) => return copy_names(app),
        (KeyCommand::Shell, _) => return host_screen::open_shell(app),
        _ => super::step(app, command),
    }
    None
}
