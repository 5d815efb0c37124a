//! Values as a line of bars, the last one at the right.

use crate::fleet::{JobDurations, is_outlier, median};
use crate::protocol::PhaseName;
use crate::text::format;
use crate::tui::{Theme, Tone};
use ratatui::text::{Line, Span};

const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BARS: [&str; 8] = ["_", ".", ":", "-", "=", "+", "*", "#"];

/// A bar for each value. The highest bar is the largest value, or twice the median, so that equal values are half as
/// high.
fn bars(values: &[u64], theme: &Theme) -> String {
    let typical = median(values).unwrap_or(0).saturating_mul(2);
    let most = values.iter().copied().max().unwrap_or(0).max(typical).max(1);
    let bars = if theme.unicode { BARS } else { ASCII_BARS };
    let bar = |value: &u64| {
        let share = u128::from(*value) * 7 / u128::from(most);
        bars[usize::try_from(share).unwrap_or(7)]
    };
    values.iter().map(bar).collect()
}

/// The total and the phases, as many on a line as fit. Phases that take less than a second are left out.
pub(super) fn all_durations(durations: &JobDurations, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let phases = PhaseName::PIPELINE.iter().chain([&PhaseName::Rollback]);
    let phases = phases.map(|name| (name.as_str(), durations.of_phase(name)));
    let is_long = |(_, values): &(&str, Vec<u64>)| values.iter().any(|value| *value >= 1000);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (name, values) in [("total", durations.totals())].into_iter().chain(phases).filter(is_long) {
        let part = self::durations(name, &values, theme);
        let width: usize = part.iter().map(Span::width).sum();
        match lines.last_mut().filter(|line| line.width() + 3 + width <= columns) {
            Some(line) => line.extend([Span::raw("   ")].into_iter().chain(part)),
            None => lines.push(part.into()),
        }
    }
    lines
}

/// `build ▂▃▂▅▃▂▂▃▂█ 26 s, last 61 s`: the median and the last duration. An outlier is marked.
fn durations(name: &str, values: &[u64], theme: &Theme) -> Vec<Span<'static>> {
    let (Some(typical), Some(last)) = (median(values), values.last()) else {
        return Vec::new();
    };
    let outlier = is_outlier(*last, values);
    let tone = if outlier { Tone::Warn } else { Tone::Plain };
    let mark = if outlier { format!("{} ", theme.symbols().warning) } else { String::new() };
    vec![
        theme.span(Tone::Dim, format!("{name} ")),
        theme.span(tone, bars(values, theme)),
        theme.span(Tone::Dim, format!(" {}, ", format::duration(typical))),
        theme.span(tone, format!("{mark}last {}", format::duration(*last))),
    ]
}
