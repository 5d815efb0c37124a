//! The changes of all hosts of a deployment, folded.

use crate::fleet::{FoldedChange, StatusCounts, fold_changes};
use crate::protocol::{Id, Name};
use crate::tui::cursor::Cursor;
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::screens::LineFilter;
use crate::tui::{App, ListSort, view};
use std::collections::BTreeSet;

/// A row of the changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeRow {
    /// A change, by its text.
    Change(String),
    /// A host of the change above.
    Host(String, Name),
}

/// The changes of one deployment.
#[derive(Debug)]
pub struct ChangesScreen {
    /// Id of the deployment.
    pub id: Id,
    /// Title in the path at the top.
    pub title: String,
    /// The rows, in display order.
    pub cursor: Cursor<ChangeRow>,
    /// Which changes are shown.
    pub filter: LineFilter,
    /// The order of the changes.
    pub sort: ListSort,
    /// The changes, in display order.
    pub changes: Vec<FoldedChange>,
    /// Changes whose hosts are listed, by their text.
    pub unfolded: BTreeSet<String>,
    /// Numbers of results from which the changes were computed.
    of: Option<StatusCounts>,
}

impl ChangesScreen {
    pub(in crate::tui) fn new(id: Id, title: String) -> Self {
        let (cursor, unfolded) = (Cursor::staying_first(), BTreeSet::new());
        let filter = LineFilter::default();
        let sort = ListSort::default();
        Self { id, title, cursor, filter, sort, changes: Vec::new(), unfolded, of: None }
    }

    /// The change of this text.
    pub(in crate::tui) fn change(&self, text: &str) -> Option<&FoldedChange> {
        self.changes.iter().find(|change| change.change.describe(ARROW) == *text)
    }

    /// The selected change, or the change of the selected host.
    pub fn selected(&self) -> Option<&FoldedChange> {
        match self.cursor.selected()? {
            ChangeRow::Change(text) | ChangeRow::Host(text, _) => self.change(text),
        }
    }

    /// The selected host.
    pub fn host(&self) -> Option<&Name> {
        match self.cursor.selected()? {
            ChangeRow::Host(_, host) => Some(host),
            ChangeRow::Change(_) => None,
        }
    }

    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        let Some(known) = KnownDeployment::of(app, &self.id) else { return };
        let (counts, ..) = known.counts();
        if self.of != Some(counts) {
            self.of = Some(counts);
            let entries = known.host_entries();
            let runs = |host: &Name| app.fleet.hosts.get(host)?.answer.as_deref()?.system.as_deref();
            self.changes = fold_changes(entries.iter().filter_map(|entry| Some(&*entry.job?.report)), runs);
        }
        let mut rows = Vec::new();
        let mut changes: Vec<_> = self.changes.iter().collect();
        self.sort.arrange(&mut changes, |column, a, b| match column {
            "hosts" => b.hosts.len().cmp(&a.hosts.len()),
            _ => a.change.describe(ARROW).cmp(&b.change.describe(ARROW)),
        });
        for change in changes {
            let text = change.change.describe(ARROW);
            let note = change.change.note();
            let hosts = || change.hosts.iter().any(|host| self.filter.matches(host.as_str()));
            if !self.filter.is_empty() && !self.filter.matches(&format!("{text} {note}")) && !hosts() {
                continue;
            }
            rows.push(ChangeRow::Change(text.clone()));
            if self.unfolded.contains(&text) {
                rows.extend(change.hosts.iter().map(|host| ChangeRow::Host(text.clone(), host.clone())));
            }
        }
        self.cursor.set_rows(rows, view::rows_in_view(app.size) + 1);
    }
}

/// Separates versions in the text that identifies a change.
const ARROW: &str = "→";
