//! The help, made from the key table: first what there is on this screen.

use super::painter::{Painter, Piece};
use crate::tui::command_line::verbs;
use crate::tui::filter::TERMS;
use crate::tui::keys::bindings;
use crate::tui::{App, Context, Screen, Tone, text};
use ratatui::layout::{Position, Rect, Size};

/// What each part of the help is called.
const PARTS: [(Context, &str); 12] = [
    (Context::Fleet, "The fleet"),
    (Context::Host, "A host"),
    (Context::Deployments, "The deployments"),
    (Context::Builds, "The builds"),
    (Context::Build, "One build"),
    (Context::Deployment, "A deployment"),
    (Context::Log, "A log"),
    (Context::Search, "Searching a log"),
    (Context::Filter, "Typing a filter"),
    (Context::Command, "The command line"),
    (Context::Form, "A form"),
    (Context::Question, "A question"),
];

/// The columns before what a key does.
const KEY: usize = 16;

/// Every line, in at most this many columns.
fn told(app: &App, columns: usize) -> Vec<Vec<Piece>> {
    let here = app.screens.last().map_or(Context::Fleet, Screen::context);
    let (mut parts, others): (Vec<_>, Vec<_>) = PARTS.into_iter().partition(|(context, _)| *context == here);
    parts.extend(others);
    let mut lines = Vec::new();
    let explain = |what: &str, does: &str| -> Vec<Vec<Piece>> {
        let does = text::wrap(does, columns.saturating_sub(KEY));
        let names = std::iter::once(what).chain(std::iter::repeat(""));
        let line = |(what, does)| vec![Tone::Key.text(format!("  {what:<14}")), Tone::Plain.text(does)];
        names.zip(does).map(line).collect()
    };
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
            lines.extend(explain(&binding.names(), binding.does));
        }
        if context == Context::Command {
            let verbs = verbs(app.options.read_only);
            lines.extend(verbs.flat_map(|verb| explain(&format!(":{}", verb.name), verb.does)));
        }
        if context == Context::Filter {
            lines.extend(TERMS.iter().flat_map(|(term, shows)| explain(term, shows)));
        }
    }
    lines
}

/// How many lines there are.
pub(in crate::tui) fn lines(app: &App) -> usize {
    told(app, columns(app.size.width)).len()
}

/// How many of them are in view.
pub(in crate::tui) fn page(size: Size) -> usize {
    usize::from(size.height.saturating_sub(4)).max(1)
}

/// The columns inside the box.
fn columns(width: u16) -> usize {
    usize::from(width.saturating_sub(4))
}

pub(super) fn draw(app: &App, top: usize, painter: &mut Painter<'_>, area: Rect) -> Option<Position> {
    let text = told(app, columns(area.width));
    let widest = text.iter().map(|line| super::painter::width(line)).max().unwrap_or(0);
    let page = usize::from(area.height.saturating_sub(3)).max(1);
    let top = top.min(text.len().saturating_sub(page));
    let more = if text.len() > page {
        format!(" {}-{} of {}, j k scroll ", top + 1, top + page, text.len())
    } else {
        String::new()
    };
    let title = [Tone::Title.text(" keys "), Tone::Dim.text(more)];
    let inside = painter.dialog(area, widest, text.len().min(page), &title);
    painter.lines(inside, &text[top..]);
    None
}
