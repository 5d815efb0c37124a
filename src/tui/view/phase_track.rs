//! The phases of a job as six segments of one column each: `━━╸───`.

use crate::protocol::{DeployReport, PhaseName, PhaseState};
use crate::tui::{Theme, Tone};
use ratatui::text::Line;

/// Width of the track.
pub(super) const WIDTH: usize = PhaseName::PIPELINE.len();

/// One segment for each phase of a deployment; empty if the phases are unknown.
pub(super) fn track(job: &DeployReport, theme: &Theme) -> Line<'static> {
    if job.phases.is_empty() {
        return Line::default();
    }
    let symbols = theme.symbols();
    let segments = PhaseName::PIPELINE.iter().map(|name| {
        let phase = job.phases.0.iter().find(|phase| phase.name == *name);
        let (symbol, tone) = match phase.map(|phase| &phase.state) {
            Some(PhaseState::Done) => (symbols.full, Tone::Good),
            Some(PhaseState::Running) => (symbols.reached, Tone::Busy),
            Some(PhaseState::Failed) => (symbols.failed, Tone::Bad),
            Some(PhaseState::Skipped) => (symbols.pending, Tone::Dim),
            _ => (symbols.empty, Tone::Dim),
        };
        theme.span(tone, symbol)
    });
    segments.collect()
}
