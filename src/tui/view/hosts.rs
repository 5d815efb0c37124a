//! The table of hosts. Only the rows in view are built.

use super::columns::{Column, GAP, fitting};
use super::painter::{Painter, Piece, width};
use crate::tui::{App, Tone, text};
use ratatui::layout::{Position, Rect};

/// The columns before the first: selected and marked.
const MARGIN: u16 = 3;

pub(super) fn draw(app: &App, painter: &mut Painter<'_>, area: Rect) {
    let table = &app.table;
    let inside = painter.framed(area, &title(app), &notice(app));
    let sort = sort(app);
    let right = Rect { x: area.x + 2, width: area.width.saturating_sub(4), height: 1, ..area };
    if width(&title(app)) + width(&sort) < usize::from(right.width) {
        painter.right(right, &sort);
    }
    if inside.height == 0 || inside.width <= MARGIN {
        return;
    }
    let columns = fitting(app, usize::from(inside.width - MARGIN - 1));
    headings(app, painter, inside, &columns);
    let rows = inside.rows().skip(1).zip(table.rows().iter().enumerate().skip(table.top));
    for (place, (at, name)) in rows {
        let Some(host) = app.fleet.hosts.get(name) else { continue };
        let symbols = painter.theme.symbols();
        let selected = at == table.row();
        if selected {
            painter.line(place, &[Tone::Title.text(symbols.cursor)]);
        }
        if table.marks.contains(name) {
            painter.line(shifted(place, 1, 1), &[Tone::Good.text(symbols.mark)]);
        }
        let mut x = MARGIN;
        for (column, width) in &columns {
            let mut piece = column.cell(app, host, *width);
            piece.text = text::fit(&piece.text, *width, symbols.cut);
            let cell = shifted(place, x, *width);
            if column.is_number() {
                painter.right(cell, &[piece]);
            } else {
                painter.line(cell, &[piece]);
            }
            x = x.saturating_add(u16::try_from(*width + GAP).unwrap_or(u16::MAX));
        }
        if selected {
            painter.tint(place, Tone::Selected);
        }
    }
    if table.rows().is_empty() && inside.height > 1 {
        let why = if app.fleet.hosts.is_empty() {
            "no host yet: does a listener run, may this key publish deploy.discover?"
        } else {
            "no host matches the filter; esc clears it"
        };
        painter.line(
            shifted(inside.rows().nth(1).unwrap_or(inside), MARGIN, usize::MAX),
            &[Tone::Dim.text(why)],
        );
    }
}

/// What was last to be told, and how much more there is.
pub(super) fn notice(app: &App) -> Vec<Piece> {
    let Some(notice) = &app.notice else { return Vec::new() };
    let mut line = vec![notice.tone.text(format!(" {} ", notice.text))];
    if !app.waiting.is_empty() {
        line.insert(0, Tone::Dim.text(format!(" ({} more)", app.waiting.len())));
    }
    line
}

pub(super) fn shifted(place: Rect, x: u16, width: usize) -> Rect {
    let x = place.x.saturating_add(x).min(place.right());
    let width = u16::try_from(width).unwrap_or(u16::MAX).min(place.right() - x);
    Rect { x, width, ..place }
}

fn headings(app: &App, painter: &mut Painter<'_>, inside: Rect, columns: &[(Column, usize)]) {
    let symbols = painter.theme.symbols();
    let Some(place) = inside.rows().next() else { return };
    let mut x = MARGIN;
    for (column, width) in columns {
        let sorted = column.sort() == Some(app.table.sort);
        let arrow = if app.table.reverse { symbols.descending } else { symbols.ascending };
        let title = if sorted { format!("{} {arrow}", column.title()) } else { column.title().to_owned() };
        let cell = shifted(place, x, *width);
        let piece = [Tone::Title.text(text::fit(&title, *width, symbols.cut))];
        if column.is_number() {
            painter.right(cell, &piece);
        } else {
            painter.line(cell, &piece);
        }
        x = x.saturating_add(u16::try_from(*width + GAP).unwrap_or(u16::MAX));
    }
}

/// The name of the table, how many of all hosts it shows, and the filter.
fn title(app: &App) -> Vec<Piece> {
    let table = &app.table;
    let mut line = vec![Tone::Title.text(" hosts ")];
    if !table.filter.is_empty() || app.typing.is_some() {
        line.push(Tone::Plain.text(format!("{} of {} ", table.rows().len(), app.fleet.hosts.len())));
        let typed = app.typing.as_ref().map_or(table.filter.text.as_str(), |(input, _)| input.value());
        line.push(Tone::Key.text("/"));
        line.push(Tone::Plain.text(format!("{typed} ")));
    }
    line.extend(app.bad_filter.as_ref().map(|reason| Tone::Bad.text(format!(" {reason} "))));
    line
}

fn sort(app: &App) -> Vec<Piece> {
    let symbols = app.options.theme.symbols();
    let arrow = if app.table.reverse { symbols.descending } else { symbols.ascending };
    vec![Tone::Plain.text(format!(" sort: {} {arrow} ", app.table.sort.word()))]
}

/// Where the filter is being typed.
pub(super) fn cursor(app: &App, area: Rect) -> Option<Position> {
    let (input, _) = app.typing.as_ref()?;
    let before: usize = title(app).iter().take(2).map(|piece| text::width(&piece.text)).sum();
    let column = before + 1 + input.visual_cursor();
    let x = area.x.saturating_add(2).saturating_add(u16::try_from(column).unwrap_or(u16::MAX));
    Some(Position::new(x.min(area.right().saturating_sub(2)), area.y))
}
