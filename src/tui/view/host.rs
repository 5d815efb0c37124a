//! The screen of one host: status, job, failed units, history and facts.

mod facts;
mod history;
mod job;
mod services;
mod units;

use super::lines::{fit, joined, wrapped};
use super::panel::{Edge, draw_scrollbar, text_panel};
use super::{Areas, columns, commits, detail, dialogs};
use crate::fleet::{Host, MAX_LISTED_COMMITS, describe};
use crate::text::{format, printable};
use crate::tui::{App, HostScreen, Item, Theme, Tone};
use ratatui::Frame;
use ratatui::layout::{Rect, Size};
use ratatui::text::{Line, Span};
use ratatui::widgets::{List, ListState};

/// Indentation of the lines of a section; the cursor is drawn there.
const INDENT: usize = 2;

/// A line, and the item that it selects.
struct HostLine {
    line: Line<'static>,
    item: Option<Item>,
}

impl HostLine {
    /// A line below a heading.
    fn of(line: impl Into<Line<'static>>) -> Self {
        Self { line: joined(Span::raw(" ".repeat(INDENT)), line.into()), item: None }
    }

    /// A line below a heading that can be selected.
    fn selectable(line: impl Into<Line<'static>>, item: Item) -> Self {
        Self { item: Some(item), ..Self::of(line) }
    }

    fn heading(theme: &Theme, title: &str, more: impl Into<Line<'static>>) -> [Self; 2] {
        let line = joined(theme.span(Tone::Title, format!("{title}  ")), more.into());
        [Self { line: Line::default(), item: None }, Self { line, item: None }]
    }

    /// Text, wrapped into lines.
    fn wrapped(theme: &Theme, tone: Tone, text: &str, columns: usize) -> Vec<Self> {
        wrapped(theme, tone, text, columns.saturating_sub(INDENT)).into_iter().map(Self::of).collect()
    }

    /// The line with the cursor in its indentation.
    fn with_cursor(&self, theme: &Theme) -> Line<'static> {
        let mut line = self.line.clone();
        if let Some(indent) = line.spans.first_mut() {
            *indent = theme.span(Tone::Title, format!("{:<INDENT$}", theme.symbols().cursor));
        }
        line
    }
}

fn rows(app: &App, screen: &HostScreen, columns: usize) -> Vec<HostLine> {
    let Some(host) = app.fleet.hosts.get(&screen.host) else { return Vec::new() };
    let mut rows = head(app, host, columns);
    rows.extend(job::rows(app, host, columns));
    rows.extend(services::rows(app, host, columns));
    rows.extend(units::rows(app, host));
    rows.extend(commit_rows(app, host, columns));
    rows.extend(history::rows(app, screen, columns));
    rows.extend(facts::rows(app, host, columns));
    rows
}

/// What the host runs, and the commits up to the head of its branch.
fn commit_rows(app: &App, host: &Host, columns: usize) -> Vec<HostLine> {
    let theme = &app.options.theme;
    let lines = commits::lines(app, host, MAX_LISTED_COMMITS, columns.saturating_sub(INDENT));
    if lines.is_empty() {
        return Vec::new();
    }
    let heading = HostLine::heading(theme, "Commits", Line::default());
    heading.into_iter().chain(lines.into_iter().map(HostLine::of)).collect()
}

/// Status, running system and notes.
fn head(app: &App, host: &Host, columns: usize) -> Vec<HostLine> {
    let seen = host
        .last_seen
        .map_or("never seen".to_owned(), |seen| format!("seen {} ago", format::age(seen, app.now)));
    let theme = &app.options.theme;
    let state = columns::state(app, host, usize::MAX);
    let mut rows = vec![HostLine::of(joined(state, [theme.span(Tone::Dim, format!("  {seen}"))]))];
    if let Some(answer) = &host.answer {
        let runs = Some(describe::running_revision(host)).filter(|runs| !runs.is_empty());
        let generation = answer.generation.map(|generation| format!("generation {generation}"));
        let parts = [runs, generation, answer.os_version.as_deref().map(printable)];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            rows.extend(HostLine::wrapped(theme, Tone::Plain, &parts.join(", "), columns));
        }
    }
    for note in detail::notes(app, host, false) {
        rows.extend(HostLine::wrapped(theme, Tone::Warn, &note, columns));
    }
    rows
}

pub(super) fn draw(app: &App, screen: &HostScreen, frame: &mut Frame<'_>, area: Rect) {
    let theme = &app.options.theme;
    let rows = rows(app, screen, super::text_size(area).width.into());
    let in_view = usize::from(area.height.saturating_sub(2));
    let position = if rows.len() > in_view {
        let (first, last) = (screen.top + 1, (screen.top + in_view).min(rows.len()));
        theme.span(Tone::Dim, format!(" {first}-{last} of {} ", rows.len()))
    } else {
        Span::default()
    };
    let title = theme.span(Tone::Title, format!(" {} ", screen.host));
    let top = Edge { left: title.into(), right: position.into() };
    let block = text_panel(theme, area.width, top, dialogs::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let shown: Vec<_> = rows.iter().skip(screen.top).take(in_view).collect();
    let selected = shown.iter().position(|row| row.item.is_some() && row.item == screen.selected);
    let mut state = ListState::default().with_selected(selected);
    frame.render_stateful_widget(list(theme, &shown, selected, inside.width), inside, &mut state);
    draw_scrollbar(frame, theme, area, 1, screen.top, in_view, rows.len());
}

fn list(theme: &Theme, rows: &[&HostLine], selected: Option<usize>, columns: u16) -> List<'static> {
    let line = |(at, row): (usize, &&HostLine)| {
        let line = if Some(at) == selected { row.with_cursor(theme) } else { row.line.clone() };
        fit(line, columns.into(), theme)
    };
    // The cursor is part of the indentation, because headings have no space for it.
    List::new(rows.iter().enumerate().map(line).collect::<Vec<_>>()).highlight_style(theme.selected_row())
}

/// The selectable item of each line.
pub(in crate::tui) fn items(app: &App, screen: &HostScreen) -> Vec<Option<Item>> {
    let area = Areas::of(app.size).body();
    rows(app, screen, super::text_size(area).width.into()).into_iter().map(|row| row.item).collect()
}

/// Number of visible lines.
pub(in crate::tui) fn page(size: Size) -> usize {
    usize::from(Areas::of(size).body().height.saturating_sub(2))
}
