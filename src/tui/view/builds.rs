//! The screens of all builds, and of one build with its hosts and the last log lines of a failure.

use super::lines::{self, Count, wrapped};
use super::panel::{Edge, draw_scrollbar, draw_text, panel, paragraph};
use super::table::{ABOVE, Column, FittedColumns, MARGIN, draw_placeholder, windowed};
use super::{AROUND_TABLE, Areas, columns, dialogs};
use crate::fleet::FleetBuild;
use crate::protocol::{BuildHost, BuildStatus, PhaseState};
use crate::text::{format, last, printable};
use crate::tui::{App, BuildScreen, BuildsScreen, Theme, Tone};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Size};
use ratatui::text::{Line, Span};
use ratatui::widgets::Table;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BuildListColumn {
    When,
    Target,
    Repo,
    Commit,
    Result,
    Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BuildHostColumn {
    Host,
    State,
    Time,
    Message,
}

const fn column<C>(
    kind: C,
    title: &'static str,
    width: [usize; 3],
    drop_order: u8,
    right: bool,
) -> Column<C> {
    Column { kind, title, width, drop_order, right }
}

const COLUMNS: [Column<BuildListColumn>; 6] = [
    column(BuildListColumn::When, "WHEN", [6; 3], 3, true),
    column(BuildListColumn::Target, "TARGET", [8, 14, 30], 0, false),
    column(BuildListColumn::Repo, "REPO", [8, 10, 20], 4, false),
    column(BuildListColumn::Commit, "COMMIT", [8; 3], 2, false),
    column(BuildListColumn::Result, "RESULT", [19, 30, 60], 1, false),
    column(BuildListColumn::Progress, "PROGRESS", [12, 20, 30], 5, false),
];

const HOSTS: [Column<BuildHostColumn>; 4] = [
    column(BuildHostColumn::Host, "HOST", [8, 20, 30], 0, false),
    column(BuildHostColumn::State, "STATE", [12, 14, 16], 1, false),
    column(BuildHostColumn::Time, "TIME", [8; 3], 3, true),
    column(BuildHostColumn::Message, "MESSAGE", [16, 40, usize::MAX], 2, false),
];

pub(super) fn draw(app: &App, screen: &BuildsScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let (rows, in_view) = (screen.cursor.rows(), super::rows_in(area));
    let top = Edge { left: theme.span(Tone::Title, " builds ").into(), right: dialogs::sort(app) };
    let block = panel(theme, area.width, top, dialogs::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let mut state = windowed(screen.cursor.top, screen.cursor.row());
    frame.render_stateful_widget(build_table(app, screen, inside.width, in_view), inside, &mut state);
    if rows.is_empty() {
        let reason = if app.builds_denied {
            "no builds are shown: this key has no permission for build.responses.*"
        } else {
            "no builds yet; `homelab-deploy build` requests one"
        };
        draw_placeholder(frame, theme, inside, MARGIN, dialogs::why_empty(app, reason));
    }
    draw_scrollbar(frame, theme, area, ABOVE, screen.cursor.top, in_view, rows.len());
    let selected = screen.cursor.selected().and_then(|id| app.fleet.build(id));
    if areas.detail.height > 2 {
        let title = selected.map(|build| theme.span(Tone::Title, title(build))).unwrap_or_default();
        let lines = selected.map(|build| summary(app, build, areas.detail.width.into())).unwrap_or_default();
        draw_text(frame, theme, areas.detail, title, Line::default(), lines);
    }
}

fn build_table(app: &App, screen: &BuildsScreen, width: u16, in_view: usize) -> Table<'static> {
    let theme = &app.options.theme;
    let columns = FittedColumns::new(&COLUMNS, width, MARGIN);
    let ids = screen.cursor.rows().iter().skip(screen.cursor.top).take(in_view);
    let builds = ids.filter_map(|id| app.fleet.build(id));
    let rows = builds.map(|build| columns.row(theme, |column, width| cell(app, build, column, width).into()));
    columns.table(theme, rows.collect())
}

pub(super) fn draw_one(app: &App, screen: &BuildScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let Some(build) = app.fleet.build(&screen.id) else {
        let reason = theme.span(Tone::Dim, "no longer available: too many newer builds");
        return draw_text(frame, theme, area, Line::default(), dialogs::notice(app), [reason.into()]);
    };
    let block = panel(theme, area.width, theme.span(Tone::Title, title(build)), dialogs::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let summary = summary(app, build, area.width.into());
    let above = u16::try_from(summary.len()).unwrap_or(u16::MAX);
    let [top, hosts] = inside.layout(&Layout::vertical([Constraint::Length(above), Constraint::Fill(1)]));
    let top = top.inner(Margin::new(1, 0));
    frame.render_widget(paragraph(theme, top.width, summary), top);
    let in_view = usize::from(hosts.height.saturating_sub(1));
    let host_entries = build.hosts();
    let mut state = windowed(screen.cursor.top, screen.cursor.row());
    let shown = host_entries.iter().skip(screen.cursor.top).take(in_view).copied();
    frame.render_stateful_widget(host_table(app, build, shown, hosts.width), hosts, &mut state);
    draw_scrollbar(frame, theme, area, above + ABOVE, screen.cursor.top, in_view, host_entries.len());
    let selected = host_entries.get(screen.cursor.row());
    let size = super::text_size(areas.detail);
    if size.height > 0 {
        let name = selected.map(|host| format!(" {} ", host.hostname)).unwrap_or_default();
        let lines = selected.map(|host| host_lines(theme, host, size)).unwrap_or_default();
        draw_text(frame, theme, areas.detail, theme.span(Tone::Title, name), Line::default(), lines);
    }
}

fn host_table<'a>(
    app: &App,
    build: &FleetBuild,
    hosts: impl Iterator<Item = &'a BuildHost>,
    width: u16,
) -> Table<'static> {
    let theme = &app.options.theme;
    let columns = FittedColumns::new(&HOSTS, width, MARGIN);
    // If the builder is silent, it is not known whether the builds are still running.
    let since =
        if build.is_overdue(app.now) { 0 } else { app.now.duration_since(build.last_seen).as_millis() };
    let since = u64::try_from(since).unwrap_or(0);
    let rows = hosts.map(|host| columns.row(theme, |column, _| host_cell(host, since, column, theme).into()));
    columns.table(theme, rows.collect())
}

/// The table takes only the lines that it needs.
pub(super) fn areas(app: &App, screen: &BuildScreen) -> Areas {
    let above = app.fleet.build(&screen.id).map(|build| summary(app, build, app.size.width.into()).len());
    Areas::of(app.size).fitting(screen.cursor.rows().len() + above.unwrap_or(0) + AROUND_TABLE)
}

/// Number of visible hosts.
pub(in crate::tui) fn built_in_view(app: &App, screen: &BuildScreen) -> usize {
    let above = app.fleet.build(&screen.id).map(|build| summary(app, build, app.size.width.into()).len());
    super::rows_in_view(app.size).saturating_sub(above.unwrap_or(0)).max(1)
}

/// Title of a build: ` all of fleet 3f2a91c `.
fn title(build: &FleetBuild) -> String {
    let report = &build.report;
    let repo = report.repo.as_ref().map(|repo| format!(" of {repo}")).unwrap_or_default();
    let commit =
        report.commit.as_deref().map(|commit| format!(" {}", printable(format::short_commit(commit))));
    format!(" {}{repo}{} ", printable(&report.target), commit.unwrap_or_default())
}

/// Number of hosts per state, and below it the message of the builder.
fn summary(app: &App, build: &FleetBuild, columns: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let mut lines = vec![counts(build, theme)];
    if build.is_overdue(app.now) {
        lines.push(overdue(app, build).into());
    }
    let report = &build.report;
    if !report.message.is_empty() {
        let error = report.error.as_ref().map(|error| format!("{}: ", error.words()));
        let message = format!("{}{}", error.unwrap_or_default(), printable(&report.message));
        let tone = if report.error.is_some() { Tone::Bad } else { Tone::Plain };
        lines.extend(wrapped(theme, tone, &message, columns.saturating_sub(4)).into_iter().take(2));
    }
    lines
}

fn counts(build: &FleetBuild, theme: &Theme) -> Line<'static> {
    let symbols = theme.symbols();
    let kinds: [Count<'_>; 5] = [
        (symbols.done, build.count(&PhaseState::Done), "built", Tone::Good),
        (symbols.failed, build.count(&PhaseState::Failed), "failed", Tone::Bad),
        (symbols.working, build.count(&PhaseState::Running), "building", Tone::Busy),
        (symbols.pending, build.count(&PhaseState::Pending), "waiting", Tone::Dim),
        (symbols.warning, build.count(&PhaseState::Skipped), "skipped", Tone::Warn),
    ];
    if kinds.iter().any(|(_, count, ..)| *count > 0) {
        return lines::counts(theme, &kinds, "  ", kinds.len());
    }
    let (symbol, tone) = look(&build.report.status, theme);
    theme.span(tone, format!("{symbol} {}", printable(build.report.status.as_str()))).into()
}

fn look(status: &BuildStatus, theme: &Theme) -> (&'static str, Tone) {
    let symbols = theme.symbols();
    match status {
        BuildStatus::Completed => (symbols.done, Tone::Good),
        BuildStatus::Failed => (symbols.failed, Tone::Bad),
        BuildStatus::Rejected => (symbols.warning, Tone::Bad),
        _ => (symbols.working, Tone::Busy),
    }
}

fn overdue(app: &App, build: &FleetBuild) -> Span<'static> {
    let theme = &app.options.theme;
    let age = format::age(build.last_seen, app.now);
    theme.span(Tone::Warn, format!("{} no report: {age}", theme.symbols().warning))
}

/// The text of a row, for the filter.
pub(in crate::tui) fn build_text(app: &App, build: &FleetBuild) -> String {
    COLUMNS.map(|column| cell(app, build, column.kind, 60).content.into_owned()).join(" ")
}

fn cell(app: &App, build: &FleetBuild, column: BuildListColumn, width: usize) -> Span<'static> {
    let (theme, report) = (&app.options.theme, &build.report);
    let text = match column {
        BuildListColumn::When => format::age(build.first_seen, app.now),
        BuildListColumn::Target => printable(&report.target),
        BuildListColumn::Repo => report.repo.as_ref().map(ToString::to_string).unwrap_or_default(),
        BuildListColumn::Commit => {
            report.commit.as_deref().map(format::short_commit).map(printable).unwrap_or_default()
        }
        BuildListColumn::Result if build.is_overdue(app.now) => return overdue(app, build),
        BuildListColumn::Result => {
            let failed = build.count(&PhaseState::Failed) > 0;
            let tone = if failed { Tone::Bad } else { look(&report.status, theme).1 };
            return theme.span(tone, counts(build, theme).to_string());
        }
        BuildListColumn::Progress if !build.is_finished() && report.expected > 0 => {
            return theme.span(Tone::Busy, columns::bar(report.done, report.expected, width, theme));
        }
        BuildListColumn::Progress => String::new(),
    };
    theme.span(Tone::Plain, text)
}

/// Cell of a host; `since` is the age of its state in milliseconds.
fn host_cell(host: &BuildHost, since: u64, column: BuildHostColumn, theme: &Theme) -> Span<'static> {
    let symbols = theme.symbols();
    let text = match column {
        BuildHostColumn::Host => host.hostname.to_string(),
        BuildHostColumn::State => {
            let (symbol, tone) = match host.state {
                PhaseState::Done => (symbols.done, Tone::Good),
                PhaseState::Failed => (symbols.failed, Tone::Bad),
                PhaseState::Running => (symbols.working, Tone::Busy),
                PhaseState::Skipped => (symbols.warning, Tone::Warn),
                _ => (symbols.pending, Tone::Dim),
            };
            return theme.span(tone, format!("{symbol} {}", printable(host.state.as_str())));
        }
        BuildHostColumn::Time if host.state == PhaseState::Running => {
            format::elapsed(host.elapsed_ms.saturating_add(since))
        }
        BuildHostColumn::Time if host.elapsed_ms == 0 => String::new(),
        BuildHostColumn::Time => format::duration(host.elapsed_ms),
        BuildHostColumn::Message => {
            let label = host.error.as_deref().or(host.system.as_deref()).unwrap_or_default();
            printable(label.lines().next().unwrap_or_default())
        }
    };
    theme.span(Tone::Plain, text)
}

/// Details of one host: the complete error, and as many of the last log lines as fit.
fn host_lines(theme: &Theme, host: &BuildHost, size: Size) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let wrapped = |tone, text: &str| wrapped(theme, tone, &printable(text), size.width.into());
    if let Some(system) = &host.system {
        lines.extend(wrapped(Tone::Plain, system));
    }
    lines.extend(host.error.as_deref().unwrap_or_default().lines().flat_map(|line| wrapped(Tone::Bad, line)));
    let tail: Vec<_> = host.log_tail.as_deref().unwrap_or_default().lines().collect();
    let available = usize::from(size.height).saturating_sub(lines.len()).max(2);
    let last = last(&tail, available);
    lines.extend(last.iter().map(|line| Line::from(theme.span(Tone::Dim, printable(line)))));
    lines
}
