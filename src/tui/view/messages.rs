//! The past notices, newest first.

use super::panel::{draw_dialog, draw_scrollbar, paragraph};
use crate::tui::{App, Tone, text};
use jiff::fmt::strtime;
use ratatui::Frame;
use ratatui::layout::{Margin, Position, Rect};
use ratatui::text::Line;

/// Width of the times.
const TIME: usize = 10;

/// All notices, wrapped at this width.
fn message_lines(app: &App, columns: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let mut lines = Vec::new();
    for (at, tone, message) in app.messages.iter().rev() {
        let time = at.to_zoned(app.options.zone.clone());
        let mut time = strtime::format("%H:%M:%S", &time).unwrap_or_default();
        for line in text::wrap(message, columns.saturating_sub(TIME)) {
            let time = format!("{:<TIME$}", std::mem::take(&mut time));
            lines.push(theme.span(Tone::Dim, time) + theme.span(*tone, line));
        }
    }
    if lines.is_empty() {
        lines.push(theme.span(Tone::Dim, "no messages yet").into());
    }
    lines
}

/// Inner width of the dialog.
fn columns(width: u16) -> usize {
    usize::from(width.saturating_sub(4))
}

/// Number of lines.
pub(in crate::tui) fn lines(app: &App) -> usize {
    message_lines(app, columns(app.size.width)).len()
}

pub(super) fn draw(app: &App, top: usize, frame: &mut Frame<'_>, area: Rect) -> Option<Position> {
    let theme = &app.options.theme;
    let lines = message_lines(app, columns(area.width));
    let widest = lines.iter().map(Line::width).max().unwrap_or(0).max(20);
    let page = usize::from(area.height.saturating_sub(3)).max(1);
    let (all, top) = (lines.len(), top.min(lines.len().saturating_sub(page)));
    let inside =
        draw_dialog(frame, theme, area, widest, all.min(page), theme.span(Tone::Title, " messages "));
    frame.render_widget(paragraph(theme, inside.width, lines.into_iter().skip(top)), inside);
    draw_scrollbar(frame, theme, inside.outer(Margin::new(2, 1)), 1, top, page, all);
    None
}
