//! The table of hosts. Only visible rows are built.

use super::columns::fitted;
use super::dialogs;
use super::lines::{self, Count, joined};
use super::panel::{Edge, draw_scrollbar, panel};
use super::table::{ABOVE, Column, FittedColumns, draw_placeholder, windowed};
use crate::fleet::{AttentionGroup, Host};
use crate::text::format;
use crate::tui::{App, Context, FleetCounts, HostColumn, KeyCommand, Sort, TableRow, Tone, text};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Row, Table};

/// Columns of the screen before the first cell: the cursor, the mark and a space.
const MARGIN: u16 = 3;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let (theme, table) = (&app.options.theme, &app.table);
    let in_view = super::rows_in(area);
    let block = block(app, area, in_view);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    if inside.width <= MARGIN {
        return;
    }
    let mut state = windowed(table.top, table.row());
    frame.render_stateful_widget(host_table(app, inside.width, in_view), inside, &mut state);
    if let Some(reason) = why_empty(app) {
        draw_placeholder(frame, theme, inside, MARGIN, reason);
    }
    draw_scrollbar(frame, theme, area, ABOVE, table.top, in_view, table.rows().len());
}

fn block(app: &App, area: Rect, in_view: usize) -> Block<'static> {
    let top = Edge { left: title(app, area, " hosts ").0, right: sort(app) };
    let bottom = Edge { left: notice(app), right: position(app, in_view) };
    panel(&app.options.theme, area.width, top, bottom)
}

fn host_table(app: &App, width: u16, in_view: usize) -> Table<'static> {
    let (theme, table) = (&app.options.theme, &app.table);
    let columns = fitted(app, width, MARGIN);
    let widest = widest_group(app).min(usize::from(width) / 2);
    let rows = table.rows().iter().skip(table.top).take(in_view).map(|row| match row {
        TableRow::Group(..) => columns.spanning_row(theme, group_heading(app, row, widest)),
        TableRow::Host(name) => {
            app.fleet.hosts.get(name).map_or_else(Row::default, |host| host_row(app, host, &columns))
        }
    });
    let rows = rows.collect();
    columns.table(theme, rows).header(columns.headings(theme, |column| heading(app, column)))
}

fn host_row(app: &App, host: &Host, columns: &FittedColumns<HostColumn>) -> Row<'static> {
    let mark = mark(app, app.table.marks.contains(&host.name));
    columns.row_with_lead(&app.options.theme, mark, |column, width| column.cell(app, host, width))
}

/// The mark before a row, and a space.
fn mark(app: &App, marked: bool) -> Span<'static> {
    let theme = &app.options.theme;
    if marked { theme.span(Tone::Good, format!("{} ", theme.symbols().mark)) } else { Span::raw("  ") }
}

/// Width of the longest group name.
fn widest_group(app: &App) -> usize {
    let groups = app.table.rows().iter().filter_map(|row| match row {
        TableRow::Group(group, _) => Some(text::width(&group.to_string())),
        TableRow::Host(_) => None,
    });
    groups.max().unwrap_or(0)
}

/// The heading of a group: its name, padded to the widest one, and the number of hosts per status.
fn group_heading(app: &App, row: &TableRow, widest: usize) -> Line<'static> {
    let TableRow::Group(group, range) = row else { return Line::default() };
    if let Some(attention) = group.attention {
        return attention_heading(app, attention, range.len());
    }
    let theme = &app.options.theme;
    let symbols = theme.symbols();
    let hosts = app.table.listed().get(range.clone()).unwrap_or_default();
    let is_marked = !hosts.is_empty() && hosts.iter().all(|name| app.table.marks.contains(name));
    let fold = if app.table.folded.contains(group) { symbols.folded } else { symbols.unfolded };
    let many = format::count(hosts.len(), "host");
    let name = group.to_string();
    let line = Line::from(vec![
        mark(app, is_marked),
        theme.span(Tone::Title, format!("{fold} {name:<widest$}")),
        theme.span(Tone::Dim, format!("  {many:<8}  ")),
    ]);
    let counts = if app.table.is_filtered() { app.counted.of(hosts) } else { app.counted.of_group(group) };
    joined(line, group_counts(app, counts))
}

/// The heading `needs attention`, dim; folded with the number of its hosts.
fn attention_heading(app: &App, group: AttentionGroup, hosts: usize) -> Line<'static> {
    let theme = &app.options.theme;
    let is_folded = app.table.folded.iter().any(|folded| folded.attention == Some(group));
    let fold = if is_folded { format!("{} ", theme.symbols().folded) } else { String::new() };
    let count = if is_folded { format!("  {}", format::count(hosts, "host")) } else { String::new() };
    Line::from(vec![Span::raw("  "), theme.span(Tone::Dim, format!("{fold}{}{count}", group.as_str()))])
}

fn group_counts(app: &App, counts: FleetCounts) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let units = format::plural(counts.units, "failed unit");
    let services = format::plural(counts.services, "failed service");
    let kinds: [Count<'_>; 10] = [
        (symbols.failed, counts.failed, "failed", Tone::Bad),
        (symbols.warning, counts.units, &units, Tone::Bad),
        (symbols.warning, counts.services, &services, Tone::Bad),
        (symbols.warning, counts.disk, "disk low", Tone::Warn),
        (symbols.offline, counts.offline, "offline", Tone::Warn),
        (symbols.stale, counts.stale, "stale", Tone::Warn),
        (symbols.reboot, counts.reboot, "reboot", Tone::Warn),
        (symbols.held, counts.held, "held", Tone::Warn),
        (symbols.working, counts.deploying, "deploying", Tone::Busy),
        (symbols.outdated, counts.outdated, "outdated", Tone::Dim),
    ];
    lines::counts(theme, &kinds, "  ", kinds.len())
}

fn heading(app: &App, column: &Column<HostColumn>) -> String {
    let symbols = app.options.theme.symbols();
    let arrow = if app.table.reverse { symbols.descending } else { symbols.ascending };
    let sorted = column.kind.sort() == Some(app.table.sort);
    if sorted { format!("{} {arrow}", column.title) } else { column.title.to_owned() }
}

/// Why no host is shown.
fn why_empty(app: &App) -> Option<String> {
    if !app.table.rows().is_empty() {
        return None;
    }
    let back = app.options.keys.name(Context::Fleet, KeyCommand::Back);
    Some(if app.fleet.hosts.is_empty() && !app.connection.up {
        "not connected: the hosts appear once the server answers".to_owned()
    } else if app.fleet.hosts.is_empty() {
        "no hosts yet: is a listener running, may this key use deploy.discover?".to_owned()
    } else if app.filter_input.is_some() {
        "no host matches the filter".to_owned()
    } else if app.table.filter.is_empty() {
        format!("no host needs attention; {back} shows all hosts")
    } else {
        format!("no host matches the filter; {back} clears it")
    })
}

/// Title of the table with the number of shown hosts and the filter, and the column of the cursor in the filter.
pub(super) fn title(app: &App, area: Rect, name: &'static str) -> (Line<'static>, usize) {
    let (theme, table) = (&app.options.theme, &app.table);
    let mut line = Line::from(theme.span(Tone::Title, name));
    if !table.is_filtered() && app.filter_input.is_none() {
        line.push_span(theme.span(Tone::Dim, format!("{} ", app.fleet.hosts.len())));
    } else {
        let faults = if table.faults { "with faults " } else { "" };
        let (listed, all) = (table.listed().len(), app.fleet.hosts.len());
        line.push_span(theme.span(Tone::Plain, format!("{listed} of {all} {faults}")));
    }
    if table.filter.is_empty() && app.filter_input.is_none() {
        return (line, 0);
    }
    line.push_span(theme.span(Tone::Key, "/"));
    let before = line.width();
    let available = usize::from(area.width.saturating_sub(4)).saturating_sub(before + 1);
    let (shown, at) = match &app.filter_input {
        Some((input, _)) => text::window(input, available),
        None => (text::fit(&table.filter.text, available, theme.symbols().cut), 0),
    };
    line.push_span(theme.span(Tone::Plain, format!("{shown} ")));
    (line, before + at)
}

/// Why the typed filter is invalid, or else the current notice.
pub(super) fn notice(app: &App) -> Line<'static> {
    match &app.filter_error {
        Some(reason) => app.options.theme.span(Tone::Bad, format!(" {reason} ")).into(),
        None => dialogs::notice(app),
    }
}

/// The visible rows, if that is not all of them.
fn position(app: &App, in_view: usize) -> Line<'static> {
    let (rows, top) = (app.table.rows().len(), app.table.top);
    let last = rows.min(top + in_view);
    if top == 0 && last == rows {
        return Line::default();
    }
    app.options.theme.span(Tone::Plain, format!(" {}-{last} of {rows} ", top + 1)).into()
}

fn sort(app: &App) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let text = match (app.table.sort, app.table.reverse) {
        (Sort::Attention, false) => " what needs attention first ".to_owned(),
        (Sort::Attention, true) => " what needs attention last ".to_owned(),
        (sort, reverse) => {
            let arrow = if reverse { symbols.descending } else { symbols.ascending };
            format!(" sort: {} {arrow} ", sort.word())
        }
    };
    theme.span(Tone::Dim, text).into()
}

/// Position of the cursor in the filter.
pub(super) fn cursor(app: &App, area: Rect) -> Option<Position> {
    app.filter_input.as_ref()?;
    let name = if app.screens.is_empty() { " hosts " } else { " heat map " };
    let column = u16::try_from(title(app, area, name).1).unwrap_or(u16::MAX);
    let x = area.x.saturating_add(2).saturating_add(column);
    Some(Position::new(x.min(area.right().saturating_sub(2)), area.y))
}
