//! Keys on the screens of all builds and of one build.

use crate::protocol::Id;
use crate::text::printable;
use crate::tui::{App, BuildScreen, BuildsScreen, Effect, KeyCommand, Screen, Tone, view};

pub(super) fn open(app: &mut App) {
    app.screens.push(Screen::Builds(BuildsScreen::new()));
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let page = view::rows_in_view(app.size);
    let Some(Screen::Builds(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        return None;
    }
    match (command, screen.cursor.selected().cloned()) {
        (KeyCommand::Open, Some(id)) => open_one(app, id),
        (KeyCommand::Copy, Some(id)) => return copy_commit(app, &id),
        _ => super::step(app, command),
    }
    None
}

pub(super) fn act_on_one(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let Some(Screen::Build(screen)) = app.screens.last() else { return None };
    let (page, id) = (view::built_in_view(app, screen), screen.id.clone());
    let Some(Screen::Build(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        return None;
    }
    match command {
        KeyCommand::Copy => return copy_commit(app, &id),
        _ => super::step(app, command),
    }
    None
}

fn open_one(app: &mut App, id: Id) {
    let title = app.fleet.build(&id).map(|build| printable(&build.report.target)).unwrap_or_default();
    app.screens.push(Screen::Build(BuildScreen::new(id, title)));
}

fn copy_commit(app: &mut App, id: &Id) -> Option<Effect> {
    let Some(commit) = app.fleet.build(id).and_then(|build| build.report.commit.as_deref()).map(printable)
    else {
        app.show_notice(Tone::Warn, "the commit of this build is not known yet");
        return None;
    };
    app.show_notice(Tone::Good, format!("copied {commit}"));
    Some(Effect::Copy(commit))
}
