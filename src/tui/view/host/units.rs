//! The units that have failed, each to be selected.

use super::Row;
use crate::fleet::Host;
use crate::protocol::{Status, printable};
use crate::tui::{App, Item, Tone};
use std::collections::HashSet;

/// Those that have failed now, and those that failed in the last job.
pub(super) fn rows(app: &App, host: &Host) -> Vec<Row> {
    let now = host.answer.iter().flat_map(|answer| &answer.failed_units).map(|unit| (unit, ""));
    let job = host.job.iter().filter(|job| job.status == Status::Failed);
    let job = job.flat_map(|job| &job.failed_units).map(|unit| (unit, "in the last job"));
    let mut known = HashSet::new();
    let units: Vec<_> = now.chain(job).filter(|(unit, _)| known.insert(unit.as_str())).collect();
    if units.is_empty() {
        return Vec::new();
    }
    let symbol = app.options.theme.symbols().failed;
    let mut rows: Vec<_> = Row::heading("Failed units", Vec::new()).into();
    rows.extend(units.into_iter().map(|(unit, when)| {
        let line = vec![
            Tone::Bad.text(format!("{symbol} {}", printable(unit))),
            Tone::Dim.text(format!("  {when}")),
        ];
        Row { item: Some(Item::Unit(unit.clone())), ..Row::of(line) }
    }));
    rows
}
