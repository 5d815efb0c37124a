//! What is shown: a pure picture of the console.

mod boxes;
mod changes;
mod columns;
mod deployment;
mod deployments;
mod detail;
mod form;
mod grid;
mod header;
mod help;
mod hosts;
mod painter;
mod result;

pub(super) use deployment::{in_view as parts_in_view, lines_below as part_lines_below};
pub(super) use form::PAGE as FORM_PAGE;
pub(super) use help::{lines as help_lines, page as help_page};

use super::{App, Overlay, Screen};
use painter::Painter;
use ratatui::Frame;
use ratatui::layout::{Rect, Size};

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
        Some(Screen::Host(_)) => detail::draw(app, &mut painter, areas.body()),
        Some(Screen::Deployments(screen)) => deployments::draw(app, screen, &mut painter, &areas),
        Some(Screen::Deployment(screen)) => deployment::draw(app, screen, &mut painter, &areas),
    }
    header::footer(app, &mut painter, areas.footer);
    let cursor = match &app.overlay {
        Some(Overlay::Help(top)) => help::draw(app, *top, &mut painter, area),
        Some(Overlay::Form(form)) => form::draw(app, form, &mut painter, area),
        Some(Overlay::Question(question)) => boxes::question(question, &mut painter, area),
        None => app.typing.as_ref().and_then(|_| hosts::cursor(app, areas.hosts)),
    };
    match app.faults.front() {
        Some(fault) => boxes::fault(fault, app.faults.len(), &mut painter, area),
        None => cursor.into_iter().for_each(|cursor| frame.set_cursor_position(cursor)),
    }
}
