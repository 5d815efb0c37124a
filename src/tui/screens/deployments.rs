//! The screens of all deployments and of one deployment.

use crate::fleet::{FailureGroup, natural_cmp};
use crate::protocol::{Action, Id};
use crate::tui::cursor::Cursor;
use crate::tui::known_deployment::{DeploymentHost, DeploymentHostKey, KnownDeployment};
use crate::tui::screens::LineFilter;
use crate::tui::{App, ListSort, view};

/// Running and past deployments of all operators.
#[derive(Debug)]
pub struct DeploymentsScreen {
    /// Ids of the deployments, in display order.
    pub cursor: Cursor<Id>,
    /// Which deployments are shown.
    pub filter: LineFilter,
    /// The order of the deployments.
    pub sort: ListSort,
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
    /// The order of the hosts.
    pub sort: ListSort,
    /// Failures of the deployment.
    pub failures: Failures,
    /// First visible line of the selected host's details.
    pub top: usize,
}

/// Failures of a deployment, grouped by cause. They are cached until one changes.
#[derive(Debug, Default)]
pub struct Failures {
    /// The groups, the largest first.
    pub groups: Vec<FailureGroup>,
    of: Option<(Id, u64)>,
}

impl DeploymentsScreen {
    pub(in crate::tui) fn new(selected: Option<Id>) -> Self {
        let (filter, sort) = (LineFilter::default(), ListSort::default());
        Self { cursor: Cursor::new(selected), filter, sort, failures: Failures::default() }
    }

    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        let mut ids = KnownDeployment::all(app);
        if !self.filter.is_empty() {
            let text = |id: &Id| KnownDeployment::of(app, id).map(|known| view::deployment_text(app, &known));
            ids.retain(|id| text(id).is_some_and(|text| self.filter.matches(&text)));
        }
        self.sort(app, &mut ids);
        self.cursor.set_rows(ids, view::rows_in_view(app.size));
        if let Some(id) = self.cursor.selected() {
            self.failures.refresh_cache(app, id);
        }
    }
}

impl DeploymentsScreen {
    fn sort(&self, app: &App, ids: &mut Vec<Id>) {
        if self.sort == ListSort::default() {
            return;
        }
        let known =
            std::mem::take(ids).into_iter().filter_map(|id| Some((KnownDeployment::of(app, &id)?, id)));
        let mut known: Vec<_> = known.collect();
        self.sort.arrange(&mut known, |column, (a, _), (b, _)| match column {
            "when" => b.started_at().cmp(&a.started_at()),
            "who" => a.issuer().cmp(&b.issuer()),
            "action" => a.action().map(Action::as_str).cmp(&b.action().map(Action::as_str)),
            "revision" => a.revision_label().cmp(&b.revision_label()),
            "hosts" => b.hosts().cmp(&a.hosts()),
            // The worst result comes first.
            _ => {
                let worst = |known: &KnownDeployment<'_>| {
                    let (counts, no_answer, _) = known.counts();
                    (counts.failed, counts.rejected, no_answer)
                };
                worst(b).cmp(&worst(a))
            }
        });
        ids.extend(known.into_iter().map(|(_, id)| id));
    }
}

impl DeploymentScreen {
    pub(in crate::tui) fn new(id: Id, title: String) -> Self {
        Self {
            id,
            title,
            // Failed and running hosts move to the top.
            cursor: Cursor::staying_first(),
            filter: LineFilter::default(),
            sort: ListSort::default(),
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
        if let Some(known) = known.filter(|_| self.sort != ListSort::default()) {
            self.sort.arrange(&mut host_entries, |column, a, b| match column {
                "host" => natural_cmp(a.host, b.host),
                // The longest job comes first.
                "time" => view::deployment_host_time(app, b).cmp(&view::deployment_host_time(app, a)),
                _ => {
                    let message = |entry| view::deployment_host_message(app, &known, entry);
                    message(a).cmp(&message(b))
                }
            });
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
        let of = (id.clone(), known.failure_changes());
        if self.of.as_ref() != Some(&of) {
            self.of = Some(of);
            self.groups = known.failure_groups();
        }
    }
}
