//! The screens of all deployments and of one deployment.

use crate::fleet::{FailureGroup, StatusCounts, failure_groups};
use crate::protocol::Id;
use crate::tui::cursor::Cursor;
use crate::tui::known_deployment::{DeploymentHost, DeploymentHostKey, KnownDeployment};
use crate::tui::screens::LineFilter;
use crate::tui::{App, view};

/// Running and past deployments of all operators.
#[derive(Debug)]
pub struct DeploymentsScreen {
    /// Ids of the deployments, in display order.
    pub cursor: Cursor<Id>,
    /// Which deployments are shown.
    pub filter: LineFilter,
    /// Failures of the selected deployment.
    pub failures: Failures,
}

/// One deployment, with the result of each host.
#[derive(Debug)]
pub struct DeploymentScreen {
    /// Id of the deployment.
    pub id: Id,
    /// Title in the path at the top.
    pub title: String,
    /// The hosts, in display order.
    pub cursor: Cursor<DeploymentHostKey>,
    /// Which hosts are shown.
    pub filter: LineFilter,
    /// Failures of the deployment.
    pub failures: Failures,
    /// First visible line of the selected host's details.
    pub top: usize,
}

/// Failures of a deployment, grouped by cause. They are cached until another result arrives.
#[derive(Debug, Default)]
pub struct Failures {
    /// The groups, the largest first.
    pub groups: Vec<FailureGroup>,
    of: Option<(Id, StatusCounts, usize)>,
}

impl DeploymentsScreen {
    pub(in crate::tui) fn new(selected: Option<Id>) -> Self {
        Self { cursor: Cursor::new(selected), filter: LineFilter::default(), failures: Failures::default() }
    }

    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        let mut ids = KnownDeployment::all(app);
        if !self.filter.is_empty() {
            let text = |id: &Id| KnownDeployment::of(app, id).map(|known| view::deployment_text(app, &known));
            ids.retain(|id| text(id).is_some_and(|text| self.filter.matches(&text)));
        }
        self.cursor.set_rows(ids, view::rows_in_view(app.size));
        if let Some(id) = self.cursor.selected() {
            self.failures.refresh_cache(app, id);
        }
    }
}

impl DeploymentScreen {
    pub(in crate::tui) fn new(id: Id, title: String) -> Self {
        Self {
            id,
            title,
            cursor: Cursor::new(None),
            filter: LineFilter::default(),
            failures: Failures::default(),
            top: 0,
        }
    }

    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        self.failures.refresh_cache(app, &self.id);
        let known = KnownDeployment::of(app, &self.id);
        let mut host_entries = known.map(|known| known.host_entries()).unwrap_or_default();
        if let Some(known) = known.filter(|_| !self.filter.is_empty()) {
            host_entries.retain(|entry| self.filter.matches(&view::deployment_host_text(app, &known, entry)));
        }
        let height = view::parts_in_view(app, self);
        let before = self.cursor.selected().cloned();
        self.cursor.set_rows(host_entries.iter().map(DeploymentHost::key).collect(), height);
        if self.cursor.selected() != before.as_ref() {
            self.top = 0;
        }
    }
}

impl Failures {
    pub(in crate::tui) fn refresh_cache(&mut self, app: &App, id: &Id) {
        let Some(known) = KnownDeployment::of(app, id) else { return };
        // A result does not change; only its diagnostics can arrive later.
        let jobs = known.reported.iter().flat_map(|reported| reported.hosts.values().flatten());
        let of = (id.clone(), known.counts().0, jobs.filter(|job| job.report.diagnostics.is_some()).count());
        if self.of.as_ref() == Some(&of) {
            return;
        }
        self.of = Some(of);
        let host_entries = known.host_entries();
        self.groups = failure_groups(host_entries.iter().filter_map(|entry| Some(&*entry.job?.report)));
    }
}
