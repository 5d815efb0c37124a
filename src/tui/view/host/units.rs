//! The failed units of a host; each can be selected.

use super::HostLine;
use crate::fleet::Host;
use crate::protocol::Status;
use crate::text::printable;
use crate::tui::{App, Item, Tone};
use ratatui::text::Line;
use std::collections::HashSet;

/// The units that are failed now, and those that failed in the last job.
pub(super) fn rows(app: &App, host: &Host) -> Vec<HostLine> {
    let now = host.answer.iter().flat_map(|answer| &answer.failed_units).map(|unit| (unit, ""));
    let job = host.job.iter().filter(|job| job.status == Status::Failed);
    let job = job.flat_map(|job| &job.failed_units).map(|unit| (unit, "in the last job"));
    let mut known = HashSet::new();
    let units: Vec<_> = now.chain(job).filter(|(unit, _)| known.insert(unit.as_str())).collect();
    // The services of Docker Compose have their own section.
    if units.is_empty() || host.is_compose() {
        return Vec::new();
    }
    let theme = &app.options.theme;
    let mut rows: Vec<_> = HostLine::heading(theme, "Failed units", Line::default()).into();
    rows.extend(units.into_iter().map(|(unit, when)| {
        let name = theme.span(Tone::Bad, format!("{} {}", theme.symbols().failed, printable(unit)));
        let line = name + theme.span(Tone::Dim, format!("  {when}"));
        HostLine::selectable(line, Item::Unit(unit.clone()))
    }));
    rows
}
