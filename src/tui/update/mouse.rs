//! What the mouse does: a click selects, the wheel scrolls.

use super::act;
use crate::tui::{App, Command, Context, Effect, view};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

/// How many rows a notch of the wheel scrolls by.
const NOTCH: usize = 3;

pub(super) fn on_mouse(app: &mut App, mouse: MouseEvent) -> Option<Effect> {
    let context = app.context();
    match mouse.kind {
        MouseEventKind::ScrollDown => scroll(app, context, Command::Down),
        MouseEventKind::ScrollUp => scroll(app, context, Command::Up),
        MouseEventKind::Down(MouseButton::Left) if context == Context::Fleet => {
            app.settle();
            if let Some(row) = view::row_at(app, Position::new(mouse.column, mouse.row)) {
                app.table.select(row);
            }
            None
        }
        _ => None,
    }
}

/// In a text or among buttons the wheel would change what was chosen.
fn scroll(app: &mut App, context: Context, command: Command) -> Option<Effect> {
    if matches!(context, Context::Form | Context::Question | Context::Filter | Context::Fault) {
        return None;
    }
    for _ in 0..NOTCH {
        act(app, context, command);
    }
    None
}
