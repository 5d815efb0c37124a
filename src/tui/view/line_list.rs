//! A list of lines with a cursor in a panel, as on the screens of events and changes. Draws only visible rows.

use super::dialogs;
use super::lines::fit;
use super::panel::{Edge, draw_scrollbar, panel};
use crate::tui::cursor::Cursor;
use crate::tui::{App, Tone};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

/// Draws the rows of a cursor, each as the line that `line` makes for a width; without rows, the text `empty`.
pub(super) fn draw<T: Clone + PartialEq>(
    app: &App,
    frame: &mut Frame<'_>,
    area: Rect,
    top: Edge,
    cursor: &Cursor<T>,
    empty: &str,
    line: impl Fn(&T, usize) -> Line<'static>,
) {
    let theme = &app.options.theme;
    let block = panel(theme, area.width, top, dialogs::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let (in_view, columns) = (usize::from(inside.height), usize::from(inside.width).saturating_sub(2));
    let rows = cursor.rows();
    let visible = rows.iter().enumerate().skip(cursor.top).take(in_view);
    let mut lines: Vec<_> = visible
        .map(|(at, row)| {
            let is_selected = at == cursor.row();
            let mut line = fit(line(row, columns), columns, theme);
            if is_selected {
                line = line.style(theme.style(Tone::Selected));
            }
            let marker = if is_selected { theme.symbols().cursor } else { " " };
            line.spans.insert(0, theme.span(Tone::Title, format!("{marker} ")));
            line
        })
        .collect();
    if lines.is_empty() {
        lines.push(theme.span(Tone::Dim, format!("  {}", dialogs::why_empty(app, empty))).into());
    }
    frame.render_widget(Paragraph::new(lines), inside);
    draw_scrollbar(frame, theme, area, 1, cursor.top, in_view, rows.len());
}
