//! The command line in the last two lines of the screen: candidates and input.

use super::panel::paragraph;
use crate::text::printable;
use crate::tui::{App, CommandLine, Tone};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

pub(super) fn draw(app: &App, line: &CommandLine, frame: &mut Frame<'_>, area: Rect) -> Position {
    let theme = &app.options.theme;
    let rows = Rect { y: area.bottom().saturating_sub(2), height: 2.min(area.height), ..area };
    let above = match &line.error {
        Some(reason) => theme.span(Tone::Bad, format!(" {}", printable(reason))).into(),
        None => candidates(app, line, area.width.into()),
    };
    let typed = theme.span(Tone::Key, ":") + theme.span(Tone::Plain, line.input.value().to_owned());
    frame.render_widget(Clear, rows);
    frame.render_widget(paragraph(theme, rows.width, [above, typed]), rows);
    let column = u16::try_from(1 + line.input.visual_cursor()).unwrap_or(u16::MAX);
    Position::new(
        area.x.saturating_add(column).min(area.right().saturating_sub(1)),
        rows.bottom().saturating_sub(1),
    )
}

/// As many completions as fit.
fn candidates(app: &App, line: &CommandLine, columns: usize) -> Line<'static> {
    let mut shown = Line::from(Span::raw(" "));
    for candidate in line.candidates(app) {
        let span = app.options.theme.span(Tone::Dim, format!("{candidate}  "));
        if shown.width() + span.width() > columns {
            break;
        }
        shown.push_span(span);
    }
    shown
}
