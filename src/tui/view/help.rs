//! The help, made from the key table: first what there is on this screen.

use super::painter::{Painter, Piece};
use crate::tui::keys::bindings;
use crate::tui::{App, Context, Screen, Tone};
use ratatui::layout::{Position, Rect, Size};

/// What each part of the help is called.
const PARTS: [(Context, &str); 7] = [
    (Context::Fleet, "The fleet"),
    (Context::Host, "A host"),
    (Context::Deployments, "The deployments"),
    (Context::Deployment, "A deployment"),
    (Context::Filter, "Typing a filter"),
    (Context::Form, "The deploy form"),
    (Context::Question, "A question"),
];

fn text(app: &App) -> Vec<Vec<Piece>> {
    let here = app.screens.last().map_or(Context::Fleet, Screen::context);
    let (mut parts, others): (Vec<_>, Vec<_>) = PARTS.into_iter().partition(|(context, _)| *context == here);
    parts.extend(others);
    let mut lines = Vec::new();
    for (context, title) in parts {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![Tone::Title.text(title)]);
        for binding in bindings(context, app.options.read_only) {
            // What works everywhere is told once.
            if context != here && binding.contexts.contains(&Context::Fault) {
                continue;
            }
            let keys = Tone::Key.text(format!("  {:<14}", binding.names()));
            lines.push(vec![keys, Tone::Plain.text(binding.does)]);
        }
    }
    lines
}

/// How many lines there are.
pub(in crate::tui) fn lines(app: &App) -> usize {
    text(app).len()
}

/// How many of them are in view.
pub(in crate::tui) fn page(size: Size) -> usize {
    usize::from(size.height.saturating_sub(4)).max(1)
}

pub(super) fn draw(app: &App, top: usize, painter: &mut Painter<'_>, area: Rect) -> Option<Position> {
    let text = text(app);
    let widest = text.iter().map(|line| super::painter::width(line)).max().unwrap_or(0);
    let page = page(area.as_size());
    let more = if text.len() > page { " j k scroll " } else { "" };
    let title = [Tone::Title.text(" keys "), Tone::Dim.text(more)];
    let inside = painter.dialog(area, widest, text.len().min(page), &title);
    painter.lines(inside, &text[top.min(text.len())..]);
    None
}
