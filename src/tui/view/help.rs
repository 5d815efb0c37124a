//! The help, generated from the key table. The current screen comes first.

use super::panel::{draw_dialog, draw_scrollbar, paragraph};
use crate::tui::command_line::verbs;
use crate::tui::filter::TERM_HELP;
use crate::tui::{App, Context, KeyCommand, Screen, Tone, text};
use ratatui::Frame;
use ratatui::layout::{Margin, Position, Rect, Size};
use ratatui::text::Line;

/// Headings of the help.
const PARTS: [(Context, &str); 19] = [
    (Context::Fleet, "Fleet"),
    (Context::Host, "Host"),
    (Context::Deployments, "Deployments"),
    (Context::Builds, "Builds"),
    (Context::Build, "Build"),
    (Context::Deployment, "Deployment"),
    (Context::Timeline, "Timeline"),
    (Context::HeatMap, "Heat map"),
    (Context::Events, "Events"),
    (Context::Logs, "Logs of several hosts"),
    (Context::LogsFilter, "Filter of the logs"),
    (Context::Changes, "Changes"),
    (Context::Log, "Log"),
    (Context::Search, "Log search"),
    (Context::Filter, "Filter"),
    (Context::ListFilter, "Filter of a list"),
    (Context::Command, "Command line"),
    (Context::Form, "Form"),
    (Context::Confirm, "Prompt"),
];

/// Width of the terminal from which the help has two columns.
const TWO_COLUMNS: u16 = 140;
/// Width of the keys.
const KEY: usize = 16;

/// All lines of the help, wrapped at this width.
fn help_lines(app: &App, columns: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let here = app.screens.last().map_or(Context::Fleet, Screen::context);
    let (mut parts, others): (Vec<_>, Vec<_>) = PARTS.into_iter().partition(|(context, _)| *context == here);
    parts.extend(others);
    let mut lines = Vec::new();
    let explain = |what: &str, does: &str| -> Vec<Line<'static>> {
        let does = text::wrap(does, columns.saturating_sub(KEY));
        let names = std::iter::once(what).chain(std::iter::repeat(""));
        let line =
            |(what, does)| theme.span(Tone::Key, format!("  {what:<14}")) + theme.span(Tone::Plain, does);
        names.zip(does).map(line).collect()
    };
    let wanted = app.help_search.0.value().trim().to_lowercase();
    let explain = |what: &str, does: &str| {
        let is_wanted = format!("{what} {does}").to_lowercase().contains(&wanted);
        if is_wanted { explain(what, does) } else { Vec::new() }
    };
    for (context, title) in parts {
        let before = lines.len();
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(theme.span(Tone::Title, title).into());
        let heading = lines.len();
        for binding in app.options.keys.bindings(context, app.options.read_only) {
            // Keys that work in every context are listed once.
            if context != here && binding.contexts.contains(Context::ErrorDialog) || binding.chords.is_empty()
            {
                continue;
            }
            lines.extend(explain(&binding.names(), binding.help));
        }
        if context == Context::Command {
            let verbs = verbs(app.options.read_only);
            lines.extend(verbs.flat_map(|verb| explain(&format!(":{}", verb.name), verb.help)));
            let aliases = app.options.aliases.iter();
            lines.extend(
                aliases.flat_map(|(name, line)| explain(&format!(":{name}"), &format!("alias of {line}"))),
            );
        }
        if context == Context::Filter {
            lines.extend(TERM_HELP.iter().flat_map(|(term, shows)| explain(term, shows)));
        }
        if lines.len() == heading {
            // Nothing of this part was searched for.
            lines.truncate(before);
        }
    }
    if lines.is_empty() {
        lines.push(theme.span(Tone::Dim, "nothing in the help matches").into());
    }
    lines
}

/// Number of lines of the help.
pub(in crate::tui) fn lines(app: &App) -> usize {
    help_lines(app, columns(app.size.width)).len()
}

/// Number of visible lines.
pub(in crate::tui) fn page(size: Size) -> usize {
    usize::from(size.height.saturating_sub(4)).max(1) * columns_of_text(size.width)
}

/// Number of columns of text.
fn columns_of_text(width: u16) -> usize {
    if width >= TWO_COLUMNS { 2 } else { 1 }
}

/// Width of a column of text.
fn columns(width: u16) -> usize {
    let gaps = 3 * (columns_of_text(width) - 1);
    usize::from(width.saturating_sub(4)).saturating_sub(gaps) / columns_of_text(width)
}

pub(super) fn draw(app: &App, top: usize, frame: &mut Frame<'_>, area: Rect) -> Option<Position> {
    let theme = &app.options.theme;
    let lines = help_lines(app, columns(area.width));
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let rows = usize::from(area.height.saturating_sub(3)).max(1);
    let page = rows * columns_of_text(area.width);
    let top = top.min(lines.len().saturating_sub(page));
    let more = if lines.len() > page {
        let [down, up] =
            [KeyCommand::Down, KeyCommand::Up].map(|command| app.options.keys.name(Context::Help, command));
        format!(" {}-{} of {}, {down} {up} scroll ", top + 1, top + page, lines.len())
    } else {
        String::new()
    };
    let mut title = theme.span(Tone::Title, " keys ") + theme.span(Tone::Dim, more);
    let (search, typing) = &app.help_search;
    if *typing || !search.value().is_empty() {
        title.push_span(theme.span(Tone::Key, "/"));
        title.push_span(theme.span(Tone::Plain, format!("{} ", search.value())));
    }
    let all = lines.len();
    let two = columns_of_text(area.width) == 2 && all > rows;
    let width = if two { 2 * columns(area.width) + 3 } else { widest };
    let inside = draw_dialog(frame, theme, area, width.max(40), all.min(rows), title);
    let shown: Vec<_> = lines.into_iter().skip(top).collect();
    let half = u16::try_from(columns(area.width)).unwrap_or(u16::MAX);
    let left = if two { Rect { width: half.min(inside.width), ..inside } } else { inside };
    frame.render_widget(paragraph(theme, left.width, shown.iter().take(rows).cloned()), left);
    if two {
        let x = (inside.x + half + 3).min(inside.right());
        let right = Rect { x, width: inside.right() - x, ..inside };
        frame.render_widget(paragraph(theme, right.width, shown.into_iter().skip(rows)), right);
    }
    draw_scrollbar(frame, theme, inside.outer(Margin::new(2, 1)), 1, top, page, all);
    None
}
