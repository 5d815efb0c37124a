//! The command line, in the last two lines: what may follow, and what is typed.

use super::painter::{Painter, Piece, width};
use crate::protocol::printable;
use crate::tui::{App, CommandLine, Tone};
use ratatui::layout::{Position, Rect};
use ratatui::widgets::{Clear, Widget};

pub(super) fn draw(app: &App, line: &CommandLine, painter: &mut Painter<'_>, area: Rect) -> Position {
    let rows = Rect { y: area.bottom().saturating_sub(2), height: 2.min(area.height), ..area };
    Clear.render(rows, painter.buffer);
    let candidates = line.candidates(app);
    let above: Vec<Piece> = match &line.refused {
        Some(why) => vec![Tone::Bad.text(format!(" {}", printable(why)))],
        None => {
            let mut shown = vec![Tone::Plain.text(" ")];
            for candidate in &candidates {
                let piece = Tone::Dim.text(format!("{candidate}  "));
                if width(&shown) + width(std::slice::from_ref(&piece)) > usize::from(area.width) {
                    break;
                }
                shown.push(piece);
            }
            shown
        }
    };
    let typed = vec![Tone::Key.text(":"), Tone::Plain.text(line.input.value())];
    painter.lines(rows, &[above, typed]);
    let column = u16::try_from(1 + line.input.visual_cursor()).unwrap_or(u16::MAX);
    Position::new(
        area.x.saturating_add(column).min(area.right().saturating_sub(1)),
        rows.bottom().saturating_sub(1),
    )
}
