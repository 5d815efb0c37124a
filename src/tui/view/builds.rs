//! The builder's builds: the table of all, and of one the hosts with the last lines of what failed.

use super::grid::{Column, Grid};
use super::hosts::shifted;
use super::painter::{Painter, Piece};
use super::{Areas, boxes, columns};
use crate::fleet::{Build, words};
use crate::protocol::{BuildHost, BuildStatus, PhaseState, printable};
use crate::tui::{App, BuildScreen, BuildsScreen, Symbols, Tone, text};
use ratatui::layout::Rect;

type Lines = Vec<Vec<Piece>>;

#[derive(Debug, Clone, Copy)]
enum What {
    When,
    Target,
    Repo,
    Commit,
    Result,
    Progress,
}

#[derive(Debug, Clone, Copy)]
enum OfHost {
    Host,
    State,
    Time,
    Message,
}

const fn column<C>(what: C, title: &'static str, width: [usize; 3], leaves: u8, right: bool) -> Column<C> {
    Column { what, title, width, leaves, right }
}

const COLUMNS: [Column<What>; 6] = [
    column(What::When, "WHEN", [6; 3], 3, true),
    column(What::Target, "TARGET", [8, 14, 30], 0, false),
    column(What::Repo, "REPO", [8, 10, 20], 4, false),
    column(What::Commit, "COMMIT", [8; 3], 2, false),
    column(What::Result, "RESULT", [18, 30, 60], 1, false),
    column(What::Progress, "PROGRESS", [12, 20, 30], 5, false),
];

const HOSTS: [Column<OfHost>; 4] = [
    column(OfHost::Host, "HOST", [8, 20, 30], 0, false),
    column(OfHost::State, "STATE", [12, 14, 16], 1, false),
    column(OfHost::Time, "TIME", [8; 3], 3, true),
    column(OfHost::Message, "MESSAGE", [16, 40, usize::MAX], 2, false),
];

pub(super) fn draw(app: &App, screen: &BuildsScreen, painter: &mut Painter<'_>, areas: &Areas) {
    let inside = painter.framed(areas.hosts, &[Tone::Title.text(" builds ")], &boxes::notice(app));
    let symbols = painter.theme.symbols();
    let grid = Grid::new(&COLUMNS, inside);
    let mut places = inside.rows();
    if let Some(place) = places.next() {
        grid.headings(painter, place);
    }
    let rows = screen.cursor.rows();
    for (place, (at, id)) in places.zip(rows.iter().enumerate().skip(screen.cursor.top)) {
        let Some(build) = app.fleet.build(id) else { continue };
        let selected = at == screen.cursor.row();
        grid.row(painter, place, selected, |what, width| vec![cell(app, build, what, width, symbols)]);
    }
    if rows.is_empty() && inside.height > 1 {
        let place = inside.rows().nth(1).unwrap_or(inside);
        let why = if app.builds_refused {
            "the server refuses build.responses.* to this key, so no build can be heard of"
        } else {
            "no build was heard of yet; `homelab-deploy build` asks for one"
        };
        painter.line(shifted(place, 2, usize::MAX), &[Tone::Dim.text(why)]);
    }
    let selected = screen.cursor.selected().and_then(|id| app.fleet.build(id));
    let lines = selected.map(|build| summary(app, build, usize::from(areas.detail.width), symbols));
    pane(painter, areas.detail, selected.map(title), &lines.unwrap_or_default());
}

pub(super) fn draw_one(app: &App, screen: &BuildScreen, painter: &mut Painter<'_>, areas: &Areas) {
    let Some(build) = app.fleet.build(&screen.id) else {
        let inside = painter.framed(areas.hosts, &[], &boxes::notice(app));
        return painter
            .line(inside, &[Tone::Dim.text(" so many builds came after it that it was forgotten")]);
    };
    let symbols = painter.theme.symbols();
    let inside = painter.framed(areas.hosts, &[Tone::Title.text(title(build))], &boxes::notice(app));
    let mut places = inside.rows();
    for line in summary(app, build, usize::from(areas.hosts.width), symbols) {
        let Some(place) = places.next() else { return };
        painter.line(shifted(place, 1, usize::MAX), &line);
    }
    let grid = Grid::new(&HOSTS, inside);
    if let Some(place) = places.next() {
        grid.headings(painter, place);
    }
    let hosts = build.hosts();
    // Of a builder that has fallen silent nobody knows whether it works.
    let since = if build.is_silent(app.now) { 0 } else { app.now.duration_since(build.heard).as_millis() };
    let since = u64::try_from(since).unwrap_or(0);
    for (place, (at, host)) in places.zip(hosts.iter().enumerate().skip(screen.cursor.top)) {
        let selected = at == screen.cursor.row();
        grid.row(painter, place, selected, |what, _| vec![of_host(host, since, what, symbols)]);
    }
    let selected = hosts.get(screen.cursor.row());
    let columns = usize::from(areas.detail.width.saturating_sub(4));
    let rows = usize::from(areas.detail.height.saturating_sub(2));
    let lines = selected.map(|host| told(host, columns, rows)).unwrap_or_default();
    pane(painter, areas.detail, selected.map(|host| format!(" {} ", host.hostname)), &lines);
}

/// How many hosts are in view.
pub(in crate::tui) fn built_in_view(app: &App, screen: &BuildScreen) -> usize {
    let above = app
        .fleet
        .build(&screen.id)
        .map(|build| summary(app, build, usize::from(app.size.width), app.options.theme.symbols()).len());
    super::rows_in_view(app.size).saturating_sub(above.unwrap_or(0)).max(1)
}

fn pane(painter: &mut Painter<'_>, area: Rect, title: Option<String>, lines: &[Vec<Piece>]) {
    if area.height < 3 {
        return;
    }
    let title = title.map(|title| Tone::Title.text(title));
    let inside = painter.framed(area, title.as_slice(), &[]);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    painter.lines(inside, lines);
}

/// ` all of fleet 3f2a91c `
fn title(build: &Build) -> String {
    let report = &build.report;
    let repo = report.repo.as_ref().map(|repo| format!(" of {repo}")).unwrap_or_default();
    let commit = report.commit.as_deref().map(|commit| format!(" {}", printable(words::short(commit))));
    format!(" {}{repo}{} ", printable(&report.target), commit.unwrap_or_default())
}

/// How many hosts are how; below it what the builder says in all.
fn summary(app: &App, build: &Build, columns: usize, symbols: &Symbols) -> Lines {
    let mut lines = vec![counts(build, symbols)];
    if build.is_silent(app.now) {
        lines.push(vec![silent(app, build, symbols)]);
    }
    let report = &build.report;
    if !report.message.is_empty() {
        let error = report.error.as_ref().map(|error| format!("{}: ", printable(error.as_str())));
        let said = format!("{}{}", error.unwrap_or_default(), printable(&report.message));
        let tone = if report.error.is_some() { Tone::Bad } else { Tone::Plain };
        lines.extend(
            text::wrap(&said, columns.saturating_sub(4))
                .into_iter()
                .take(2)
                .map(|line| vec![tone.text(line)]),
        );
    }
    lines
}

fn counts(build: &Build, symbols: &Symbols) -> Vec<Piece> {
    let kinds = [
        (symbols.done, PhaseState::Done, "built", Tone::Good),
        (symbols.failed, PhaseState::Failed, "failed", Tone::Bad),
        (symbols.working, PhaseState::Running, "building", Tone::Busy),
        (symbols.pending, PhaseState::Pending, "waiting", Tone::Dim),
        (symbols.warning, PhaseState::Skipped, "skipped", Tone::Warn),
    ];
    let mut line = Vec::new();
    for (symbol, state, word, tone) in kinds {
        let count = build.count(&state);
        if count > 0 {
            let gap = if line.is_empty() { "" } else { "  " };
            line.extend([
                Tone::Plain.text(gap),
                tone.text(symbol),
                Tone::Plain.text(format!(" {count} {word}")),
            ]);
        }
    }
    if line.is_empty() {
        line.push(verdict(build, symbols));
    }
    line
}

fn verdict(build: &Build, symbols: &Symbols) -> Piece {
    let (symbol, tone) = match build.report.status {
        BuildStatus::Completed => (symbols.done, Tone::Good),
        BuildStatus::Failed => (symbols.failed, Tone::Bad),
        BuildStatus::Rejected => (symbols.warning, Tone::Bad),
        _ => (symbols.working, Tone::Busy),
    };
    tone.text(format!("{symbol} {}", printable(build.report.status.as_str())))
}

fn silent(app: &App, build: &Build, symbols: &Symbols) -> Piece {
    let age = words::age(build.heard, app.now);
    Tone::Warn.text(format!("{} silent for {age}", symbols.warning))
}

fn cell(app: &App, build: &Build, what: What, width: usize, symbols: &Symbols) -> Piece {
    let report = &build.report;
    match what {
        What::When => Tone::Plain.text(words::age(build.since, app.now)),
        What::Target => Tone::Plain.text(printable(&report.target)),
        What::Repo => Tone::Plain.text(report.repo.as_ref().map(ToString::to_string).unwrap_or_default()),
        What::Commit => {
            Tone::Plain.text(report.commit.as_deref().map(words::short).map(printable).unwrap_or_default())
        }
        What::Result => {
            if build.is_silent(app.now) {
                return silent(app, build, symbols);
            }
            let told = counts(build, symbols);
            let failed = build.count(&PhaseState::Failed) > 0;
            let tone = if failed { Tone::Bad } else { verdict(build, symbols).tone };
            tone.text(told.into_iter().map(|piece| piece.text).collect::<String>())
        }
        What::Progress if !build.is_over() && report.expected > 0 => {
            Tone::Busy.text(columns::bar(report.done, report.expected, width, symbols))
        }
        What::Progress => Tone::Plain.text(""),
    }
}

/// `since`: how long ago its state was heard, in milliseconds.
fn of_host(host: &BuildHost, since: u64, what: OfHost, symbols: &Symbols) -> Piece {
    match what {
        OfHost::Host => Tone::Plain.text(host.hostname.as_str()),
        OfHost::State => {
            let (symbol, tone) = match host.state {
                PhaseState::Done => (symbols.done, Tone::Good),
                PhaseState::Failed => (symbols.failed, Tone::Bad),
                PhaseState::Running => (symbols.working, Tone::Busy),
                PhaseState::Skipped => (symbols.warning, Tone::Warn),
                _ => (symbols.pending, Tone::Dim),
            };
            tone.text(format!("{symbol} {}", printable(host.state.as_str())))
        }
        OfHost::Time if host.state == PhaseState::Running => {
            Tone::Plain.text(words::so_far(host.elapsed_ms.saturating_add(since)))
        }
        OfHost::Time if host.elapsed_ms == 0 => Tone::Plain.text(""),
        OfHost::Time => Tone::Plain.text(words::duration(host.elapsed_ms)),
        OfHost::Message => {
            let told = host.error.as_deref().or(host.system.as_deref()).unwrap_or_default();
            Tone::Plain.text(printable(told.lines().next().unwrap_or_default()))
        }
    }
}

/// What is told of one host: the whole error, and as many last lines as there is room for.
fn told(host: &BuildHost, columns: usize, rows: usize) -> Lines {
    let mut lines: Lines = Vec::new();
    let wrapped = |text: &str| text::wrap(&printable(text), columns);
    if let Some(system) = &host.system {
        lines.extend(wrapped(system).into_iter().map(|line| vec![Tone::Plain.text(line)]));
    }
    for line in host.error.as_deref().unwrap_or_default().lines() {
        lines.extend(wrapped(line).into_iter().map(|line| vec![Tone::Bad.text(line)]));
    }
    let tail: Vec<_> = host.log_tail.as_deref().unwrap_or_default().lines().collect();
    let room = rows.saturating_sub(lines.len()).max(2);
    let last = &tail[tail.len().saturating_sub(room)..];
    lines.extend(last.iter().map(|line| vec![Tone::Dim.text(printable(line))]));
    lines
}
