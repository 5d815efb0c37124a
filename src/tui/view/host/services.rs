//! The services of a host with Docker Compose: their state in the last job, and whether they are well now.

use super::{HostLine, INDENT};
use crate::fleet::{Host, describe};
use crate::protocol::{Component, ComponentState};
use crate::text::printable;
use crate::tui::view::components;
use crate::tui::view::lines::wrapped_spans;
use crate::tui::{App, Tone};
use ratatui::text::Line;

/// One line for each service: those of the job first, then those that the job was not about.
pub(super) fn rows(app: &App, host: &Host, columns: usize) -> Vec<HostLine> {
    let theme = &app.options.theme;
    // A service that the last job has deployed may not be well any more.
    let was_well = |component: &&Component| {
        matches!(component.state, ComponentState::Done | ComponentState::Unchanged)
            && host.running_job().is_none()
            && host.failed_units().contains(&component.name)
    };
    let job = host.job.iter().flat_map(|job| &job.components.0).filter(|component| !was_well(component));
    let all = host.answer.iter().flat_map(|answer| &answer.components);
    let in_job = |name: &str| job.clone().any(|component| component.name == name);
    let others = all.filter(|name| !in_job(name));
    let names = job.clone().map(|component| component.name.as_str());
    let width = describe::name_width(names.chain(others.clone().map(String::as_str)));
    if width == 0 {
        return Vec::new();
    }
    let mut rows: Vec<_> = HostLine::heading(theme, "Services", Line::default()).into();
    let lines = |component: &Component| {
        let span = components::span(component, width, theme);
        wrapped_spans(vec![span], columns.saturating_sub(INDENT)).into_iter().map(HostLine::of)
    };
    rows.extend(job.clone().flat_map(lines));
    for name in others {
        let is_well = !host.failed_units().contains(name);
        let (symbol, tone, state) = if is_well {
            (theme.symbols().pending, Tone::Dim, "not part of the last job")
        } else {
            (theme.symbols().failed, Tone::Bad, "is not well")
        };
        let text = format!("{symbol} {:width$}  {state}", printable(name));
        rows.push(HostLine::of(theme.span(tone, text)));
    }
    rows
}
