//! The event feed, newest events first, and below it the whole text of the selected one.

use super::lines::{fit, wrapped};
use super::panel::{Edge, draw_scrollbar, draw_text, panel};
use super::{Areas, dialogs};
use crate::text::format;
use crate::tui::{App, EventsScreen, FeedEvent, FeedKind, FeedRow, Theme, Tone, text};
use jiff::fmt::strtime;
use ratatui::Frame;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Width of the times, and the maximum width of the names.
const TIME: usize = 11;
const NAME: usize = 20;

pub(super) fn draw(app: &App, screen: &EventsScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let rows = screen.cursor.rows();
    let known = app.feed.events().len();
    let known = match screen.last_looked {
        // The first time, nothing was seen before.
        None => format!(" {known} known "),
        looked => format!(" {} new, {known} known ", app.feed.since(looked)),
    };
    let known = theme.span(Tone::Plain, known);
    let top = Edge { left: theme.span(Tone::Title, " events ").into(), right: known.into() };
    let block = panel(theme, area.width, top, dialogs::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let in_view = usize::from(inside.height);
    let columns = usize::from(inside.width);
    let visible = rows.iter().enumerate().skip(screen.cursor.top).take(in_view);
    let lines = visible.map(|(at, row)| {
        let line = match row {
            FeedRow::LastLooked => last_looked(app, screen, columns),
            FeedRow::Event(number) => {
                app.feed.get(*number).map(|event| event_line(app, event)).unwrap_or_default()
            }
        };
        let selected = at == screen.cursor.row();
        let cursor = if selected { theme.symbols().cursor } else { " " };
        let mut line = fit(line, columns.saturating_sub(2), theme);
        if selected {
            line = line.style(theme.style(Tone::Selected));
        }
        line.spans.insert(0, theme.span(Tone::Title, format!("{cursor} ")));
        line
    });
    let lines: Vec<_> = lines.collect();
    let empty = [Line::from(theme.span(Tone::Dim, "  nothing has happened yet"))];
    let text = if lines.is_empty() { empty.to_vec() } else { lines };
    frame.render_widget(Paragraph::new(text), inside);
    draw_scrollbar(frame, theme, area, 1, screen.cursor.top, in_view, rows.len());
    draw_details(app, screen, frame, areas);
}

/// `17:57:03 web1  ✗ switch main: failed: …`
fn event_line(app: &App, event: &FeedEvent) -> Line<'static> {
    let theme = &app.options.theme;
    let name = text::fit(event.host.as_str(), NAME, theme.symbols().cut);
    let names = app.feed.events().iter().map(|event| event.host.as_str().len());
    let width = names.max().unwrap_or(0).clamp(6, NAME);
    Line::from(vec![
        theme.span(Tone::Dim, format!("{:<TIME$}  ", time(app, event.at))),
        theme.span(Tone::Title, format!("{name:<width$}  ")),
        theme.span(event.kind.tone(), format!("{} ", symbol(theme, event.kind))),
        theme.span(Tone::Plain, event.text.clone()),
    ])
}

/// The time of today, or the day and the time.
fn time(app: &App, at: jiff::Timestamp) -> String {
    let zoned = at.to_zoned(app.options.zone.clone());
    let today = app.now.to_zoned(app.options.zone.clone());
    let pattern = if zoned.date() == today.date() { "%H:%M:%S" } else { "%m-%d %H:%M" };
    strtime::format(pattern, &zoned).unwrap_or_default()
}

fn symbol(theme: &Theme, kind: FeedKind) -> &'static str {
    let symbols = theme.symbols();
    match kind {
        FeedKind::Completed | FeedKind::UnitRecovered => symbols.done,
        FeedKind::Failed => symbols.failed,
        FeedKind::Rejected | FeedKind::UnitFailed | FeedKind::Held => symbols.warning,
        FeedKind::Silent => symbols.offline,
        FeedKind::Back | FeedKind::New | FeedKind::Released => symbols.online,
        FeedKind::Commit => symbols.then,
        FeedKind::Other => symbols.pending,
    }
}

/// `── you last looked 2 h ago ──`
fn last_looked(app: &App, screen: &EventsScreen, columns: usize) -> Line<'static> {
    let theme = &app.options.theme;
    let age = screen.last_looked.map(|at| format::age(at, app.now)).unwrap_or_default();
    let line = theme.border().horizontal_top;
    let label = format!(" you last looked {age} ago ");
    let rest = columns.saturating_sub(text::width(&label) + 6);
    let around = |count: usize| theme.span(Tone::Warn, line.repeat(count));
    Line::from(vec![around(2), theme.span(Tone::Warn, label), around(rest), Span::raw("")])
}

fn draw_details(app: &App, screen: &EventsScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, size) = (&app.options.theme, super::text_size(areas.detail));
    if size.height == 0 {
        return;
    }
    let event = match screen.cursor.selected() {
        Some(FeedRow::Event(number)) => app.feed.get(*number),
        _ => None,
    };
    let title = event.map(|event| format!(" {}, {} ago ", event.host, format::age(event.at, app.now)));
    let title = theme.span(Tone::Title, title.unwrap_or_default());
    let lines = event.map(|event| wrapped(theme, event.kind.tone(), &event.text, size.width.into()));
    draw_text(frame, theme, areas.detail, title, Line::default(), lines.unwrap_or_default());
}
