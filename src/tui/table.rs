//! The table of hosts: which hosts are shown, their order, the selected row and the marked hosts.
//!
//! The rows are cached. Code that changes an input of their order invalidates them; the next frame recomputes them.

mod row;
mod sort;

pub use row::{HostGroup, TableRow};
pub use sort::Sort;

use super::Filter;
use super::fleet_counts::PlaceChange;
use crate::fleet::{BranchHeads, Fleet, Host, natural_cmp};
use crate::protocol::Name;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The rows of the fleet screen.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate switch")]
pub struct Table {
    /// Sort column.
    pub sort: Sort,
    /// Whether the sort order is reversed.
    pub reverse: bool,
    /// The filter of the operator.
    pub filter: Filter,
    /// Whether only hosts that need attention are shown.
    pub faults: bool,
    /// Whether hosts are grouped by tier and role.
    pub grouped: bool,
    /// Groups whose hosts are hidden.
    pub folded: BTreeSet<HostGroup>,
    /// Whether the columns show the system instead of the deployment.
    pub wide: bool,
    /// Marked hosts, including those that are not shown.
    pub marks: BTreeSet<Name>,
    /// Index of the first visible row.
    pub top: usize,
    /// Width of the longest host name, tier and role.
    pub widths: [usize; 3],
    /// All hosts, in natural order.
    names: Vec<Name>,
    /// Hosts that match the filter, in display order, including those of folded groups.
    listed: Vec<Name>,
    arrangements: u64,
    rows: Vec<TableRow>,
    selected: Option<TableRow>,
    /// Index of the selected row.
    at: usize,
    fresh: bool,
    /// Whether the operator has moved the selection; until then the first row is selected, whichever host it is.
    chosen: bool,
}

impl Table {
    /// Creates an empty table with this sort column.
    pub(super) fn sorted(sort: Sort) -> Self {
        Self { sort, ..Self::default() }
    }

    /// The rows, in display order.
    pub fn rows(&self) -> &[TableRow] {
        &self.rows
    }

    /// How often the listed hosts were arranged so far: as long as it stays, [`Table::listed`] is the same.
    pub(super) fn arrangements(&self) -> u64 {
        self.arrangements
    }

    /// The hosts that match the filter, in display order, including those of folded groups.
    pub fn listed(&self) -> &[Name] {
        &self.listed
    }

    /// The selected row; `None` if the table is empty.
    pub fn selected(&self) -> Option<&TableRow> {
        self.selected.as_ref()
    }

    /// The selected host; `None` on a group heading.
    pub fn host(&self) -> Option<&Name> {
        self.selected.as_ref()?.host()
    }

    /// The hosts of the selected row: one host, or all hosts of a group.
    pub fn hosts(&self) -> &[Name] {
        match &self.selected {
            Some(TableRow::Host(name)) => std::slice::from_ref(name),
            Some(TableRow::Group(_, range)) => self.listed.get(range.clone()).unwrap_or_default(),
            None => &[],
        }
    }

    /// Index of the selected row.
    pub fn row(&self) -> usize {
        self.at
    }

    /// Marks the rows as stale.
    pub fn invalidate(&mut self) {
        self.fresh = false;
    }

    /// Whether the rows depend on more than the severity and the place of the hosts, so that any report can change them.
    pub(super) fn follows_reports(&self) -> bool {
        !self.filter.is_empty() || self.sort.follows_reports()
    }

    /// Marks the rows as stale if they depend on what has changed of a host.
    pub(super) fn invalidate_if_moved(&mut self, change: PlaceChange) {
        let by_rank = self.faults || matches!(self.sort, Sort::Attention | Sort::State);
        if change.group || change.rank && by_rank {
            self.invalidate();
        }
    }

    /// Whether some hosts are hidden.
    pub fn is_filtered(&self) -> bool {
        !self.filter.is_empty() || self.faults
    }

    /// Updates stale rows. The selection follows its host or group; if that is no longer shown, the same row stays
    /// selected.
    pub fn refresh_rows(&mut self, fleet: &Fleet, heads: Option<&BranchHeads>, now: Timestamp) {
        if !self.fresh {
            self.fresh = true;
            self.arrange(fleet, heads, now);
        }
    }

    /// Scrolls the selected row into a view of `height` rows.
    pub fn scroll_to_selected(&mut self, height: usize) {
        let height = height.max(1);
        self.top = self.top.min(self.rows.len().saturating_sub(height));
        self.top = self.top.clamp((self.at + 1).saturating_sub(height), self.at);
        // The heading above the first host stays in view.
        if self.top == 1 && self.at < height {
            self.top = 0;
        }
    }

    fn arrange(&mut self, fleet: &Fleet, heads: Option<&BranchHeads>, now: Timestamp) {
        // The fleet never removes a host, so an equal number means the same hosts.
        if self.names.len() != fleet.hosts.len() {
            self.names = fleet.hosts.keys().cloned().collect();
            self.names.sort_unstable_by(natural_cmp);
        }
        let hosts = self.names.iter().filter_map(|name| fleet.hosts.get(name));
        let wanted = |host: &&Host| {
            self.filter.matches(host, heads, now) && (!self.faults || host.needs_attention(now))
        };
        let mut listed: Vec<_> = hosts.filter(wanted).collect();
        self.sort.arrange(&mut listed, now);
        if self.reverse {
            listed.reverse();
        }
        if self.grouped {
            listed.sort_by_key(|host| (host.tier.as_ref(), host.role.as_ref()));
        }
        let mut widths = [0; 3];
        for host in &listed {
            let names = [Some(&host.name), host.tier.as_ref(), host.role.as_ref()];
            for (width, name) in widths.iter_mut().zip(names) {
                // Names are ASCII, so their length is their width.
                *width = (*width).max(name.map_or(0, |name| name.as_str().len()));
            }
        }
        self.widths = widths;
        let rows = self.rows_of(&listed, now);
        self.arrangements += 1;
        self.listed = listed.iter().map(|host| host.name.clone()).collect();
        self.rows = rows;
        let selected = self.selected.as_ref().filter(|_| self.chosen);
        let row = selected.and_then(|selected| self.row_of(selected));
        let first = || self.rows.iter().position(|row| row.host().is_some()).filter(|_| !self.chosen);
        self.place(row.or_else(first).unwrap_or(self.at));
    }

    /// The rows of these hosts, with group headings.
    fn rows_of(&self, listed: &[&Host], now: Timestamp) -> Vec<TableRow> {
        let row = |host: &&Host| TableRow::Host(host.name.clone());
        let group_of: &dyn Fn(&Host) -> HostGroup = match (self.grouped, self.sort) {
            (true, _) => &HostGroup::of,
            (false, Sort::Attention) => &|host| HostGroup::attention(host.status(now).group()),
            (false, _) => return listed.iter().map(row).collect(),
        };
        let groups: Vec<_> = listed.iter().map(|host| group_of(host)).collect();
        // One heading above all hosts says nothing.
        if !self.grouped && groups.windows(2).all(|pair| pair[0] == pair[1]) {
            return listed.iter().map(row).collect();
        }
        let mut rows = Vec::with_capacity(listed.len());
        let mut start = 0;
        for group in groups.chunk_by(PartialEq::eq) {
            let end = start + group.len();
            let folded = self.folded.contains(&group[0]);
            rows.push(TableRow::Group(group[0].clone(), start..end));
            if !folded {
                rows.extend(listed[start..end].iter().map(row));
            }
            start = end;
        }
        rows
    }

    /// Index of a row; for a host in a folded group, the index of the group heading.
    fn row_of(&self, wanted: &TableRow) -> Option<usize> {
        let place = |row: &TableRow| self.rows.iter().position(|other| other.is_same(row));
        let heading = || {
            let at = self.listed.iter().position(|name| Some(name) == wanted.host())?;
            self.rows.iter().position(|row| matches!(row, TableRow::Group(_, range) if range.contains(&at)))
        };
        place(wanted).or_else(heading)
    }

    /// Selects a row, or the last row if there are fewer.
    pub fn select(&mut self, row: usize) {
        self.chosen = true;
        self.place(row);
    }

    /// Selects the first row; without groups, that is the first host, not the heading above it.
    pub fn select_first(&mut self) {
        let first = self.rows.iter().position(|row| row.host().is_some()).filter(|_| !self.grouped);
        self.select(first.unwrap_or(0));
    }

    fn place(&mut self, row: usize) {
        self.at = row.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(self.at).cloned();
    }

    /// Folds or unfolds the group of the selected row.
    pub fn fold(&mut self, fold: bool) {
        let above = self.rows.iter().take(self.at + 1).rev();
        let group = above.into_iter().find_map(|row| match row {
            TableRow::Group(group, _) => Some(group.clone()),
            TableRow::Host(_) => None,
        });
        let Some(group) = group else { return };
        self.chosen = true;
        if fold {
            self.folded.insert(group);
        } else {
            self.folded.remove(&group);
        }
        self.invalidate();
    }

    /// Whether the selected group is folded; `None` on a host.
    pub fn is_folded(&self) -> Option<bool> {
        match &self.selected {
            Some(TableRow::Group(group, _)) => Some(self.folded.contains(group)),
            _ => None,
        }
    }

    /// Marks the hosts of the selected row, or unmarks them if all are marked.
    pub fn mark(&mut self) {
        self.chosen = true;
        let hosts = self.hosts().to_vec();
        self.toggle(hosts);
    }

    /// Marks all listed hosts, or unmarks them if all are marked.
    pub fn mark_all(&mut self) {
        self.toggle(self.listed.clone());
    }

    fn toggle(&mut self, hosts: Vec<Name>) {
        if hosts.iter().all(|name| self.marks.contains(name)) {
            for name in &hosts {
                self.marks.remove(name);
            }
        } else {
            self.marks.extend(hosts);
        }
    }
}
