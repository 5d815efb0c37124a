//! Draws the state of the console. Pure: reads the state and writes cells.

mod builds;
mod changes;
mod columns;
mod command_line;
mod commits;
mod components;
mod deployment;
mod deployments;
mod detail;
mod dialogs;
mod events;
mod folded_changes;
mod form;
mod header;
mod heat_map;
mod help;
mod host;
mod hosts;
mod line_list;
mod lines;
mod log;
mod logs;
mod messages;
mod panel;
mod phase_track;
mod result;
mod rollouts;
mod sparkline;
mod table;
mod timeline;
mod what_to_know;

pub(super) use builds::{build_text, built_in_view};
pub(super) use deployment::{
    host_text as deployment_host_text, host_time as deployment_host_time, in_view as parts_in_view,
    lines_below as part_lines_below, message as deployment_host_message,
};
pub(super) use deployments::text as deployment_text;
pub(super) use form::page as form_page;
pub(super) use heat_map::{page as heat_map_page, top as heat_map_top};
pub(super) use help::{lines as help_lines, page as help_page};
pub(super) use host::{items as host_items, page as host_page};
pub(super) use log::text_area as log_text_area;
pub(super) use logs::page as logs_page;
pub(super) use messages::lines as message_lines;
pub(super) use timeline::{rows_in_view as timeline_rows_in_view, time_axis};

use super::{App, Overlay, Screen, Tone};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect, Size};

/// Smallest terminal in which the console is usable.
pub const SMALLEST: Size = Size { width: 40, height: 10 };

/// Lines of the frame and the headings of a table.
const AROUND_TABLE: usize = 3;
/// Minimum number of lines of a list above a pane.
const MIN_LIST: u16 = 8;

/// Areas of the screen.
struct Areas {
    header: Rect,
    counts: Rect,
    /// The list of a screen, such as the table of hosts.
    list: Rect,
    /// Details of the selected row.
    detail: Rect,
    footer: Rect,
}

impl Areas {
    /// Area of a screen without a detail pane.
    fn body(&self) -> Rect {
        self.list.union(self.detail)
    }

    /// Gives the lines that a list of so many lines, with its frame, does not need to the pane.
    fn fitting(&self, lines: usize) -> Self {
        let most = self.list.height;
        let lines = u16::try_from(lines).unwrap_or(u16::MAX).max(MIN_LIST);
        let height = if self.detail.height == 0 { most } else { lines.min(most) };
        let list = Rect { height, ..self.list };
        let detail = Rect { y: list.bottom(), height: self.detail.height + most - height, ..self.detail };
        Self { header: self.header, counts: self.counts, list, detail, footer: self.footer }
    }

    /// Reserves three lines for header and footer; a third of the rest shows details, unless that leaves too few rows.
    fn of(size: Size) -> Self {
        let rest = size.height.saturating_sub(3);
        let detail = if rest < 12 { 0 } else { (rest / 3).clamp(7, 20) };
        let line = Constraint::Length(1);
        let layout = Layout::vertical([line, line, Constraint::Fill(1), Constraint::Length(detail), line]);
        let [header, counts, list, detail, footer] = layout.areas(Rect::from((Position::ORIGIN, size)));
        Self { header, counts, list, detail, footer }
    }
}

/// Areas of the fleet screen: running deployments, hosts and the pane. The table takes only the rows that it needs.
struct FleetAreas {
    rollouts: Rect,
    list: Rect,
    detail: Rect,
}

impl FleetAreas {
    /// Lines of the pane, and of the table without its rows: the frame and the headings.
    const SMALL_PANE: u16 = 6;
    const AROUND_ROWS: u16 = 3;
    /// Minimum number of lines of the table, below which the box of running deployments shrinks or is left out.
    const MIN_TABLE: u16 = 8;

    fn of(app: &App) -> Self {
        let body = Areas::of(app.size).body();
        let detail = match body.height {
            ..12 => 0,
            12..24 => Self::SMALL_PANE,
            height => (height / 3).clamp(7, 20),
        };
        let spare = body.height.saturating_sub(detail + Self::MIN_TABLE);
        let rollouts = rollouts::height(app).min(spare);
        let rollouts = if rollouts < 3 { 0 } else { rollouts };
        let rows = u16::try_from(app.table.rows().len().max(1)).unwrap_or(u16::MAX);
        let most = body.height.saturating_sub(rollouts + detail);
        let list = rows.saturating_add(Self::AROUND_ROWS).clamp(Self::MIN_TABLE.min(most), most);
        let list = if detail == 0 { most } else { list };
        let layout =
            Layout::vertical([Constraint::Length(rollouts), Constraint::Length(list), Constraint::Fill(1)]);
        let [rollouts, list, detail] = layout.areas(body);
        Self { rollouts, list, detail }
    }
}

/// Number of visible rows of the fleet screen's table.
pub(super) fn hosts_in_view(app: &App) -> usize {
    rows_in(FleetAreas::of(app).list)
}

/// Number of visible rows of a list, without the frame and the column headings.
pub(super) fn rows_in_view(size: Size) -> usize {
    rows_in(Areas::of(size).list)
}

fn rows_in(list: Rect) -> usize {
    usize::from(list.height.saturating_sub(3))
}

/// Size of the text in a panel, without its frame and the blank columns beside it.
fn text_size(panel: Rect) -> Size {
    Size { width: panel.width.saturating_sub(4), height: panel.height.saturating_sub(2) }
}

/// Index of the fleet screen's row at a position.
pub(super) fn row_at(app: &App, place: Position) -> Option<usize> {
    let area = FleetAreas::of(app).list;
    // The frame and the column headings are above the rows.
    let first = area.y + 2;
    if !area.contains(place) || place.y < first || place.y + 1 >= area.bottom() {
        return None;
    }
    let row = app.table.top + usize::from(place.y - first);
    (row < app.table.rows().len()).then_some(row)
}

/// Area for dialogs, so that the keys in the footer stay visible.
fn above_footer(area: Rect) -> Rect {
    Rect { height: area.height.saturating_sub(1), ..area }
}

/// Draws the console. The cached state must be up to date; see [`super::ConsoleEvent::Frame`].
pub fn view(app: &App, frame: &mut Frame<'_>) {
    let (area, theme) = (frame.area(), &app.options.theme);
    if area.width < SMALLEST.width || area.height < SMALLEST.height {
        let text = format!("needs at least {}×{}", SMALLEST.width, SMALLEST.height);
        let line = theme.span(Tone::Warn, text).into();
        return frame.render_widget(lines::fit(line, area.width.into(), theme), area);
    }
    let areas = Areas::of(area.as_size());
    header::draw(app, frame, areas.header);
    frame.render_widget(header::counts(app, areas.counts.width), areas.counts);
    draw_screen(app, frame, &areas);
    if app.link.lost_at().is_some() {
        // The state in view is an old one.
        frame.buffer_mut().set_style(areas.body(), theme.style(Tone::Dim));
    }
    frame.render_widget(header::footer(app, areas.footer.width), areas.footer);
    let above = above_footer(area);
    let cursor = match &app.overlay {
        Some(Overlay::Help(top)) => help::draw(app, *top, frame, above),
        Some(Overlay::Messages(top)) => messages::draw(app, *top, frame, above),
        Some(Overlay::Form(form)) => form::draw(app, form, frame, above),
        Some(Overlay::Command(line)) => Some(command_line::draw(app, line, frame, area)),
        Some(Overlay::Confirm(dialog)) => dialogs::confirm(theme, dialog, frame, above),
        Some(Overlay::Leave(dialog)) => dialogs::leave(theme, dialog, frame, above),
        None => {
            let list = FleetAreas::of(app).list;
            let filter = app.filter_input.as_ref().and_then(|_| hosts::cursor(app, list));
            filter
                .or_else(|| dialogs::list_filter_cursor(app, areas.list))
                .or_else(|| log::cursor(app, areas.body()))
                .or_else(|| logs::cursor(app, areas.body()))
        }
    };
    match app.error_dialogs.front() {
        Some(dialog) => dialogs::error(theme, dialog, app.error_dialogs.len(), frame, above),
        None => cursor.into_iter().for_each(|cursor| frame.set_cursor_position(cursor)),
    }
}

fn draw_screen(app: &App, frame: &mut Frame<'_>, areas: &Areas) {
    match app.screens.last() {
        None => {
            let areas = FleetAreas::of(app);
            rollouts::draw(app, frame, areas.rollouts);
            hosts::draw(app, frame, areas.list);
            detail::draw(app, frame, areas.detail);
        }
        Some(Screen::Host(screen)) => host::draw(app, screen, frame, areas.body()),
        Some(Screen::Deployments(screen)) => {
            deployments::draw(app, screen, frame, &areas.fitting(screen.cursor.rows().len() + AROUND_TABLE));
        }
        Some(Screen::Deployment(screen)) => {
            deployment::draw(app, screen, frame, &deployment::areas(app, screen));
        }
        Some(Screen::Builds(screen)) => {
            builds::draw(app, screen, frame, &areas.fitting(screen.cursor.rows().len() + AROUND_TABLE));
        }
        Some(Screen::Build(screen)) => builds::draw_one(app, screen, frame, &builds::areas(app, screen)),
        Some(Screen::Timeline(screen)) => timeline::draw(app, screen, frame, &timeline::areas(app, screen)),
        Some(Screen::Changes(screen)) => {
            folded_changes::draw(app, screen, frame, &areas.fitting(screen.cursor.rows().len() + 2));
        }
        Some(Screen::Logs(screen)) => logs::draw(app, screen, frame, areas.body()),
        Some(Screen::Events(screen)) => events::draw(app, screen, frame, areas),
        Some(Screen::HeatMap(screen)) => {
            heat_map::draw(app, screen, frame, &areas.fitting(heat_map::needed_lines(app, screen) + 3));
        }
        Some(Screen::Log(screen)) => log::draw(app, screen, frame, areas.body()),
    }
}
