//! The table of hosts: which are shown and in which order, which is selected, which are marked.
//!
//! The order is cached. Whoever changes what it depends on marks it stale; it is made anew before the next frame.

use super::Filter;
use crate::fleet::{Fleet, Host, words};
use crate::protocol::Name;
use jiff::Timestamp;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

/// The column that rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The name, numbers in it by their value.
    #[default]
    Host,
    /// The tier.
    Tier,
    /// The role.
    Role,
    /// The state, what wants attention first.
    State,
    /// What runs.
    Revision,
    /// The last sign of life.
    Seen,
}

/// The rows of the fleet screen.
#[derive(Debug, Default)]
pub struct Table {
    /// The column that rows are sorted by.
    pub sort: Sort,
    /// Whether the other way around.
    pub reverse: bool,
    /// Which hosts are shown.
    pub filter: Filter,
    /// The marked hosts, shown or not.
    pub marks: BTreeSet<Name>,
    /// The first row in view.
    pub top: usize,
    /// The columns that the longest of all host names, tiers and roles takes.
    pub widths: [usize; 3],
    /// Every host, by name.
    names: Vec<Name>,
    order: Vec<Name>,
    selected: Option<Name>,
    /// The row of the selected host.
    at: usize,
    fresh: bool,
    /// Whether somebody chose the selected host; until then it is the first, whoever comes.
    chosen: bool,
}

impl Table {
    /// The hosts shown, in order.
    pub fn rows(&self) -> &[Name] {
        &self.order
    }

    /// The selected host.
    pub fn selected(&self) -> Option<&Name> {
        self.selected.as_ref()
    }

    /// The row of the selected host.
    pub fn row(&self) -> usize {
        self.at
    }

    /// Notes that the order must be made anew.
    pub fn touch(&mut self) {
        self.fresh = false;
    }

    /// Whether the order depends on more than names: any news may change it.
    pub fn is_volatile(&self) -> bool {
        !self.filter.is_empty() || self.sort != Sort::Host
    }

    /// Brings the order up to date and the selected host into a view of `height` rows. The selection follows its host; where
    /// that is shown no more, it stays at its row.
    pub fn settle(&mut self, fleet: &Fleet, now: Timestamp, height: usize) {
        if !self.fresh {
            self.fresh = true;
            self.arrange(fleet, now);
        }
        let height = height.max(1);
        self.top = self.top.min(self.order.len().saturating_sub(height));
        self.top = self.top.clamp((self.at + 1).saturating_sub(height), self.at);
    }

    fn arrange(&mut self, fleet: &Fleet, now: Timestamp) {
        // No host ever leaves the fleet: as many are the same ones.
        if self.names.len() != fleet.hosts.len() {
            self.names = fleet.hosts.keys().cloned().collect();
            self.names.sort_unstable_by(natural);
        }
        let hosts = self.names.iter().filter_map(|name| fleet.hosts.get(name));
        let mut shown: Vec<_> = hosts.filter(|host| self.filter.matches(host, now)).collect();
        self.sort.arrange(&mut shown, now);
        if self.reverse {
            shown.reverse();
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
        self.order.clear();
        self.order.extend(shown.into_iter().map(|host| host.name.clone()));
        let selected = self.selected.as_ref().filter(|_| self.chosen);
        let row = selected.and_then(|selected| self.order.iter().position(|name| name == selected));
        self.place(row.unwrap_or(self.at));
    }

    /// Selects the host of a row, or of the last one.
    pub fn select(&mut self, row: usize) {
        self.chosen = true;
        self.place(row);
    }

    fn place(&mut self, row: usize) {
        self.at = row.min(self.order.len().saturating_sub(1));
        self.selected = self.order.get(self.at).cloned();
    }

    /// Marks the selected host, or takes the mark away.
    pub fn mark(&mut self) {
        self.chosen = true;
        if let Some(selected) = &self.selected
            && !self.marks.remove(selected)
        {
            self.marks.insert(selected.clone());
        }
    }

    /// Marks every host shown; where all are marked, takes those marks away.
    pub fn mark_all(&mut self) {
        if self.order.iter().all(|name| self.marks.contains(name)) {
            for name in &self.order {
                self.marks.remove(name);
            }
        } else {
            self.marks.extend(self.order.iter().cloned());
        }
    }
}

impl Sort {
    /// Every column, in the order in which they follow each other.
    pub const ALL: [Self; 6] = [Self::Host, Self::Tier, Self::Role, Self::State, Self::Revision, Self::Seen];

    /// The next column.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Tier => "tier",
            Self::Role => "role",
            Self::State => "state",
            Self::Revision => "revision",
            Self::Seen => "seen",
        }
    }

    /// Sorts hosts that come by name; those that are equal in this column stay so.
    fn arrange(self, hosts: &mut [&Host], now: Timestamp) {
        match self {
            Self::Host => {}
            Self::Tier => hosts.sort_by_key(|host| host.tier.as_ref()),
            Self::Role => hosts.sort_by_key(|host| host.role.as_ref()),
            Self::State => hosts.sort_by_cached_key(|host| host.standing(now).rank()),
            Self::Revision => hosts.sort_by_cached_key(|host| words::runs(host)),
            // The last heard of first.
            Self::Seen => hosts.sort_by_key(|host| Reverse(host.seen)),
        }
    }
}

/// By name as people count: `web2` before `web10`.
pub(super) fn natural(a: &Name, b: &Name) -> Ordering {
    let (mut left, mut right) = (a.as_str().as_bytes(), b.as_str().as_bytes());
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut left), number(&mut right));
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Takes the digits at the start, without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros..]
}
