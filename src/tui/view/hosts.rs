//! The table of hosts. Only the rows in view are built.

use super::boxes;
use super::columns::{Column, GAP, fitting};
use super::painter::{Painter, Piece, width};
use crate::fleet::Host;
use crate::protocol::Name;
use crate::tui::{App, Counts, Group, Row, Tone, text};
use ratatui::layout::{Position, Rect};

/// The columns before the first: selected and marked.
const MARGIN: u16 = 3;

pub(super) fn draw(app: &App, painter: &mut Painter<'_>, area: Rect) {
    let table = &app.table;
    let (title, notice) = (title(app, area).0, notice(app));
    let inside = painter.framed(area, &title, &notice);
    let edge = |y| Rect { x: area.x + 2, y, width: area.width.saturating_sub(4), height: 1 };
    for (y, left, right) in [(area.y, title, sort(app)), (area.bottom() - 1, notice, position(app, inside))] {
        if width(&left) + width(&right) < usize::from(edge(y).width) {
            painter.right(edge(y), &right);
        }
    }
    if inside.height == 0 || inside.width <= MARGIN {
        return;
    }
    let columns = fitting(app, usize::from(inside.width - MARGIN - 1));
    headings(app, painter, inside, &columns);
    let widest = widest_group(app).min(usize::from(inside.width) / 2);
    let rows = inside.rows().skip(1).zip(table.rows().iter().enumerate().skip(table.top));
    for (place, (at, row)) in rows {
        let selected = at == table.row();
        if selected {
            painter.line(place, &[Tone::Title.text(painter.theme.symbols().cursor)]);
        }
        match row {
            Row::Group(group, range) => {
                let hosts = table.listed().get(range.clone()).unwrap_or_default();
                heading(app, painter, place, group, hosts, widest);
            }
            Row::Host(name) => {
                if let Some(host) = app.fleet.hosts.get(name) {
                    cells(app, painter, place, host, &columns);
                }
            }
        }
        if selected {
            painter.tint(place, Tone::Selected);
        }
    }
    if table.rows().is_empty() && inside.height > 1 {
        let why = if app.fleet.hosts.is_empty() {
            "no host yet: does a listener run, may this key publish deploy.discover?"
        } else if app.typing.is_some() {
            "no host matches the filter"
        } else if table.filter.is_empty() {
            "no host needs attention; esc shows them all"
        } else {
            "no host matches the filter; esc clears it"
        };
        painter.line(
            shifted(inside.rows().nth(1).unwrap_or(inside), MARGIN, usize::MAX),
            &[Tone::Dim.text(why)],
        );
    }
}

fn cells(app: &App, painter: &mut Painter<'_>, place: Rect, host: &Host, columns: &[(Column, usize)]) {
    let symbols = painter.theme.symbols();
    if app.table.marks.contains(&host.name) {
        painter.line(shifted(place, 1, 1), &[Tone::Good.text(symbols.mark)]);
    }
    let mut x = MARGIN;
    for (column, width) in columns {
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
}

/// The columns that the longest name of a group takes.
fn widest_group(app: &App) -> usize {
    let groups = app.table.rows().iter().filter_map(|row| match row {
        Row::Group(group, _) => Some(text::width(&group.to_string())),
        Row::Host(_) => None,
    });
    groups.max().unwrap_or(0)
}

/// The heading of a group: its name in as many columns as the widest, how many hosts it has, and how many of them are how.
fn heading(app: &App, painter: &mut Painter<'_>, place: Rect, group: &Group, hosts: &[Name], widest: usize) {
    let symbols = painter.theme.symbols();
    let hosts_of = hosts.iter().filter_map(|name| app.fleet.hosts.get(name));
    let counts = Counts::of(hosts_of, app.heads.as_ref(), app.now);
    let fold = if app.table.folded.contains(group) { symbols.folded } else { symbols.unfolded };
    let many = if hosts.len() == 1 { "1 host".to_owned() } else { format!("{} hosts", hosts.len()) };
    let name = group.to_string();
    let mut line =
        vec![Tone::Title.text(format!("{fold} {name:<widest$}")), Tone::Dim.text(format!("  {many:<8}"))];
    let units = if counts.units == 1 { "failed unit" } else { "failed units" };
    let kinds = [
        (symbols.working, counts.deploying, "deploying", Tone::Busy),
        (symbols.failed, counts.failed, "failed", Tone::Bad),
        (symbols.warning, counts.units, units, Tone::Bad),
        (symbols.stale, counts.stale, "stale", Tone::Warn),
        (symbols.offline, counts.offline, "offline", Tone::Warn),
        (symbols.reboot, counts.reboot, "reboot", Tone::Warn),
        (symbols.behind, counts.behind, "behind", Tone::Warn),
    ];
    for (symbol, count, word, tone) in kinds.into_iter().filter(|(_, count, ..)| *count > 0) {
        line.extend([tone.text(format!("  {symbol}")), Tone::Plain.text(format!(" {count} {word}"))]);
    }
    if !hosts.is_empty() && hosts.iter().all(|name| app.table.marks.contains(name)) {
        painter.line(shifted(place, 1, 1), &[Tone::Good.text(symbols.mark)]);
    }
    painter.line(shifted(place, MARGIN, usize::MAX), &line);
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

/// The name of the table, how many of all hosts it shows, and the filter; while that is typed, the column of the cursor.
fn title(app: &App, area: Rect) -> (Vec<Piece>, usize) {
    let table = &app.table;
    let mut line = vec![Tone::Title.text(" hosts ")];
    if table.is_filtered() || app.typing.is_some() {
        let faults = if table.faults { "with faults " } else { "" };
        let (listed, all) = (table.listed().len(), app.fleet.hosts.len());
        line.push(Tone::Plain.text(format!("{listed} of {all} {faults}")));
    }
    if table.filter.is_empty() && app.typing.is_none() {
        return (line, 0);
    }
    line.push(Tone::Key.text("/"));
    let before = width(&line);
    let room = usize::from(area.width.saturating_sub(4)).saturating_sub(before + 1);
    let (shown, at) = match &app.typing {
        Some((input, _)) => text::window(input, room),
        None => (text::fit(&table.filter.text, room, app.options.theme.symbols().cut), 0),
    };
    line.push(Tone::Plain.text(format!("{shown} ")));
    (line, before + at)
}

/// What was last to be told; first of all why what is typed is no filter.
fn notice(app: &App) -> Vec<Piece> {
    match &app.bad_filter {
        Some(reason) => vec![Tone::Bad.text(format!(" {reason} "))],
        None => boxes::notice(app),
    }
}

/// Which rows are in view, where that is not all of them.
fn position(app: &App, inside: Rect) -> Vec<Piece> {
    let (rows, top) = (app.table.rows().len(), app.table.top);
    let last = rows.min(top + usize::from(inside.height.saturating_sub(1)));
    let partly = top > 0 || last < rows;
    partly.then(|| Tone::Plain.text(format!(" {}-{last} of {rows} ", top + 1))).into_iter().collect()
}

fn sort(app: &App) -> Vec<Piece> {
    let symbols = app.options.theme.symbols();
    let arrow = if app.table.reverse { symbols.descending } else { symbols.ascending };
    vec![Tone::Plain.text(format!(" sort: {} {arrow} ", app.table.sort.word()))]
}

/// Where the filter is being typed.
pub(super) fn cursor(app: &App, area: Rect) -> Option<Position> {
    app.typing.as_ref()?;
    let column = u16::try_from(title(app, area).1).unwrap_or(u16::MAX);
    let x = area.x.saturating_add(2).saturating_add(column);
    Some(Position::new(x.min(area.right().saturating_sub(2)), area.y))
}
