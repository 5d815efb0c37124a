//! The components of a job, such as the services of Docker Compose: one line each.

use super::lines::wrapped_spans;
use crate::fleet::describe;
use crate::protocol::{Component, ComponentState, DeployReport};
use crate::tui::{Theme, Tone};
use ratatui::text::{Line, Span};

/// The components in the sequence of the job.
pub(super) fn lines(job: &DeployReport, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let all = &job.components.0;
    let width = describe::name_width(all.iter().map(|component| component.name.as_str()));
    all.iter().flat_map(|component| wrapped_spans(vec![span(component, width, theme)], columns)).collect()
}

/// `✗ zigbee2mqtt  failed 12.0 s: it is unhealthy`
pub(super) fn span(component: &Component, width: usize, theme: &Theme) -> Span<'static> {
    let symbols = theme.symbols();
    let (symbol, tone) = match component.state {
        ComponentState::Done => (symbols.done, Tone::Good),
        ComponentState::Running => (symbols.working, Tone::Busy),
        ComponentState::Failed => (symbols.failed, Tone::Bad),
        ComponentState::Unchanged => (symbols.done, Tone::Dim),
        ComponentState::Skipped => (symbols.skipped, Tone::Dim),
        _ => (symbols.pending, Tone::Dim),
    };
    theme.span(tone, format!("{symbol} {}", describe::component(component, width)))
}
