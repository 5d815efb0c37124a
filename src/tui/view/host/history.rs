//! The last finished jobs of a host; each can be selected.

use super::{HostLine, INDENT};
use crate::fleet::{JobDurations, describe, is_outlier};
use crate::protocol::{ErrorCode, HistoryEntry, Status};
use crate::text::{format, printable};
use crate::tui::view::sparkline;
use crate::tui::{App, HistoryState, HostScreen, Item, Tone, text};
use jiff::fmt::strtime;
use ratatui::text::{Line, Span};

/// Fewest jobs whose durations are shown as a sparkline.
const MIN_SPARKLINE: usize = 3;
/// Number of spaces between two columns.
const GAP: usize = 2;
/// Minimum width for dates; a narrower table shows ages.
const WIDE: usize = 100;
/// The columns that shrink in a narrow table, in this order, each with its minimum width.
const YIELD: [(usize, usize); 3] = [(BY, 8), (RESULT, 11), (REVISION, 7)];

const HEADINGS: [&str; 7] = ["WHEN", "ACTION", "REVISION", "GEN", "RESULT", "TOOK", "BY"];
const REVISION: usize = 2;
const GENERATION: usize = 3;
const RESULT: usize = 4;
const TOOK: usize = 5;
const BY: usize = 6;

pub(super) fn rows(app: &App, screen: &HostScreen, columns: usize) -> Vec<HostLine> {
    let note = match &screen.history {
        HistoryState::Loaded if screen.entries.is_empty() => Some("no finished jobs yet".to_owned()),
        HistoryState::Loaded => None,
        HistoryState::Loading => Some("querying the host".to_owned()),
        HistoryState::Unsupported => {
            Some("the listener is too old to report its history; update it".to_owned())
        }
        HistoryState::NoAnswer => Some("no answer from the host".to_owned()),
        HistoryState::Failed(reason) => Some(format!("the history query failed: {reason}")),
    };
    let theme = &app.options.theme;
    let mut rows: Vec<_> = HostLine::heading(theme, "History", Line::default()).into();
    if let Some(note) = note {
        let before = if screen.entries.is_empty() { "" } else { "; this is its previous reply" };
        rows.extend(HostLine::wrapped(theme, Tone::Dim, &format!("{note}{before}"), columns));
    }
    if screen.entries.is_empty() {
        return rows;
    }
    rows.extend(sparklines(app, screen, columns));
    let available = columns.saturating_sub(INDENT);
    let cells: Vec<_> =
        screen.entries.iter().map(|entry| cells(app, screen, entry, available >= WIDE)).collect();
    let widths = widths(&cells, available);
    let mut headings = HEADINGS;
    if available < WIDE {
        headings[0] = "AGE";
    }
    let headings = headings.map(|heading| theme.span(Tone::Dim, heading));
    rows.push(HostLine::of(line(app, headings, &widths)));
    rows.extend(
        screen.entries.iter().zip(cells).map(|(entry, cells)| {
            HostLine::selectable(line(app, cells, &widths), Item::Job(entry.id.clone()))
        }),
    );
    rows
}

/// How long the jobs took, in total and per phase, oldest first.
fn sparklines(app: &App, screen: &HostScreen, columns: usize) -> Vec<HostLine> {
    let durations = JobDurations::of_history(&screen.entries);
    if durations.totals().len() < MIN_SPARKLINE {
        return Vec::new();
    }
    let lines = sparkline::all_durations(&durations, columns.saturating_sub(INDENT), &app.options.theme);
    lines.into_iter().map(HostLine::of).collect()
}

fn cells(app: &App, screen: &HostScreen, entry: &HistoryEntry, wide: bool) -> [Span<'static>; 7] {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let when = if wide {
        let time = entry.at.to_zoned(app.options.zone.clone());
        strtime::format("%Y-%m-%d %H:%M", &time).unwrap_or_default()
    } else {
        format::age(entry.at, app.now)
    };
    let word = entry.error.as_ref().map_or(entry.status.to_string(), ErrorCode::words);
    let (symbol, tone) = match entry.status {
        Status::Completed => (symbols.done, Tone::Good),
        _ => (symbols.failed, Tone::Bad),
    };
    let plain = |text: String| theme.span(Tone::Plain, text);
    [
        plain(when),
        plain(printable(entry.action.as_str())),
        // A hold has no revision, so the column shows its reason.
        plain(entry.reason.as_deref().map_or_else(|| describe::history_revision(entry), printable)),
        plain(entry.generation.map(|generation| generation.to_string()).unwrap_or_default()),
        theme.span(tone, format!("{symbol} {}", printable(&word))),
        took(app, screen, entry),
        plain(entry.issuer.as_deref().map(printable).unwrap_or_default()),
    ]
}

/// The duration of a job; marked if it is more than three times the median.
fn took(app: &App, screen: &HostScreen, entry: &HistoryEntry) -> Span<'static> {
    let theme = &app.options.theme;
    let others = JobDurations::of_history(&screen.entries).totals();
    let text = format::duration(entry.elapsed_ms);
    if entry.action.needs_revision() && is_outlier(entry.elapsed_ms, &others) {
        return theme.span(Tone::Warn, format!("{} {text}", theme.symbols().warning));
    }
    theme.span(Tone::Plain, text)
}

/// Width of the longest cell of each column, reduced to fit.
fn widths(rows: &[[Span<'static>; 7]], available: usize) -> [usize; 7] {
    let mut widths = HEADINGS.map(text::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    for (column, least) in YIELD {
        let needed = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        let spare = widths[column].saturating_sub(least);
        widths[column] -= spare.min(needed.saturating_sub(available));
    }
    widths
}

/// The cells in one line, because a `Table` cannot be a part of the list of lines that the screen scrolls.
fn line(app: &App, cells: [Span<'static>; 7], widths: &[usize; 7]) -> Line<'static> {
    let cut = app.options.theme.symbols().cut;
    let mut line = Line::default();
    for (column, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
        let shown = text::fit(&cell.content, *width, cut);
        let fill = " ".repeat(width.saturating_sub(text::width(&shown)));
        let gap = " ".repeat(GAP);
        let (before, after) = match column {
            GENERATION | TOOK => (fill, gap),
            BY => (String::new(), String::new()),
            _ => (String::new(), format!("{fill}{gap}")),
        };
        line.extend([Span::raw(before), Span::styled(shown, cell.style), Span::raw(after)]);
    }
    line
}
