//! The event feed, newest events first, and below it the whole text of the selected one.

use super::lines::wrapped;
use super::panel::{Edge, draw_text};
use super::{Areas, line_list};
use crate::text::format;
use crate::tui::{App, EventsScreen, FeedEvent, FeedKind, FeedRow, Theme, Tone, text};
use jiff::fmt::strtime;
use ratatui::Frame;
use ratatui::text::{Line, Span};

/// Width of the times, and the maximum width of the names.
const TIME: usize = 11;
const NAME: usize = 20;

pub(super) fn draw(app: &App, screen: &EventsScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let known = app.feed.events().len();
    let known = match screen.last_looked {
        // The first time, nothing was seen before.
        None => format!(" {known} known "),
        looked => format!(" {} new, {known} known ", app.feed.since(looked)),
    };
    let known = theme.span(Tone::Plain, known);
    let top = Edge { left: theme.span(Tone::Title, " events ").into(), right: known.into() };
    line_list::draw(app, frame, area, top, &screen.cursor, "nothing has happened yet", |row, columns| {
        match row {
            FeedRow::LastLooked => last_looked(app, screen, columns),
            FeedRow::Event(number) => {
                app.feed.get(*number).map(|event| event_line(app, event)).unwrap_or_default()
            }
        }
    });
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
        FeedKind::Rejected | FeedKind::Cancelled | FeedKind::UnitFailed | FeedKind::Held => symbols.warning,
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
    let rest = columns.saturating_sub(text::width(&label) + 4);
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
