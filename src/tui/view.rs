//! What is shown: a pure picture of the console.

mod boxes;
mod builds;
mod changes;
mod columns;
mod command_line;
mod deployment;
mod deployments;
mod detail;
mod flow;
mod form;
mod grid;
mod header;
mod help;
mod host;
mod hosts;
mod log;
mod painter;
mod result;

pub(super) use builds::built_in_view;
pub(super) use deployment::{in_view as parts_in_view, lines_below as part_lines_below};
pub(super) use form::page as form_page;
pub(super) use help::{lines as help_lines, page as help_page};
pub(super) use host::{items as host_items, page as host_page};
pub(super) use log::room as log_room;

use super::{App, Overlay, Screen};
use painter::Painter;
use ratatui::Frame;
use ratatui::layout::{Position, Rect, Size};

/// The smallest terminal that anything useful fits into.
pub const SMALLEST: Size = Size { width: 40, height: 10 };

/// Where everything is.
struct Areas {
    header: Rect,
    counts: Rect,
    hosts: Rect,
    detail: Rect,
    footer: Rect,
}

impl Areas {
    /// Where a screen is drawn that needs both.
    fn body(&self) -> Rect {
        self.hosts.union(self.detail)
    }

    /// Three lines for ourselves; of the rest about a third for the selected host, where that leaves enough for hosts.
    fn of(size: Size) -> Self {
        let line = |y| Rect::new(0, y, size.width, 1);
        let rest = size.height.saturating_sub(3);
        let detail = if rest < 12 { 0 } else { (rest / 3).clamp(7, 20) };
        let hosts = rest - detail;
        Self {
            header: line(0),
            counts: line(1),
            hosts: Rect::new(0, 2, size.width, hosts),
            detail: Rect::new(0, 2 + hosts, size.width, detail),
            footer: line(size.height.saturating_sub(1)),
        }
    }
}

/// How many hosts are in view: the box has a border and a line of headings.
pub(super) fn rows_in_view(size: Size) -> usize {
    usize::from(Areas::of(size).hosts.height.saturating_sub(3))
}

/// The row of the fleet screen at this place.
pub(super) fn row_at(app: &App, place: Position) -> Option<usize> {
    let area = Areas::of(app.size).hosts;
    // Below the border and the headings.
    let first = area.y + 2;
    if !area.contains(place) || place.y < first || place.y + 1 >= area.bottom() {
        return None;
    }
    let row = app.table.top + usize::from(place.y - first);
    (row < app.table.rows().len()).then_some(row)
}

/// Where boxes lie: whatever they hide, the keys that there are stay in view.
fn above_footer(area: Rect) -> Rect {
    Rect { height: area.height.saturating_sub(1), ..area }
}

/// Draws the console. What is cached for a frame must be up to date: see [`super::Event::Frame`].
pub fn view(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut painter = Painter { buffer: frame.buffer_mut(), theme: app.options.theme };
    if area.width < SMALLEST.width || area.height < SMALLEST.height {
        let text = format!("at least {}×{}, please", SMALLEST.width, SMALLEST.height);
        painter.lines(area, &[vec![super::Tone::Warn.text(text)]]);
        return;
    }
    let areas = Areas::of(area.as_size());
    header::draw(app, &mut painter, areas.header);
    header::counts(app, &mut painter, areas.counts);
    match app.screens.last() {
        None => {
            hosts::draw(app, &mut painter, areas.hosts);
            detail::draw(app, &mut painter, areas.detail);
        }
        Some(Screen::Host(screen)) => host::draw(app, screen, &mut painter, areas.body()),
        Some(Screen::Deployments(screen)) => deployments::draw(app, screen, &mut painter, &areas),
        Some(Screen::Deployment(screen)) => deployment::draw(app, screen, &mut painter, &areas),
        Some(Screen::Builds(screen)) => builds::draw(app, screen, &mut painter, &areas),
        Some(Screen::Build(screen)) => builds::draw_one(app, screen, &mut painter, &areas),
        Some(Screen::Log(screen)) => log::draw(app, screen, &mut painter, areas.body()),
    }
    header::footer(app, &mut painter, areas.footer);
    let above = above_footer(area);
    let cursor = match &app.overlay {
        Some(Overlay::Help(top)) => help::draw(app, *top, &mut painter, above),
        Some(Overlay::Form(form)) => form::draw(app, form, &mut painter, above),
        Some(Overlay::Command(line)) => Some(command_line::draw(app, line, &mut painter, area)),
        Some(Overlay::Question(question)) => boxes::question(question, &mut painter, above),
        None => {
            let filter = app.typing.as_ref().and_then(|_| hosts::cursor(app, areas.hosts));
            filter.or_else(|| log::cursor(app, areas.body()))
        }
    };
    match app.faults.front() {
        Some(fault) => boxes::fault(fault, app.faults.len(), &mut painter, above),
        None => cursor.into_iter().for_each(|cursor| frame.set_cursor_position(cursor)),
    }
}
