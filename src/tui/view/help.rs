//! The help, made from the key table.

use super::painter::{Painter, Piece};
use crate::tui::{Context, KEYS, Tone};
use ratatui::layout::{Position, Rect, Size};

/// What each part of the help is called.
const PARTS: [(Context, &str); 4] = [
    (Context::Fleet, "The fleet"),
    (Context::Filter, "Typing a filter"),
    (Context::Form, "The deploy form"),
    (Context::Question, "A question"),
];

fn text() -> Vec<Vec<Piece>> {
    let mut lines = Vec::new();
    for (context, title) in PARTS {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![Tone::Title.text(title)]);
        for binding in KEYS.iter().filter(|binding| binding.contexts.contains(&context)) {
            // What works everywhere is told once.
            if context != Context::Fleet && binding.contexts.contains(&Context::Fault) {
                continue;
            }
            let keys = Tone::Key.text(format!("  {:<14}", binding.names()));
            lines.push(vec![keys, Tone::Plain.text(binding.does)]);
        }
    }
    lines
}

/// How many lines there are.
pub(in crate::tui) fn lines() -> usize {
    text().len()
}

/// How many of them are in view.
pub(in crate::tui) fn page(size: Size) -> usize {
    usize::from(size.height.saturating_sub(4)).max(1)
}

pub(super) fn draw(top: usize, painter: &mut Painter<'_>, area: Rect) -> Option<Position> {
    let text = text();
    let widest = text.iter().map(|line| super::painter::width(line)).max().unwrap_or(0);
    let page = page(area.as_size());
    let more = if text.len() > page { " j k scroll " } else { "" };
    let title = [Tone::Title.text(" keys "), Tone::Dim.text(more)];
    let inside = painter.dialog(area, widest, text.len().min(page), &title);
    painter.lines(inside, &text[top.min(text.len())..]);
    None
}
