//! Keys on the folded changes of a deployment.

use super::{host_screen, log_screen};
use crate::protocol::Id;
use crate::text::format;
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::{App, ChangeRow, ChangesScreen, Effect, KeyCommand, Screen, Tone, view};

/// Opens the changes of this deployment.
pub(super) fn open_for(app: &mut App, id: Id) {
    let title = KnownDeployment::of(app, &id).map(|known| known.title()).unwrap_or_default();
    app.screens.push(Screen::Changes(Box::new(ChangesScreen::new(id, title))));
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let page = view::rows_in_view(app.size) + 1;
    let Some(Screen::Changes(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        return None;
    }
    match (command, screen.cursor.selected().cloned()) {
        (KeyCommand::Open, Some(ChangeRow::Change(text))) => {
            if !screen.unfolded.remove(&text) {
                screen.unfolded.insert(text);
            }
        }
        (KeyCommand::Open, Some(ChangeRow::Host(_, host))) => return Some(host_screen::open(app, host)),
        (KeyCommand::Log, Some(ChangeRow::Host(..))) => log_screen::open(app),
        (KeyCommand::Shell, _) => return host_screen::open_shell(app),
        (KeyCommand::Mark, Some(_)) => {
            let hosts = screen.selected().map(|change| change.hosts.clone()).unwrap_or_default();
            app.show_notice(Tone::Good, format!("marked {}", format::count(hosts.len(), "host")));
            app.table.marks.extend(hosts);
        }
        (KeyCommand::Copy, Some(_)) => {
            let hosts = screen.selected().map(|change| change.hosts.clone()).unwrap_or_default();
            let names: Vec<_> = hosts.iter().map(ToString::to_string).collect();
            app.show_notice(
                Tone::Good,
                format!("copied the names of {}", format::count(names.len(), "host")),
            );
            return Some(Effect::Copy(names.join("\n")));
        }
        _ => super::step(app, command),
    }
    None
}
