//! The screens of all builds and of one build.

use crate::fleet::{Fleet, FleetBuild};
use crate::protocol::{Id, Name, PhaseState};
use crate::tui::cursor::Cursor;
use crate::tui::screens::LineFilter;
use crate::tui::{App, ListSort, view};

/// Running and past builds of all operators.
#[derive(Debug)]
pub struct BuildsScreen {
    /// Ids of the builds, in display order.
    pub cursor: Cursor<Id>,
    /// Which builds are shown.
    pub filter: LineFilter,
    /// The order of the builds.
    pub sort: ListSort,
}

/// One build, with the state of each host.
#[derive(Debug)]
pub struct BuildScreen {
    /// Id of the build.
    pub id: Id,
    /// Title in the path at the top.
    pub title: String,
    /// Names of the hosts, in display order.
    pub cursor: Cursor<Name>,
}

impl BuildsScreen {
    pub(in crate::tui) fn new() -> Self {
        Self { cursor: Cursor::new(None), filter: LineFilter::default(), sort: ListSort::default() }
    }

    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        let builds = in_order(&app.fleet).into_iter();
        let builds = builds
            .filter(|build| self.filter.is_empty() || self.filter.matches(&view::build_text(app, build)));
        let mut builds: Vec<_> = builds.collect();
        self.sort.arrange(&mut builds, |column, a, b| match column {
            "when" => b.first_seen.cmp(&a.first_seen),
            "target" => a.report.target.cmp(&b.report.target),
            "repo" => a.report.repo.cmp(&b.report.repo),
            "commit" => a.report.commit.cmp(&b.report.commit),
            // The worst result comes first.
            _ => b.count(&PhaseState::Failed).cmp(&a.count(&PhaseState::Failed)),
        });
        let ids = builds.into_iter().map(|build| build.id.clone()).collect();
        self.cursor.set_rows(ids, view::rows_in_view(app.size));
    }
}

impl BuildScreen {
    pub(in crate::tui) fn new(id: Id, title: String) -> Self {
        Self { id, title, cursor: Cursor::staying_first() }
    }

    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        let hosts = app.fleet.build(&self.id).map(FleetBuild::hosts).unwrap_or_default();
        let names = hosts.into_iter().map(|host| host.hostname.clone()).collect();
        self.cursor.set_rows(names, view::built_in_view(app, self));
    }
}

/// The builds: running ones first, then the newest.
fn in_order(fleet: &Fleet) -> Vec<&FleetBuild> {
    let mut builds: Vec<_> = fleet.builds.iter().collect();
    builds.sort_by_key(|build| (build.is_finished(), std::cmp::Reverse(build.first_seen)));
    builds
}
