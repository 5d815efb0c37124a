//! The table of hosts: which are shown and in which order, which row is selected, which hosts are marked.
//!
//! The order is cached. Whoever changes what it depends on marks it stale; it is made anew before the next frame.

mod row;
mod sort;

pub use row::{Group, Row};
pub use sort::Sort;

use super::Filter;
use crate::fleet::{Fleet, Heads, Host, natural};
use crate::protocol::Name;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The rows of the fleet screen.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Table {
    /// The column that rows are sorted by.
    pub sort: Sort,
    /// Whether the other way around.
    pub reverse: bool,
    /// Which hosts are shown.
    pub filter: Filter,
    /// Whether only hosts are shown that need attention.
    pub faults: bool,
    /// Whether hosts stand under the headings of their tier and role.
    pub grouped: bool,
    /// The groups whose hosts are not shown.
    pub folded: BTreeSet<Group>,
    /// Whether the columns are those of the system instead of the deployment.
    pub wide: bool,
    /// The marked hosts, shown or not.
    pub marks: BTreeSet<Name>,
    /// The first row in view.
    pub top: usize,
    /// The columns that the longest of all host names, tiers and roles takes.
    pub widths: [usize; 3],
    /// Every host, by name.
    names: Vec<Name>,
    /// The hosts that match, in order, those of folded groups too.
    listed: Vec<Name>,
    rows: Vec<Row>,
    selected: Option<Row>,
    /// The row that is selected.
    at: usize,
    fresh: bool,
    /// Whether somebody chose the selected row; until then it is the first, whoever comes.
    chosen: bool,
}

impl Table {
    /// An empty table, sorted by this column.
    pub(super) fn sorted(sort: Sort) -> Self {
        Self { sort, ..Self::default() }
    }

    /// The rows, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The hosts that match the filter, in order, those of folded groups too.
    pub fn listed(&self) -> &[Name] {
        &self.listed
    }

    /// The selected row.
    pub fn selected(&self) -> Option<&Row> {
        self.selected.as_ref()
    }

    /// The selected host.
    pub fn host(&self) -> Option<&Name> {
        self.selected.as_ref()?.host()
    }

    /// The hosts of the selected row: one, or those of its group.
    pub fn hosts(&self) -> &[Name] {
        match &self.selected {
            Some(Row::Host(name)) => std::slice::from_ref(name),
            Some(Row::Group(_, range)) => self.listed.get(range.clone()).unwrap_or_default(),
            None => &[],
        }
    }

    /// The number of the selected row.
    pub fn row(&self) -> usize {
        self.at
    }

    /// Notes that the order must be made anew.
    pub fn touch(&mut self) {
        self.fresh = false;
    }

    /// Whether the order depends on more than names: any news may change it.
    pub fn is_volatile(&self) -> bool {
        !self.filter.is_empty() || self.faults || self.grouped || self.sort != Sort::Host
    }

    /// Whether hosts are left out.
    pub fn is_filtered(&self) -> bool {
        !self.filter.is_empty() || self.faults
    }

    /// Brings the order up to date and the selected row into a view of `height` rows. The selection follows its host or
    /// group; where that is shown no more, it stays at its place.
    pub fn settle(&mut self, fleet: &Fleet, heads: Option<&Heads>, now: Timestamp, height: usize) {
        if !self.fresh {
            self.fresh = true;
            self.arrange(fleet, heads, now);
        }
        let height = height.max(1);
        self.top = self.top.min(self.rows.len().saturating_sub(height));
        self.top = self.top.clamp((self.at + 1).saturating_sub(height), self.at);
    }

    fn arrange(&mut self, fleet: &Fleet, heads: Option<&Heads>, now: Timestamp) {
        // No host ever leaves the fleet: as many are the same ones.
        if self.names.len() != fleet.hosts.len() {
            self.names = fleet.hosts.keys().cloned().collect();
            self.names.sort_unstable_by(natural);
        }
        let hosts = self.names.iter().filter_map(|name| fleet.hosts.get(name));
        let wanted =
            |host: &&Host| self.filter.matches(host, heads, now) && (!self.faults || host.has_fault(now));
        let mut listed: Vec<_> = hosts.filter(wanted).collect();
        self.sort.arrange(&mut listed, now);
        if self.reverse {
            listed.reverse();
        }
        if self.grouped {
            listed.sort_by_key(|host| (host.tier.as_ref(), host.role.as_ref()));
        }
        let mut widths = [0; 3];
        for host in fleet.hosts.values() {
            let names = [Some(&host.name), host.tier.as_ref(), host.role.as_ref()];
            for (width, name) in widths.iter_mut().zip(names) {
                // Names are ASCII.
                *width = (*width).max(name.map_or(0, |name| name.as_str().len()));
            }
        }
        self.widths = widths;
        let rows = self.rows_of(&listed);
        self.listed = listed.iter().map(|host| host.name.clone()).collect();
        self.rows = rows;
        let selected = self.selected.as_ref().filter(|_| self.chosen);
        let row = selected.and_then(|selected| self.row_of(selected, fleet));
        self.place(row.unwrap_or(self.at));
    }

    /// The rows of these hosts, with their headings.
    fn rows_of(&self, listed: &[&Host]) -> Vec<Row> {
        let row = |host: &&Host| Row::Host(host.name.clone());
        if !self.grouped {
            return listed.iter().map(row).collect();
        }
        let mut rows = Vec::with_capacity(listed.len());
        let mut start = 0;
        for hosts in listed.chunk_by(|a, b| (&a.tier, &a.role) == (&b.tier, &b.role)) {
            let end = start + hosts.len();
            let group = Group::of(hosts[0]);
            let folded = self.folded.contains(&group);
            rows.push(Row::Group(group, start..end));
            if !folded {
                rows.extend(hosts.iter().map(row));
            }
            start = end;
        }
        rows
    }

    /// Where a row is now; where its host was folded away, that is its group.
    fn row_of(&self, wanted: &Row, fleet: &Fleet) -> Option<usize> {
        let place = |row: &Row| self.rows.iter().position(|other| other.is_same(row));
        let group = || Some(Group::of(fleet.hosts.get(wanted.host()?)?));
        place(wanted).or_else(|| place(&Row::Group(group()?, 0..0)))
    }

    /// Selects a row, or the last one.
    pub fn select(&mut self, row: usize) {
        self.chosen = true;
        self.place(row);
    }

    fn place(&mut self, row: usize) {
        self.at = row.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(self.at).cloned();
    }

    /// Folds the group of the selected row, or shows its hosts.
    pub fn fold(&mut self, fleet: &Fleet, fold: bool) {
        let group = match &self.selected {
            Some(Row::Group(group, _)) => group.clone(),
            Some(Row::Host(name)) if self.grouped => match fleet.hosts.get(name) {
                Some(host) => Group::of(host),
                None => return,
            },
            _ => return,
        };
        self.chosen = true;
        if fold {
            self.folded.insert(group);
        } else {
            self.folded.remove(&group);
        }
        self.touch();
    }

    /// Whether the selected row is the heading of a group, and that is folded.
    pub fn is_folded(&self) -> Option<bool> {
        match &self.selected {
            Some(Row::Group(group, _)) => Some(self.folded.contains(group)),
            _ => None,
        }
    }

    /// Marks the hosts of the selected row; where all are marked, takes the marks away.
    pub fn mark(&mut self) {
        self.chosen = true;
        let hosts = self.hosts().to_vec();
        self.toggle(hosts);
    }

    /// Marks every host listed; where all are marked, takes those marks away.
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
