//! The screen of all deployments, and that of one.

use crate::fleet::{FailureGroup, Tally, failure_groups};
use crate::protocol::Id;
use crate::tui::cursor::Cursor;
use crate::tui::deployments::{Known, Part, PartKey};
use crate::tui::{App, view};

/// Running and past deployments of all operators.
#[derive(Debug)]
pub struct DeploymentsScreen {
    /// Which, in order, and the selected one.
    pub cursor: Cursor<Id>,
    /// The failures of the selected one.
    pub failures: Failures,
}

/// One deployment: the result of each host.
#[derive(Debug)]
pub struct DeploymentScreen {
    /// Which.
    pub id: Id,
    /// What it is called in the path.
    pub title: String,
    /// The hosts, in order, and the selected one.
    pub cursor: Cursor<PartKey>,
    /// Its failures.
    pub failures: Failures,
    /// The first line in view of what is told of the selected host.
    pub top: usize,
}

/// The failures of a deployment, those with the same cause together. They are gathered anew only where a verdict has come.
#[derive(Debug, Default)]
pub struct Failures {
    /// The groups, the largest first.
    pub groups: Vec<FailureGroup>,
    of: Option<(Id, Tally, usize)>,
}

impl DeploymentsScreen {
    pub(in crate::tui) fn new(selected: Option<Id>) -> Self {
        Self { cursor: Cursor::new(selected), failures: Failures::default() }
    }

    pub(in crate::tui) fn settle(&mut self, app: &App) {
        self.cursor.settle(Known::all(app), view::rows_in_view(app.size));
        if let Some(id) = self.cursor.selected() {
            self.failures.settle(app, id);
        }
    }
}

impl DeploymentScreen {
    pub(in crate::tui) fn new(id: Id, title: String) -> Self {
        Self { id, title, cursor: Cursor::new(None), failures: Failures::default(), top: 0 }
    }

    pub(in crate::tui) fn settle(&mut self, app: &App) {
        self.failures.settle(app, &self.id);
        let parts = Known::of(app, &self.id).map(|known| known.parts()).unwrap_or_default();
        let height = view::parts_in_view(app, self);
        let before = self.cursor.selected().cloned();
        self.cursor.settle(parts.iter().map(Part::key).collect(), height);
        if self.cursor.selected() != before.as_ref() {
            self.top = 0;
        }
    }
}

impl Failures {
    fn settle(&mut self, app: &App, id: &Id) {
        let Some(known) = Known::of(app, id) else { return };
        // A verdict stands, and may only gain its diagnostics.
        let jobs = known.heard.iter().flat_map(|heard| heard.hosts.values().flatten());
        let of = (id.clone(), known.counts().0, jobs.filter(|job| job.report.diagnostics.is_some()).count());
        if self.of.as_ref() == Some(&of) {
            return;
        }
        self.of = Some(of);
        let parts = known.parts();
        self.groups = failure_groups(parts.iter().filter_map(|part| Some(&*part.job?.report)));
    }
}
