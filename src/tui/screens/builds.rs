//! The screen of the builder's builds, and that of one.

use crate::fleet::{Build, Fleet};
use crate::protocol::{Id, Name};
use crate::tui::cursor::Cursor;
use crate::tui::{App, view};

/// Running and past builds, whoever asked for them.
#[derive(Debug)]
pub struct BuildsScreen {
    /// Which, in order, and the selected one.
    pub cursor: Cursor<Id>,
}

/// One build: how each host stands.
#[derive(Debug)]
pub struct BuildScreen {
    /// Which.
    pub id: Id,
    /// What it is called in the path.
    pub title: String,
    /// The hosts, in order, and the selected one.
    pub cursor: Cursor<Name>,
}

impl BuildsScreen {
    pub(in crate::tui) fn new() -> Self {
        Self { cursor: Cursor::new(None) }
    }

    pub(in crate::tui) fn settle(&mut self, app: &App) {
        let ids = in_order(&app.fleet).into_iter().map(|build| build.id.clone()).collect();
        self.cursor.settle(ids, view::rows_in_view(app.size));
    }
}

impl BuildScreen {
    pub(in crate::tui) fn new(id: Id, title: String) -> Self {
        Self { id, title, cursor: Cursor::resting() }
    }

    pub(in crate::tui) fn settle(&mut self, app: &App) {
        let hosts = app.fleet.build(&self.id).map(Build::hosts).unwrap_or_default();
        let names = hosts.into_iter().map(|host| host.hostname.clone()).collect();
        self.cursor.settle(names, view::built_in_view(app, self));
    }
}

/// The builds: those that run first, then the newest.
fn in_order(fleet: &Fleet) -> Vec<&Build> {
    let mut builds: Vec<_> = fleet.builds.iter().collect();
    builds.sort_by_key(|build| (build.is_over(), std::cmp::Reverse(build.since)));
    builds
}
