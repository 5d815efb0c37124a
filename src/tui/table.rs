//! The table of hosts: which hosts are shown, their order, the selected row and the marked hosts.
//!
//! The rows are cached. Code that changes an input of their order invalidates them; the next frame recomputes them.

mod row;
mod sort;

pub use row::{HostGroup, TableRow};
pub use sort::Sort;
use sort::sort_hosts;

use super::Filter;
use super::fleet_counts::PlaceChange;
use crate::fleet::{AttentionGroup, BranchHeads, Fleet, Host, natural_cmp};
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
    /// The severity of each host, in the order of `names`; unknown before a host was counted.
    ranks: Vec<u8>,
    /// Hosts that match the filter, in display order, including those of folded groups.
    listed: Vec<Name>,
    /// The listed hosts in natural order, as indices in `names`.
    members: Vec<usize>,
    memberships: u64,
    rows: Vec<TableRow>,
    selected: Option<TableRow>,
    /// Index of the selected row.
    at: usize,
    fresh: bool,
    /// Whether the rows are in the order of the severities.
    ranks_fresh: bool,
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

    /// The listed hosts in natural order, each with its index for [`Table::rank_at`].
    pub(super) fn members(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.members.iter().filter_map(|index| Some((*index, self.names.get(*index)?)))
    }

    /// A number that changes when other hosts are listed, or when the tier or the role of a host changes.
    pub(super) fn memberships(&self) -> u64 {
        self.memberships
    }

    /// The severity of a host by its index.
    pub(super) fn rank_at(&self, index: usize) -> Option<u8> {
        self.ranks.get(index).copied()
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
        self.memberships += u64::from(change.group);
        if change.group || change.rank && self.faults {
            self.invalidate();
        }
    }

    /// Applies new severities.
    pub(super) fn rerank(&mut self, changed: Vec<(Name, u8)>) {
        self.ranks_fresh &= changed.is_empty() || !self.sort.is_by_rank();
        for (name, rank) in changed {
            // A host that is not listed yet gets its severity with the next arrangement.
            if let Ok(index) = self.names.binary_search_by(|known| natural_cmp(known, &name))
                && let Some(known) = self.ranks.get_mut(index)
            {
                *known = rank;
            }
        }
    }

    /// Whether some hosts are hidden.
    pub fn is_filtered(&self) -> bool {
        !self.filter.is_empty() || self.faults
    }

    /// Updates stale rows. The selection follows its host or group; if that is no longer shown, the same row stays
    /// selected.
    pub fn refresh_rows(
        &mut self,
        fleet: &Fleet,
        heads: Option<&BranchHeads>,
        now: Timestamp,
        in_view: bool,
    ) {
        if !self.fresh {
            self.arrange(fleet, heads, now);
        } else if !in_view {
            // The order by severity can wait until the rows are shown.
            return;
        } else if !self.ranks_fresh {
            let shows_all = !self.is_filtered() && self.listed.len() == fleet.hosts.len();
            if shows_all && !self.grouped && !self.reverse {
                self.arrange_by_rank();
            } else {
                self.arrange(fleet, heads, now);
            }
        }
        (self.fresh, self.ranks_fresh) = (true, true);
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
            let rank = |name| fleet.hosts.get(name).map_or(0, |host| host.rank(now));
            self.ranks = self.names.iter().map(rank).collect();
            self.memberships += 1;
        }
        let hosts = self.names.iter().enumerate();
        let hosts = hosts.filter_map(|(index, name)| Some((index, fleet.hosts.get(name)?)));
        let is_wanted = |(_, host): &(usize, &Host)| {
            self.filter.matches(host, heads, now) && (!self.faults || host.needs_attention(now))
        };
        let (members, mut listed): (Vec<_>, Vec<_>) = hosts.filter(is_wanted).unzip();
        if self.members != members {
            self.members = members;
            self.memberships += 1;
        }
        self.sort.arrange(&mut listed, now);
        if self.reverse {
            listed.reverse();
        }
        if self.grouped {
            sort_hosts(&mut listed, |a, b| (&a.tier, &a.role).cmp(&(&b.tier, &b.role)));
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
        let groups = self.groups_of(&listed, now);
        self.show(listed.iter().map(|host| host.name.clone()).collect(), groups);
    }

    /// Arranges all hosts by severity, of which only some have changed: much faster than a new arrangement.
    fn arrange_by_rank(&mut self) {
        let mut counts = [0; 1 << u8::BITS];
        self.ranks.iter().for_each(|rank| counts[usize::from(*rank)] += 1);
        let mut groups: Vec<(HostGroup, usize)> = Vec::new();
        // The place of the next host of each rank.
        let (mut places, mut start) = ([0; 1 << u8::BITS], 0);
        for (rank, count) in (0..=u8::MAX).zip(counts).filter(|(_, count)| *count > 0) {
            places[usize::from(rank)] = start;
            start += count;
            if self.sort == Sort::Attention {
                let group = HostGroup::attention(AttentionGroup::of_rank(rank));
                match groups.last_mut().filter(|(last, _)| *last == group) {
                    Some((_, hosts)) => *hosts += count,
                    None => groups.push((group, count)),
                }
            }
        }
        let mut order = vec![0; self.ranks.len()];
        for (index, rank) in self.ranks.iter().enumerate() {
            let place = &mut places[usize::from(*rank)];
            order[*place] = index;
            *place += 1;
        }
        self.show(order.into_iter().map(|index| self.names[index].clone()).collect(), groups);
    }

    /// Shows these hosts. `groups` are the groups with their numbers of hosts, in the same order, if there are any.
    fn show(&mut self, listed: Vec<Name>, groups: Vec<(HostGroup, usize)>) {
        self.rows = self.rows_of(&listed, groups);
        self.listed = listed;
        let selected = self.selected.as_ref().filter(|_| self.chosen);
        let row = selected.and_then(|selected| self.row_of(selected));
        let first = || self.rows.iter().position(|row| row.host().is_some()).filter(|_| !self.chosen);
        self.place(row.or_else(first).unwrap_or(self.at));
    }

    /// The groups of these hosts, each with its number of hosts; empty if the hosts are not grouped.
    fn groups_of(&self, listed: &[&Host], now: Timestamp) -> Vec<(HostGroup, usize)> {
        let group_of: &dyn Fn(&Host) -> HostGroup = match (self.grouped, self.sort) {
            (true, _) => &HostGroup::of,
            (false, Sort::Attention) => &|host| HostGroup::attention(host.status(now).group()),
            (false, _) => return Vec::new(),
        };
        let groups: Vec<_> = listed.iter().map(|host| group_of(host)).collect();
        groups.chunk_by(PartialEq::eq).map(|group| (group[0].clone(), group.len())).collect()
    }

    /// The rows of these hosts, with group headings.
    fn rows_of(&self, listed: &[Name], groups: Vec<(HostGroup, usize)>) -> Vec<TableRow> {
        let row = |name: &Name| TableRow::Host(name.clone());
        // One heading above all hosts says nothing.
        if groups.is_empty() || !self.grouped && groups.len() == 1 {
            return listed.iter().map(row).collect();
        }
        let mut rows = Vec::with_capacity(listed.len() + groups.len());
        let mut start = 0;
        for (group, count) in groups {
            let hosts = start..start + count;
            let is_folded = self.folded.contains(&group);
            rows.push(TableRow::Group(Box::new(group), hosts.clone()));
            if !is_folded {
                rows.extend(listed[hosts].iter().map(row));
            }
            start += count;
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
            TableRow::Group(group, _) => Some((**group).clone()),
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
