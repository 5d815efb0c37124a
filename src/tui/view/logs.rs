//! The logs of several hosts as one stream. Only visible lines are built.

use super::panel::{Edge, draw_scrollbar, panel};
use super::{Areas, dialogs};
use crate::text::format;
use crate::tui::log_line::{self, ShownLine};
use crate::tui::{App, LogsScreen, Screen, Theme, Tone, text};
use ratatui::Frame;
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Colours of the host names, in turn.
const COLOURS: [Color; 5] = [Color::Cyan, Color::Green, Color::Yellow, Color::Magenta, Color::Blue];
/// Maximum width of the names.
const NAME: usize = 16;

/// Number of visible lines.
pub(in crate::tui) fn page(size: Size) -> usize {
    usize::from(Areas::of(size).body().height.saturating_sub(2)).max(1)
}

pub(super) fn draw(app: &App, screen: &LogsScreen, frame: &mut Frame<'_>, area: Rect) {
    let theme = &app.options.theme;
    let (ended, all) = (screen.ended(), screen.keys.len());
    let follows = if screen.follow { "following" } else { "paused" };
    let left_out = format!("{} left out, ", screen.left_out);
    let left_out = if screen.left_out > 0 { &left_out } else { "" };
    let right = theme.span(Tone::Plain, format!(" {left_out}{ended} of {all} ended, {follows} "));
    let top = Edge { left: title(screen, theme, area).0, right: right.into() };
    let lines = format!(" {} of {} ", screen.len(), format::count(screen.all(), "line"));
    let bottom = Edge { left: notice(app, screen), right: theme.span(Tone::Plain, lines).into() };
    let block = panel(theme, area.width, top, bottom);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let in_view = usize::from(inside.height);
    let names = screen.keys.iter().map(|key| key.host.as_str().len());
    let name = names.max().unwrap_or(0).min(NAME);
    let columns = usize::from(inside.width).saturating_sub(name + 3);
    let rows = screen.lines_from(screen.top).take(in_view).map(|line| {
        let host = screen.keys.get(line.log).map_or("", |key| key.host.as_str());
        let host = text::fit(host, name, theme.symbols().cut);
        let mut row = vec![
            Span::styled(format!(" {host:<name$} "), name_style(theme, line.log)),
            theme.span(Tone::Dim, if theme.unicode { "│" } else { "|" }),
        ];
        row.extend(visible(theme, screen, &line.text, columns));
        Line::from(row)
    });
    let rows: Vec<_> = rows.collect();
    let reason = if screen.all() == 0 { " reading the logs" } else { " no line matches" };
    let empty = vec![Line::from(theme.span(Tone::Dim, reason))];
    frame.render_widget(Paragraph::new(if rows.is_empty() { empty } else { rows }), inside);
    draw_scrollbar(frame, theme, area, 1, screen.top, in_view, screen.len());
}

fn name_style(theme: &Theme, log: usize) -> Style {
    if theme.colour { Style::new().fg(COLOURS[log % COLOURS.len()]) } else { theme.style(Tone::Title) }
}

/// The visible part of a line, with its matches.
fn visible(theme: &Theme, screen: &LogsScreen, line: &str, columns: usize) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut from = 0;
    let mut add = |part: &str, tone| {
        if !part.is_empty() {
            spans.push(theme.span(tone, part.to_owned()));
        }
    };
    let plain = log_line::tone(line);
    let shown = ShownLine::short(line.into());
    for found in screen.filter.ranges(line).iter().map(|found| shown.map(found)) {
        add(&shown.text[from..found.start], plain);
        add(&shown.text[found.clone()], Tone::Match);
        from = found.end;
    }
    add(&shown.text[from..], plain);
    let mut skip = screen.left;
    let mut available = columns;
    let mut shown = Vec::new();
    for span in spans {
        let rest: String = span
            .content
            .chars()
            .skip_while(|c| {
                let width = text::width(c.encode_utf8(&mut [0; 4]));
                let hidden = skip > 0;
                skip = skip.saturating_sub(width.max(usize::from(hidden)));
                hidden
            })
            .collect();
        let rest = text::fit(&rest, available, theme.symbols().cut);
        available -= text::width(&rest).min(available);
        shown.push(Span::styled(rest, span.style));
    }
    shown
}

/// Title with the filter, and the column of the cursor in it.
fn title(screen: &LogsScreen, theme: &Theme, area: Rect) -> (Line<'static>, usize) {
    let hosts = format::count(screen.keys.len(), "host");
    let mut line = Line::from(theme.span(Tone::Title, format!(" log of {hosts} ")));
    if screen.filter.text.is_empty() && screen.filter_input.is_none() {
        return (line, 0);
    }
    line.push_span(theme.span(Tone::Key, "/"));
    let before = line.width();
    let available = usize::from(area.width.saturating_sub(4)).saturating_sub(before + 1);
    let (shown, at) = match &screen.filter_input {
        Some((input, _)) => text::window(input, available),
        None => (text::fit(&screen.filter.text, available, theme.symbols().cut), 0),
    };
    line.push_span(theme.span(Tone::Plain, format!("{shown} ")));
    (line, before + at)
}

fn notice(app: &App, screen: &LogsScreen) -> Line<'static> {
    let theme = &app.options.theme;
    match (&screen.filter.error, screen.dropped) {
        (Some(error), _) => theme.span(Tone::Warn, format!(" {error} ")).into(),
        (None, 0) => dialogs::notice(app),
        (None, dropped) if app.notice.is_none() => {
            theme.span(Tone::Dim, format!(" {dropped} older lines were dropped ")).into()
        }
        _ => dialogs::notice(app),
    }
}

/// Position of the cursor in the filter.
pub(super) fn cursor(app: &App, area: Rect) -> Option<Position> {
    let Some(Screen::Logs(screen)) = app.screens.last() else { return None };
    screen.filter_input.as_ref()?;
    let column = u16::try_from(title(screen, &app.options.theme, area).1).unwrap_or(u16::MAX);
    let x = area.x.saturating_add(2).saturating_add(column);
    Some(Position::new(x.min(area.right().saturating_sub(2)), area.y))
}
