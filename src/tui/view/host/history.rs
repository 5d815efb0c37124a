//! The jobs that ended last, each to be selected.

use super::{INDENT, Row};
use crate::fleet::words;
use crate::protocol::{HistoryEntry, Status, printable};
use crate::tui::view::painter::Piece;
use crate::tui::{App, HistoryState, HostScreen, Item, Tone, text};
use jiff::fmt::strtime;

/// The blanks between two columns.
const GAP: usize = 2;
/// As wide as this, moments are shown and not how long ago they are.
const WIDE: usize = 100;
/// The columns that give way where it is narrow, in this order, each with the least that remains of it.
const YIELD: [(usize, usize); 3] = [(BY, 8), (RESULT, 11), (REVISION, 7)];

const HEADINGS: [&str; 7] = ["WHEN", "ACTION", "REVISION", "GEN", "RESULT", "TOOK", "BY"];
const REVISION: usize = 2;
const GENERATION: usize = 3;
const RESULT: usize = 4;
const TOOK: usize = 5;
const BY: usize = 6;

pub(super) fn rows(app: &App, screen: &HostScreen, columns: usize) -> Vec<Row> {
    let note = match &screen.history {
        HistoryState::Told if screen.entries.is_empty() => Some("no job has ended there yet".to_owned()),
        HistoryState::Told => None,
        HistoryState::Asked => Some("asking the host".to_owned()),
        HistoryState::TooOld => Some("its listener is too old to tell; update it".to_owned()),
        HistoryState::Silent => Some("the host does not answer".to_owned()),
        HistoryState::Failed(reason) => Some(format!("the host could not be asked: {reason}")),
    };
    let mut rows: Vec<_> = Row::heading("History", Vec::new()).into();
    if let Some(note) = note {
        let before = if screen.entries.is_empty() { "" } else { "; before it told this" };
        rows.extend(Row::wrapped(Tone::Dim, &format!("{note}{before}"), columns));
    }
    if screen.entries.is_empty() {
        return rows;
    }
    let room = columns.saturating_sub(INDENT);
    let cells: Vec<_> = screen.entries.iter().map(|entry| cells(app, entry, room >= WIDE)).collect();
    let widths = widths(&cells, room);
    let mut headings = HEADINGS.map(|heading| Tone::Dim.text(heading));
    if room < WIDE {
        "AGE".clone_into(&mut headings[0].text);
    }
    rows.push(Row::of(line(app, headings, &widths)));
    rows.extend(screen.entries.iter().zip(cells).map(|(entry, cells)| Row {
        item: Some(Item::Job(entry.id.clone())),
        ..Row::of(line(app, cells, &widths))
    }));
    rows
}

fn cells(app: &App, entry: &HistoryEntry, wide: bool) -> [Piece; 7] {
    let symbols = app.options.theme.symbols();
    let when = if wide {
        let time = entry.at.to_zoned(app.options.zone.clone());
        strtime::format("%Y-%m-%d %H:%M", &time).unwrap_or_default()
    } else {
        words::age(entry.at, app.now)
    };
    let word = entry.error.as_ref().map_or(entry.status.as_str(), |error| error.as_str());
    let (symbol, tone) = match entry.status {
        Status::Completed => (symbols.done, Tone::Good),
        _ => (symbols.failed, Tone::Bad),
    };
    let plain = |text: String| Tone::Plain.text(text);
    [
        plain(when),
        plain(printable(entry.action.as_str())),
        // A hold is about no revision, and tells why instead.
        plain(entry.reason.as_deref().map_or_else(|| words::deployed(entry), printable)),
        plain(entry.generation.map(|generation| generation.to_string()).unwrap_or_default()),
        tone.text(format!("{symbol} {}", printable(word))),
        plain(words::duration(entry.elapsed_ms)),
        plain(entry.issuer.as_deref().map(printable).unwrap_or_default()),
    ]
}

/// As wide as what is in them, or as the room is.
fn widths(rows: &[[Piece; 7]], room: usize) -> [usize; 7] {
    let mut widths = HEADINGS.map(text::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(text::width(&cell.text));
        }
    }
    for (column, least) in YIELD {
        let needed = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        let spare = widths[column].saturating_sub(least);
        widths[column] -= spare.min(needed.saturating_sub(room));
    }
    widths
}

fn line(app: &App, cells: [Piece; 7], widths: &[usize; 7]) -> Vec<Piece> {
    let cut = app.options.theme.symbols().cut;
    let mut line = Vec::new();
    for (column, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
        let shown = text::fit(&cell.text, *width, cut);
        let fill = " ".repeat(width.saturating_sub(text::width(&shown)));
        let gap = " ".repeat(GAP);
        let (before, after) = match column {
            GENERATION | TOOK => (fill, gap),
            BY => (String::new(), String::new()),
            _ => (String::new(), format!("{fill}{gap}")),
        };
        line.extend([Tone::Plain.text(before), cell.tone.text(shown), Tone::Plain.text(after)]);
    }
    line
}
