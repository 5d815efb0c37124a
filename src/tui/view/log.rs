//! A log: the rows in view alone are worked out, whatever its length.

use super::detail::elapsed;
use super::painter::{Painter, Piece, width};
use super::{Areas, boxes};
use crate::fleet::words;
use crate::protocol::{Status, printable};
use crate::tui::screens::TIME;
use crate::tui::{App, LogKey, LogScreen, LogState, Screen, Search, Symbols, Tone};
use jiff::fmt::strtime;
use ratatui::layout::{Position, Rect, Size};
use std::ops::Range;

/// What the title needs at least, in columns; before it gets less than that, the state is told in fewer words.
const TITLE: usize = 24;

fn inside(area: Rect) -> Rect {
    let (width, height) = (area.width.saturating_sub(4), area.height.saturating_sub(2));
    Rect { x: area.x + 2, y: area.y + 1, width, height }
}

/// The room that there is for text.
pub(in crate::tui) fn room(size: Size) -> Size {
    inside(Areas::of(size).body()).as_size()
}

pub(super) fn draw(app: &App, screen: &LogScreen, painter: &mut Painter<'_>, area: Rect) {
    painter.framed(area, &[], &[]);
    let symbols = painter.theme.symbols();
    let edge = |y| Rect { x: area.x + 2, y, width: area.width.saturating_sub(4), height: 1 };
    let columns = usize::from(area.width).saturating_sub(4);
    let long = state(screen, true);
    let told = if width(&long) + TITLE <= columns { long } else { state(screen, false) };
    ends(painter, edge(area.y), &title(app, &screen.key, symbols), &told);
    let (said, mut position) = (said(app, screen), position(app, screen));
    // A path or an error is read as a whole, or not at all.
    while app.notice.is_some() && width(&said) + width(&position) >= columns && position.pop().is_some() {}
    ends(painter, edge(area.bottom() - 1), &said, &position);
    let inside = inside(area);
    if screen.text.is_empty() {
        painter.line(inside, &[Tone::Dim.text(nothing(app, screen))]);
    } else {
        text(app, screen, painter, inside);
    }
}

/// One line with both its ends; of the left one as much as there is room for.
fn ends(painter: &mut Painter<'_>, area: Rect, left: &[Piece], right: &[Piece]) {
    let taken = u16::try_from(width(right)).unwrap_or(u16::MAX).saturating_add(1);
    painter.line(Rect { width: area.width.saturating_sub(taken), ..area }, left);
    painter.right(area, right);
}

/// `ns1 ▸ switch main 3f2a91c  ▶ 0:52`, or how it ended.
fn title(app: &App, key: &LogKey, symbols: &Symbols) -> Vec<Piece> {
    let mut line = vec![Tone::Title.text(format!(" {} ", key.host))];
    let Some(job) = app.job_of(key) else {
        line.extend(past_title(app, key, symbols));
        return line;
    };
    let action = job.action.as_ref().map_or("job", |action| action.as_str());
    let told = format!("{} {} {}", symbols.then, printable(action), words::deploys(job));
    line.push(Tone::Plain.text(format!("{}  ", told.trim_end())));
    let (tone, symbol) = match &job.status {
        Status::Completed => (Tone::Good, symbols.done),
        status if status.is_final() => (Tone::Bad, symbols.failed),
        _ => (Tone::Busy, symbols.working),
    };
    let stands = if job.status.is_final() {
        words::progress_of(job)
    } else {
        let host = app.fleet.hosts.get(&key.host);
        host.and_then(|host| elapsed(app, host, job)).map_or(job.status.to_string(), words::so_far)
    };
    line.push(tone.text(format!("{symbol} {} ", printable(&stands))));
    line
}

/// What the screen of its host was told of a past job, or else its id.
fn past_title(app: &App, key: &LogKey, symbols: &Symbols) -> Vec<Piece> {
    let hosts = app.screens.iter().filter_map(Screen::as_host).filter(|screen| screen.host == key.host);
    let Some(entry) = hosts.flat_map(|screen| &screen.entries).find(|entry| entry.id == key.job) else {
        return vec![Tone::Plain.text(format!("{} job {} ", symbols.then, key.job))];
    };
    let told = format!("{} {} {}", symbols.then, printable(entry.action.as_str()), words::deployed(entry));
    let took = words::duration(entry.elapsed_ms);
    let (tone, stands) = match (&entry.status, &entry.error) {
        (Status::Completed, _) => (Tone::Good, format!("{} completed in {took} ", symbols.done)),
        (_, Some(error)) => (Tone::Bad, format!("{} {} in {took} ", symbols.failed, error.as_str())),
        (status, None) => (Tone::Bad, format!("{} {status} in {took} ", symbols.failed)),
    };
    vec![Tone::Plain.text(format!("{}  ", told.trim_end())), tone.text(printable(&stands))]
}

/// Whether it is followed, and how it is shown.
fn state(screen: &LogScreen, long: bool) -> Vec<Piece> {
    let follow = match (screen.state, screen.follow, screen.unseen()) {
        (LogState::Missing, ..) => Tone::Warn.text("no log"),
        (LogState::Silent, ..) if long => Tone::Warn.text("the host is silent"),
        (LogState::Silent, ..) => Tone::Warn.text("silent"),
        (LogState::Ended, true, _) => Tone::Plain.text("ended"),
        (LogState::Ended, false, 0) => Tone::Plain.text("ended, paused"),
        (_, true, _) => Tone::Busy.text("following"),
        (_, false, 0) => Tone::Warn.text("paused"),
        (_, false, 1) if long => Tone::Warn.text("paused, 1 new line below"),
        (_, false, new) if long => Tone::Warn.text(format!("paused, {new} new lines below")),
        (_, false, new) => Tone::Warn.text(format!("paused, {new} new")),
    };
    let mut line = vec![Tone::Plain.text(" "), follow];
    line.extend(screen.wrap.then(|| Tone::Plain.text("  wrap")));
    line.extend(screen.times.then(|| Tone::Plain.text("  times")));
    line.push(Tone::Plain.text(" "));
    line
}

/// What is typed or was said last, else what is searched for.
fn said(app: &App, screen: &LogScreen) -> Vec<Piece> {
    let typed = screen.typing.as_ref().map(|typing| typing.input.value());
    let searched = screen.search.as_ref().map(|search| search.pattern.as_str());
    match (typed.or(searched), &app.notice) {
        (_, Some(_)) if typed.is_none() => boxes::notice(app),
        (Some(text), _) => {
            vec![Tone::Key.text(" /"), Tone::Plain.text(format!("{} ", printable(text)))]
        }
        (None, _) => Vec::new(),
    }
}

/// `match 3 of 12  lines 201-240 of 5000`
fn position(app: &App, screen: &LogScreen) -> Vec<Piece> {
    let mut line = vec![Tone::Plain.text(" ")];
    if let Some(search) = &screen.search {
        line.push(match (search.position(), search.count()) {
            (_, 0) => Tone::Warn.text("no match  "),
            (Some(position), count) => Tone::Plain.text(format!("match {position} of {count}  ")),
            (None, count) => Tone::Plain.text(format!("{count} matches  ")),
        });
    }
    let text = &screen.text;
    if text.first() > 0 {
        line.push(Tone::Warn.text(format!("{} oldest gone  ", text.first())));
    }
    if !screen.wrap && screen.left > 0 {
        line.push(Tone::Plain.text(format!("column {}  ", screen.left + 1)));
    }
    let (first, last) = (screen.top.line + 1, screen.below(screen.page(room(app.size))));
    line.push(Tone::Dim.text(format!("lines {first}-{last} of {} ", text.end())));
    if text.is_empty() {
        line.clear();
    }
    line
}

/// Why there is no text.
fn nothing(app: &App, screen: &LogScreen) -> &'static str {
    match screen.state {
        LogState::Missing => "the host keeps no log of this job",
        LogState::Silent => "the host does not answer for its log; it is asked again and again",
        LogState::Ended => "the log is empty",
        LogState::Asked | LogState::Live if !app.link.up => {
            "not connected; the log is read once the link is back"
        }
        LogState::Asked | LogState::Live => "reading the log",
    }
}

fn text(app: &App, screen: &LogScreen, painter: &mut Painter<'_>, area: Rect) {
    let page = screen.page(area.as_size());
    let mut places = area.rows();
    for number in screen.top.line..screen.text.end() {
        let line = screen.text.line(number);
        let found = screen.search.as_ref().map(|search| search.ranges(&line)).unwrap_or_default();
        let tone = tone(screen.search.as_ref(), number);
        let rows = screen.rows(&line, page);
        for (at, row) in rows.iter().enumerate() {
            if number == screen.top.line
                && rows.get(at + 1).is_some_and(|next| next.column <= screen.top.column)
            {
                continue;
            }
            let Some(place) = places.next() else { return };
            let mut pieces = Vec::new();
            if screen.times {
                let time = if at == 0 { time(app, screen, number) } else { String::new() };
                pieces.push(Tone::Dim.text(format!("{time:TIME$}")));
            }
            let shown = if screen.wrap {
                row.byte..rows.get(at + 1).map_or(line.len(), |next| next.byte)
            } else {
                let (blanks, shown) = screen.window(&line, page);
                pieces.push(Tone::Plain.text(" ".repeat(blanks)));
                shown
            };
            marked(&line, shown, &found, tone, &mut pieces);
            painter.line(place, &pieces);
        }
    }
}

/// How what is searched for looks in a line: the one that was gone to stands out.
fn tone(search: Option<&Search>, number: u64) -> Tone {
    let current = search.is_some_and(|search| search.current == Some(number));
    if current { Tone::Selected } else { Tone::Match }
}

fn time(app: &App, screen: &LogScreen, number: u64) -> String {
    let time = screen.text.time(number).map(|time| time.to_zoned(app.options.zone.clone()));
    time.and_then(|time| strtime::format("%H:%M:%S", &time).ok()).unwrap_or_default()
}

/// A part of a line in pieces, with what was found in it.
fn marked(line: &str, shown: Range<usize>, found: &[Range<usize>], tone: Tone, pieces: &mut Vec<Piece>) {
    let mut at = shown.start;
    for found in found.iter().filter(|found| found.end > shown.start && found.start < shown.end) {
        let (start, end) = (found.start.max(at), found.end.min(shown.end));
        pieces.push(Tone::Plain.text(&line[at..start]));
        pieces.push(tone.text(&line[start..end]));
        at = end;
    }
    pieces.push(Tone::Plain.text(&line[at..shown.end]));
}

/// Where the search is being typed.
pub(super) fn cursor(app: &App, area: Rect) -> Option<Position> {
    let Some(Screen::Log(screen)) = app.screens.last() else { return None };
    let column = screen.typing.as_ref()?.input.visual_cursor() + 4;
    let x = area.x.saturating_add(u16::try_from(column).unwrap_or(u16::MAX));
    Some(Position::new(x.min(area.right().saturating_sub(2)), area.bottom() - 1))
}
