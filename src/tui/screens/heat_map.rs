//! The heat map: a cell for each listed host, in groups, coloured by one property.

use super::heat_class::{HeatClass, HeatKey, classify};
use crate::protocol::Name;
use crate::tui::{App, HostGroup, KeyCommand, view};
use jiff::Timestamp;
use std::ops::Range;

/// All listed hosts as cells.
#[derive(Debug, Default)]
pub struct HeatMapScreen {
    /// The property that selects the colours.
    pub key: HeatKey,
    /// The groups, each with its range of `hosts`.
    pub groups: Vec<(HostGroup, Range<usize>)>,
    /// The hosts, in the order of the cells.
    pub hosts: Vec<Name>,
    /// The classes of the legend.
    pub legend: Vec<HeatClass>,
    /// The class of each host, as an index in `legend`.
    pub classes: Vec<usize>,
    /// Index of the selected host.
    pub at: usize,
    /// First visible line.
    pub top: usize,
    selected: Option<Name>,
    /// The index of each host in the table.
    indices: Vec<usize>,
    /// For which time, property and hosts the classes were computed.
    computed: Option<(Timestamp, HeatKey, bool)>,
    /// The [memberships](crate::tui::Table::memberships) for which the groups were made.
    grouped: Option<u64>,
}

impl HeatMapScreen {
    /// Creates the screen with this host selected.
    pub(in crate::tui) fn new(selected: Option<Name>) -> Self {
        Self { selected, ..Self::default() }
    }

    /// The selected host.
    pub fn host(&self) -> Option<&Name> {
        self.hosts.get(self.at)
    }

    /// The group of the selected host, as an index.
    fn group(&self) -> usize {
        self.groups.partition_point(|(_, range)| range.end <= self.at)
    }

    /// Updates the groups if other hosts are listed; the states for each frame, and other properties once a second.
    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        let grouped = Some(app.table.memberships());
        if self.grouped != grouped {
            self.grouped = grouped;
            self.computed = None;
            self.group_hosts(app);
        }
        let computed = Some((app.now, self.key, app.heads.is_some()));
        if self.key == HeatKey::State || self.computed != computed {
            self.computed = computed;
            (self.legend, self.classes) = classify(app, self.key, &self.hosts, &self.indices);
        }
        self.top = view::heat_map_top(app, self);
    }

    /// Groups the hosts. Within a group they are in natural order, so that a host keeps its place.
    fn group_hosts(&mut self, app: &App) {
        let hosts = app.table.members();
        let hosts = hosts.filter_map(|(index, name)| Some((index, app.fleet.hosts.get(name)?)));
        let mut hosts: Vec<_> = hosts.map(|(index, host)| (HostGroup::of(host), index, host)).collect();
        hosts.sort_unstable_by(|(a, at, _), (b, bt, _)| a.cmp(b).then(at.cmp(bt)));
        self.groups.clear();
        for (at, (group, ..)) in hosts.iter().enumerate() {
            match self.groups.last_mut() {
                Some((last, range)) if last == group => range.end = at + 1,
                _ => self.groups.push((group.clone(), at..at + 1)),
            }
        }
        (self.indices, self.hosts) =
            hosts.into_iter().map(|(_, index, host)| (index, host.name.clone())).unzip();
        let selected = self.hosts.iter().position(|name| Some(name) == self.selected.as_ref());
        self.at = selected.unwrap_or(self.at).min(self.hosts.len().saturating_sub(1));
    }

    /// Moves the selection over cells in rows of `columns`; returns whether the command is a movement.
    pub(in crate::tui) fn go(&mut self, command: KeyCommand, columns: usize, page: usize) -> bool {
        if self.hosts.is_empty() {
            return false;
        }
        let last = self.hosts.len() - 1;
        match command {
            KeyCommand::Left => self.at = self.at.saturating_sub(1),
            KeyCommand::Right => self.at = (self.at + 1).min(last),
            KeyCommand::Down => self.at = self.below(columns),
            KeyCommand::Up => self.at = self.above(columns),
            KeyCommand::PageDown => (0..page).for_each(|_| self.at = self.below(columns)),
            KeyCommand::PageUp => (0..page).for_each(|_| self.at = self.above(columns)),
            KeyCommand::First => self.at = 0,
            KeyCommand::Last => self.at = last,
            KeyCommand::NextMatch | KeyCommand::PreviousMatch => self.next_problem(command),
            _ => return false,
        }
        self.selected = self.hosts.get(self.at).cloned();
        true
    }

    /// The cell in the next row, in the same column as far as the row is long enough.
    fn below(&self, columns: usize) -> usize {
        let group = self.group();
        let Some((_, range)) = self.groups.get(group) else { return self.at };
        let (row, column) = ((self.at - range.start) / columns, (self.at - range.start) % columns);
        let rows = range.len().div_ceil(columns);
        if row + 1 < rows {
            return (range.start + (row + 1) * columns + column).min(range.end - 1);
        }
        self.groups.get(group + 1).map_or(self.at, |(_, next)| (next.start + column).min(next.end - 1))
    }

    fn above(&self, columns: usize) -> usize {
        let group = self.group();
        let Some((_, range)) = self.groups.get(group) else { return self.at };
        let (row, column) = ((self.at - range.start) / columns, (self.at - range.start) % columns);
        if row > 0 {
            return self.at - columns;
        }
        let Some((_, before)) = group.checked_sub(1).and_then(|group| self.groups.get(group)) else {
            return self.at;
        };
        let last_row = (before.len() - 1) / columns * columns;
        (before.start + last_row + column).min(before.end - 1)
    }

    /// Selects the next or previous host of a class that is a problem; stays if there is none.
    fn next_problem(&mut self, command: KeyCommand) {
        let is_problem = |at: &usize| {
            self.classes.get(*at).and_then(|class| self.legend.get(*class)).is_some_and(HeatClass::is_problem)
        };
        let (at, all) = (self.at, self.hosts.len());
        let next = if command == KeyCommand::NextMatch {
            (at + 1..all).chain(0..at).find(is_problem)
        } else {
            (0..at).rev().chain((at + 1..all).rev()).find(is_problem)
        };
        self.at = next.unwrap_or(at);
    }
}
