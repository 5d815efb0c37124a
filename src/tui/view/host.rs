//! The screen of one host: how it stands, its job, failed units, what was done there, and all that it tells of itself.

mod facts;
mod history;
mod job;
mod units;

use super::painter::{Painter, Piece, width};
use super::{Areas, boxes, columns, detail};
use crate::fleet::{Host, words};
use crate::protocol::printable;
use crate::tui::{App, HostScreen, Item, Tone, text};
use ratatui::layout::{Rect, Size};

/// How far the lines of a section are set in; there the cursor stands.
const INDENT: usize = 2;

/// A line, and what can be selected there.
struct Row {
    line: Vec<Piece>,
    item: Option<Item>,
}

impl Row {
    /// A line below a heading.
    fn of(line: Vec<Piece>) -> Self {
        Self { line: [vec![Tone::Plain.text(" ".repeat(INDENT))], line].concat(), item: None }
    }

    fn heading(title: &str, more: Vec<Piece>) -> [Self; 2] {
        let line = [vec![Tone::Title.text(format!("{title}  "))], more].concat();
        [Self { line: Vec::new(), item: None }, Self { line, item: None }]
    }

    /// Text in as many lines as it needs.
    fn wrapped(tone: Tone, text: &str, columns: usize) -> Vec<Self> {
        let lines = text::wrap(text, columns.saturating_sub(INDENT)).into_iter();
        lines.map(|line| Self::of(vec![tone.text(line)])).collect()
    }
}

/// The columns between the border and a margin.
fn columns_of(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(4))
}

fn rows(app: &App, screen: &HostScreen, columns: usize) -> Vec<Row> {
    let Some(host) = app.fleet.hosts.get(&screen.host) else { return Vec::new() };
    let mut rows = head(app, host, columns);
    rows.extend(job::rows(app, host, columns));
    rows.extend(units::rows(app, host));
    rows.extend(history::rows(app, screen, columns));
    rows.extend(facts::rows(app, host, columns));
    rows
}

/// How it stands and what runs there, and what is to be known at once.
fn head(app: &App, host: &Host, columns: usize) -> Vec<Row> {
    let seen =
        host.seen.map_or("never seen".to_owned(), |seen| format!("seen {} ago", words::age(seen, app.now)));
    let state = columns::state(app, host, usize::MAX, app.options.theme.symbols());
    let mut rows = vec![Row::of(vec![state, Tone::Dim.text(format!("  {seen}"))])];
    if let Some(answer) = &host.answer {
        let runs = Some(words::runs(host)).filter(|runs| !runs.is_empty());
        let generation = answer.generation.map(|generation| format!("generation {generation}"));
        let parts = [runs, generation, answer.os_version.as_deref().map(printable)];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            rows.extend(Row::wrapped(Tone::Plain, &parts.join(", "), columns));
        }
    }
    for note in detail::notes(app, host, false) {
        rows.extend(Row::wrapped(Tone::Warn, &note, columns));
    }
    rows
}

pub(super) fn draw(app: &App, screen: &HostScreen, painter: &mut Painter<'_>, area: Rect) {
    let rows = rows(app, screen, columns_of(area));
    let title = [Tone::Title.text(format!(" {} ", screen.host))];
    let inside = painter.framed(area, &title, &boxes::notice(app));
    let page = usize::from(inside.height);
    if rows.len() > page && area.height > 0 {
        let (first, last) = (screen.top + 1, (screen.top + page).min(rows.len()));
        let place = [Tone::Dim.text(format!(" {first}-{last} of {} ", rows.len()))];
        let right = Rect { x: area.x + 2, width: area.width.saturating_sub(4), height: 1, ..area };
        if width(&title) + width(&place) < usize::from(right.width) {
            painter.right(right, &place);
        }
    }
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    for (place, row) in inside.rows().zip(rows.iter().skip(screen.top)) {
        painter.line(place, &row.line);
        if row.item.is_some() && row.item == screen.selected {
            painter.line(place, &[Tone::Title.text(painter.theme.symbols().cursor)]);
            painter.tint(place, Tone::Selected);
        }
    }
}

/// What can be selected in each line.
pub(in crate::tui) fn items(app: &App, screen: &HostScreen) -> Vec<Option<Item>> {
    let area = Areas::of(app.size).body();
    rows(app, screen, columns_of(area)).into_iter().map(|row| row.item).collect()
}

/// How many lines are in view.
pub(in crate::tui) fn page(size: Size) -> usize {
    usize::from(Areas::of(size).body().height.saturating_sub(2))
}
