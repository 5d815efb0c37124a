//! Keys on the heat map.

use super::fleet_screen::{self, ask_to_cancel, copy_names, open_form};
use super::{events_screen, host_screen, logs_screen};
use crate::tui::{App, Effect, FormKind, HeatMapScreen, KeyCommand, Screen, view};

/// Opens the heat map at the selected host.
pub(super) fn open(app: &mut App) {
    let selected = app.host().map(|host| host.name.clone());
    app.screens.push(Screen::HeatMap(Box::new(HeatMapScreen::new(selected))));
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let Some(Screen::HeatMap(screen)) = app.screens.last() else { return None };
    let (columns, page) = view::heat_map_page(app, screen);
    let Some(Screen::HeatMap(screen)) = app.screens.last_mut() else { return None };
    if screen.go(command, columns, page) {
        return None;
    }
    let selected = screen.host().cloned();
    match (command, selected) {
        (KeyCommand::ColourBy, _) => screen.key = screen.key.next(),
        (KeyCommand::Mark, Some(host)) => {
            if !app.table.marks.remove(&host) {
                app.table.marks.insert(host);
            }
            if let Some(Screen::HeatMap(screen)) = app.screens.last_mut() {
                screen.go(KeyCommand::Right, columns, page);
            }
        }
        (KeyCommand::MarkAll, Some(_)) => app.table.mark_all(),
        (KeyCommand::Open, Some(host)) => return Some(host_screen::open(app, host)),
        (KeyCommand::Copy, Some(_)) => return copy_names(app),
        (KeyCommand::Deploy, Some(_)) => open_form(app, FormKind::Deploy),
        (KeyCommand::Diff, Some(_)) => open_form(app, FormKind::Diff),
        (KeyCommand::Rollback, Some(_)) => open_form(app, FormKind::Rollback(None)),
        (KeyCommand::Reboot, Some(_)) => open_form(app, FormKind::Reboot),
        (KeyCommand::Cancel, Some(_)) => ask_to_cancel(app, app.target_hosts()),
        (KeyCommand::Filter | KeyCommand::Faults, _) => return fleet_screen::act(app, command),
        (KeyCommand::Logs, _) => logs_screen::open(app),
        (KeyCommand::Events, _) => return events_screen::open(app),
        (KeyCommand::Shell, _) => return host_screen::open_shell(app),
        _ => super::step(app, command),
    }
    None
}
