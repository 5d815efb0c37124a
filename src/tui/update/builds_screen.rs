//! Keys on the screen of the builder's builds, and on that of one.

use crate::protocol::{Id, printable};
use crate::tui::{App, BuildScreen, BuildsScreen, Command, Effect, Screen, Tone, view};

pub(super) fn open(app: &mut App) {
    app.screens.push(Screen::Builds(BuildsScreen::new()));
}

pub(super) fn act(app: &mut App, command: Command) -> Option<Effect> {
    let page = view::rows_in_view(app.size);
    let Some(Screen::Builds(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        return None;
    }
    match (command, screen.cursor.selected().cloned()) {
        (Command::Open, Some(id)) => open_one(app, id),
        (Command::Copy, Some(id)) => return copy_commit(app, &id),
        _ => super::step(app, command),
    }
    None
}

pub(super) fn act_on_one(app: &mut App, command: Command) -> Option<Effect> {
    let Some(Screen::Build(screen)) = app.screens.last() else { return None };
    let (page, id) = (view::built_in_view(app, screen), screen.id.clone());
    let Some(Screen::Build(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        return None;
    }
    match command {
        Command::Copy => return copy_commit(app, &id),
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
        app.say(Tone::Warn, "its commit is not known yet");
        return None;
    };
    app.say(Tone::Good, format!("copied {commit}"));
    Some(Effect::Copy(commit))
}
