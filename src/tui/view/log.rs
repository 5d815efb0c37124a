//! The screen of a log. Only visible rows are computed, so the length of the log does not matter.

use super::detail::elapsed;
use super::lines::{fit, joined};
use super::panel::{Edge, draw_scrollbar, text_panel};
use super::{Areas, dialogs};
use crate::fleet::describe;
use crate::protocol::Status;
use crate::text::{format, printable};
use crate::tui::log_line;
use crate::tui::screens::TIME_WIDTH;
use crate::tui::{App, LogKey, LogScreen, LogState, Screen, Search, Theme, Tone};
use jiff::fmt::strtime;
use ratatui::Frame;
use ratatui::layout::{Position, Rect, Size};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::ops::Range;

/// Minimum width of the title; the state is shortened before the title gets less.
const TITLE: usize = 24;

/// The space for text.
pub(in crate::tui) fn text_area(size: Size) -> Size {
    super::text_size(Areas::of(size).body())
}

pub(super) fn draw(app: &App, screen: &LogScreen, frame: &mut Frame<'_>, area: Rect) {
    let theme = &app.options.theme;
    let size = super::text_size(area);
    let block = text_panel(theme, area.width, upper_edge(app, screen, size), lower_edge(app, screen, size));
    let text = if screen.text.is_empty() {
        let reason = theme.span(Tone::Dim, placeholder(app, screen)).into();
        vec![fit(reason, size.width.into(), theme)]
    } else {
        text(app, screen, size)
    };
    // The position in a long log is a line and not a number of rows, so the rows in view are found without `Paragraph`.
    frame.render_widget(Paragraph::new(text).block(block), area);
    let line = |line: u64| usize::try_from(line.saturating_sub(screen.text.first())).unwrap_or(usize::MAX);
    let (top, below) = (line(screen.top.line), line(screen.below(screen.page(size))));
    draw_scrollbar(frame, theme, area, 1, top, below - top, line(screen.text.end()));
}

/// The title, cut so that the state fits beside it; the state is shortened before the title gets less than its minimum.
fn upper_edge(app: &App, screen: &LogScreen, size: Size) -> Edge {
    let columns = usize::from(size.width);
    let long = state(app, screen, true);
    let right = if long.width() + TITLE <= columns { long } else { state(app, screen, false) };
    let left = fit(title(app, &screen.key), columns.saturating_sub(right.width() + 1), &app.options.theme);
    Edge { left, right }
}

/// The search or a notice, and the position. A path or an error is shown completely, so the position gives way.
fn lower_edge(app: &App, screen: &LogScreen, size: Size) -> Edge {
    let columns = usize::from(size.width);
    let (left, mut right) = (status_line(app, screen), position(app, screen));
    while app.notice.is_some() && left.width() + right.width() >= columns && right.spans.pop().is_some() {}
    let left = fit(left, columns.saturating_sub(right.width() + 1), &app.options.theme);
    Edge { left, right }
}

/// `ns1 ▸ switch main 3f2a91c  ▶ 0:52`, or the result of the job.
fn title(app: &App, key: &LogKey) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let mut line = Line::from(theme.span(Tone::Title, format!(" {} ", key.host)));
    let Some(job) = app.job_of(key) else {
        return joined(line, past_title(app, key));
    };
    let action = job.action.as_ref().map_or("job", |action| action.as_str());
    let summary = format!("{} {} {}", symbols.then, printable(action), describe::job_revision(job));
    line.push_span(theme.span(Tone::Plain, format!("{}  ", summary.trim_end())));
    let (tone, symbol) = match &job.status {
        Status::Completed => (Tone::Good, symbols.done),
        status if status.is_final() => (Tone::Bad, symbols.failed),
        _ => (Tone::Busy, symbols.working),
    };
    let status_text = if job.status.is_final() {
        describe::job_progress(job)
    } else {
        let host = app.fleet.hosts.get(&key.host);
        host.and_then(|host| elapsed(app, host, job)).map_or(job.status.to_string(), format::elapsed)
    };
    line + theme.span(tone, format!("{symbol} {} ", printable(&status_text)))
}

/// Title of a past job from the host's history, or else with its id.
fn past_title(app: &App, key: &LogKey) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let hosts = app.screens.iter().filter_map(Screen::as_host).filter(|screen| screen.host == key.host);
    let Some(entry) = hosts.flat_map(|screen| &screen.entries).find(|entry| entry.id == key.job) else {
        return theme.span(Tone::Plain, format!("{} job {} ", symbols.then, key.job)).into();
    };
    let summary = format!(
        "{} {} {}",
        symbols.then,
        printable(entry.action.as_str()),
        describe::history_revision(entry)
    );
    let took = format::duration(entry.elapsed_ms);
    let (tone, status_text) = match (&entry.status, &entry.error) {
        (Status::Completed, _) => (Tone::Good, format!("{} completed in {took} ", symbols.done)),
        (_, Some(error)) => (Tone::Bad, format!("{} {} in {took} ", symbols.failed, error.words())),
        (status, None) => (Tone::Bad, format!("{} {status} in {took} ", symbols.failed)),
    };
    let summary = theme.span(Tone::Plain, format!("{}  ", summary.trim_end()));
    summary + theme.span(tone, printable(&status_text))
}

/// Whether the view follows the log, and how lines are displayed.
fn state(app: &App, screen: &LogScreen, long: bool) -> Line<'static> {
    let (tone, text) = match (screen.state, screen.follow, screen.unseen()) {
        (LogState::Missing, ..) => (Tone::Warn, "no log".to_owned()),
        (LogState::NoAnswer, ..) if long => (Tone::Warn, "no answer from the host".to_owned()),
        (LogState::NoAnswer, ..) => (Tone::Warn, "no answer".to_owned()),
        (LogState::Ended, true, _) => (Tone::Plain, "ended".to_owned()),
        (LogState::Ended, false, 0) => (Tone::Plain, "ended, paused".to_owned()),
        (_, true, _) => (Tone::Busy, "following".to_owned()),
        (_, false, 0) => (Tone::Warn, "paused".to_owned()),
        (_, false, 1) if long => (Tone::Warn, "paused, 1 new line below".to_owned()),
        (_, false, new) if long => (Tone::Warn, format!("paused, {new} new lines below")),
        (_, false, new) => (Tone::Warn, format!("paused, {new} new")),
    };
    let options = [(screen.wrap, "  wrap"), (screen.times, "  times"), (true, " ")];
    let options = options.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| Span::raw(name));
    [Span::raw(" "), app.options.theme.span(tone, text)].into_iter().chain(options).collect()
}

/// The search field, the current notice, or else the current search.
fn status_line(app: &App, screen: &LogScreen) -> Line<'static> {
    let theme = &app.options.theme;
    let typed = screen.search_input.as_ref().map(|typing| typing.input.value());
    let searched = screen.search.as_ref().map(|search| search.pattern.as_str());
    match (typed.or(searched), &app.notice) {
        (_, Some(_)) if typed.is_none() => dialogs::notice(app),
        (Some(text), _) => {
            theme.span(Tone::Key, " /") + theme.span(Tone::Plain, format!("{} ", printable(text)))
        }
        (None, _) => Line::default(),
    }
}

/// `match 3 of 12  lines 201-240 of 5000`
fn position(app: &App, screen: &LogScreen) -> Line<'static> {
    let (theme, text) = (&app.options.theme, &screen.text);
    if text.is_empty() {
        return Line::default();
    }
    let mut line = Line::from(Span::raw(" "));
    if let Some(search) = &screen.search {
        line.push_span(match (search.position(), search.count()) {
            (_, 0) => theme.span(Tone::Warn, "no match  "),
            (Some(position), count) => theme.span(Tone::Plain, format!("match {position} of {count}  ")),
            (None, count) => theme.span(Tone::Plain, format!("{count} matches  ")),
        });
    }
    if text.first() > 0 {
        line.push_span(theme.span(Tone::Warn, format!("{} oldest missing  ", text.first())));
    }
    if !screen.wrap && screen.left > 0 {
        line.push_span(theme.span(Tone::Plain, format!("column {}  ", screen.left + 1)));
    }
    let (first, last) = (screen.top.line + 1, screen.below(screen.page(text_area(app.size))));
    line + theme.span(Tone::Dim, format!("lines {first}-{last} of {} ", text.end()))
}

/// Why there is no text.
fn placeholder(app: &App, screen: &LogScreen) -> &'static str {
    match screen.state {
        LogState::Missing => "the host has no log of this job",
        LogState::NoAnswer => "no answer to the log query; retrying",
        LogState::Ended => "the log is empty",
        LogState::Loading | LogState::Live if !app.connection.up => {
            "not connected; the log is read after reconnecting"
        }
        LogState::Loading | LogState::Live => "reading the log",
    }
}

/// The rows in view.
fn text(app: &App, screen: &LogScreen, size: Size) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let page = screen.page(size);
    let mut shown_rows = Vec::new();
    for number in screen.top.line..screen.text.end() {
        let whole = screen.text.line(number);
        let found = screen.search.as_ref().map(|search| search.ranges(&whole)).unwrap_or_default();
        let line = screen.shown(number);
        let found: Vec<_> = found.iter().map(|found| line.map(found)).collect();
        let tones = (log_line::tone(&whole), tone(screen.search.as_ref(), number));
        let line = line.text;
        let rows = screen.rows(&line, page);
        for (at, row) in rows.iter().enumerate() {
            if number == screen.top.line
                && rows.get(at + 1).is_some_and(|next| next.column <= screen.top.column)
            {
                continue;
            }
            if shown_rows.len() == usize::from(size.height) {
                return shown_rows;
            }
            let mut shown = Line::default();
            if screen.times {
                let time = if at == 0 { time(app, screen, number) } else { String::new() };
                shown.push_span(theme.span(Tone::Dim, format!("{time:TIME_WIDTH$}")));
            }
            let range = if screen.wrap {
                row.byte..rows.get(at + 1).map_or(line.len(), |next| next.byte)
            } else {
                let (blanks, range) = screen.window(&line, page);
                shown.push_span(" ".repeat(blanks));
                range
            };
            shown.extend(marked(theme, &line, range, &found, tones));
            shown_rows.push(fit(shown, size.width.into(), theme));
        }
    }
    shown_rows
}

/// Style of the matches in a line; the current match has a different one.
fn tone(search: Option<&Search>, number: u64) -> Tone {
    let current = search.is_some_and(|search| search.current == Some(number));
    if current { Tone::Selected } else { Tone::Match }
}

fn time(app: &App, screen: &LogScreen, number: u64) -> String {
    let time = screen.text.time(number).map(|time| time.to_zoned(app.options.zone.clone()));
    time.and_then(|time| strtime::format("%H:%M:%S", &time).ok()).unwrap_or_default()
}

/// A part of a line in the first of these tones, with its matches in the second.
fn marked(
    theme: &Theme,
    line: &str,
    shown: Range<usize>,
    found: &[Range<usize>],
    (plain, tone): (Tone, Tone),
) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut add = |tone, text: &str| spans.push(theme.span(tone, text.to_owned()));
    let mut at = shown.start;
    for found in found.iter().filter(|found| found.end > shown.start && found.start < shown.end) {
        let (start, end) = (found.start.max(at), found.end.min(shown.end));
        add(plain, &line[at..start]);
        add(tone, &line[start..end]);
        at = end;
    }
    add(plain, &line[at..shown.end]);
    spans
}

/// Position of the cursor in the search field.
pub(super) fn cursor(app: &App, area: Rect) -> Option<Position> {
    let Some(Screen::Log(screen)) = app.screens.last() else { return None };
    let column = screen.search_input.as_ref()?.input.visual_cursor() + 4;
    let x = area.x.saturating_add(u16::try_from(column).unwrap_or(u16::MAX));
    Some(Position::new(x.min(area.right().saturating_sub(2)), area.bottom() - 1))
}
