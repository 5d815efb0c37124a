//! One deployment: its failures, the result of each host, and details of the selected one. Draws only visible rows.

use super::lines::wrapped;
use super::panel::{Edge, draw_scrollbar, draw_text, panel, paragraph};
use super::table::{ABOVE, Column, FittedColumns, MARGIN, draw_placeholder, windowed};
use super::{AROUND_TABLE, Areas, changes, columns, components, deployments, detail, dialogs, result};
use crate::fleet::{describe, failure_cause};
use crate::protocol::DeployReport;
use crate::text::{format, last, printable};
use crate::tui::known_deployment::{DeploymentHost, DeploymentHostState, KnownDeployment};
use crate::tui::{App, Context, DeploymentScreen, KeyCommand, Tone, text};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect, Size};
use ratatui::text::{Line, Span};
use ratatui::widgets::Table;

/// Minimum number of lines of a failure's output.
const QUOTED: usize = 2;
/// Minimum width of a bar next to an estimate.
const BAR: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeploymentHostColumn {
    Host,
    State,
    Progress,
    Time,
    Message,
}

fn columns_of(names: usize) -> [Column<DeploymentHostColumn>; 5] {
    let column = |kind, title, width, drop_order, right| Column { kind, title, width, drop_order, right };
    [
        column(
            DeploymentHostColumn::Host,
            "HOST",
            [names.clamp(6, 14), names.clamp(6, 30), names.clamp(6, 30)],
            0,
            false,
        ),
        column(DeploymentHostColumn::State, "STATE", [13, 16, 18], 1, false),
        column(DeploymentHostColumn::Progress, "PROGRESS", [10, 12, 32], 4, false),
        column(DeploymentHostColumn::Time, "TIME", [8; 3], 3, true),
        column(DeploymentHostColumn::Message, "MESSAGE", [16, 40, usize::MAX], 2, false),
    ]
}

/// The lines above the hosts.
fn summary(app: &App, screen: &DeploymentScreen) -> Vec<Line<'static>> {
    let Some(known) = KnownDeployment::of(app, &screen.id) else { return Vec::new() };
    let area = Areas::of(app.size).list;
    let most = usize::from(area.height / 5).clamp(1, 6);
    let columns = usize::from(area.width.saturating_sub(4));
    result::summary(&known, &screen.failures, most, columns, &app.options.theme)
}

/// The table takes only the lines that it needs.
pub(super) fn areas(app: &App, screen: &DeploymentScreen) -> Areas {
    let lines = screen.cursor.rows().len() + summary(app, screen).len() + AROUND_TABLE;
    Areas::of(app.size).fitting(lines)
}

/// Number of visible hosts.
pub(in crate::tui) fn in_view(app: &App, screen: &DeploymentScreen) -> usize {
    super::rows_in_view(app.size).saturating_sub(summary(app, screen).len()).max(1)
}

pub(super) fn draw(app: &App, screen: &DeploymentScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let Some(known) = KnownDeployment::of(app, &screen.id) else {
        let reason = theme.span(Tone::Dim, "no longer available: too many newer deployments");
        return draw_text(frame, theme, area, Line::default(), dialogs::notice(app), [reason.into()]);
    };
    let top = Edge { left: deployments::title(app, &known), right: dialogs::sort(app) };
    let block = panel(theme, area.width, top, dialogs::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let summary = summary(app, screen);
    let above = u16::try_from(summary.len()).unwrap_or(u16::MAX);
    let [top, hosts] = inside.layout(&Layout::vertical([Constraint::Length(above), Constraint::Fill(1)]));
    let top = top.inner(Margin::new(1, 0));
    frame.render_widget(paragraph(theme, top.width, summary), top);
    let in_view = usize::from(hosts.height.saturating_sub(1));
    let mut state = windowed(screen.cursor.top, screen.cursor.row());
    let table = host_table(app, &known, screen, hosts.width, in_view);
    frame.render_stateful_widget(table, hosts, &mut state);
    let all = screen.cursor.rows().len();
    if all == 0 {
        draw_placeholder(frame, theme, hosts, MARGIN, dialogs::why_empty(app, "no host has replied yet"));
    }
    draw_scrollbar(frame, theme, area, above + ABOVE, screen.cursor.top, in_view, all);
    draw_details(app, &known, screen, frame, areas.detail);
}

fn host_table(
    app: &App,
    known: &KnownDeployment<'_>,
    screen: &DeploymentScreen,
    width: u16,
    in_view: usize,
) -> Table<'static> {
    let theme = &app.options.theme;
    let keys = screen.cursor.rows();
    let names = keys.iter().map(|(host, _)| host.as_str().len()).max().unwrap_or(0);
    let columns = FittedColumns::new(&columns_of(names), width, MARGIN);
    let entries = keys.iter().skip(screen.cursor.top).take(in_view).filter_map(|key| known.host_entry(key));
    let rows = entries
        .map(|entry| columns.row(theme, |column, width| cell(app, known, &entry, column, width).into()));
    columns.table(theme, rows.collect())
}

fn cell(
    app: &App,
    known: &KnownDeployment<'_>,
    entry: &DeploymentHost<'_>,
    column: DeploymentHostColumn,
    width: usize,
) -> Span<'static> {
    let text = match column {
        DeploymentHostColumn::State => return state(app, entry),
        DeploymentHostColumn::Progress => return progress(app, entry, width),
        DeploymentHostColumn::Host => entry.host.to_string(),
        DeploymentHostColumn::Time => time(app, entry).unwrap_or_default(),
        DeploymentHostColumn::Message => message(app, known, entry),
    };
    app.options.theme.span(Tone::Plain, text)
}

pub(super) fn state(app: &App, entry: &DeploymentHost<'_>) -> Span<'static> {
    let symbols = app.options.theme.symbols();
    let (symbol, word, tone) = match entry.state {
        DeploymentHostState::Failed => (symbols.failed, "failed".to_owned(), Tone::Bad),
        DeploymentHostState::Rejected => (symbols.warning, "rejected".to_owned(), Tone::Bad),
        DeploymentHostState::Running => {
            (symbols.working, entry.job.map(|job| phase(&job.report)).unwrap_or_default(), Tone::Busy)
        }
        DeploymentHostState::Cancelled => (symbols.warning, "cancelled".to_owned(), Tone::Warn),
        DeploymentHostState::Unknown => (symbols.stale, "unknown".to_owned(), Tone::Warn),
        DeploymentHostState::NoAnswer => (symbols.offline, "no answer".to_owned(), Tone::Warn),
        DeploymentHostState::Waiting => (symbols.pending, "waiting".to_owned(), Tone::Dim),
        DeploymentHostState::Pending => (symbols.pending, "pending".to_owned(), Tone::Dim),
        DeploymentHostState::NotStarted => (symbols.warning, "not started".to_owned(), Tone::Warn),
        DeploymentHostState::Completed => (symbols.done, "completed".to_owned(), Tone::Good),
    };
    app.options.theme.span(tone, format!("{symbol} {word}"))
}

/// `build 12/40`
fn phase(job: &DeployReport) -> String {
    let [_, count, _] = describe::job_steps(job);
    count
}

/// Progress of a running build, with an estimate if it fits, or the component; for a failure, its phase.
fn progress(app: &App, entry: &DeploymentHost<'_>, width: usize) -> Span<'static> {
    let theme = &app.options.theme;
    let Some(job) = entry.job.map(|job| &*job.report) else { return Span::default() };
    match entry.state {
        DeploymentHostState::Running if job.components.running().is_some() => {
            let steps = describe::job_steps(job);
            let step = steps.into_iter().find(|step| text::width(step) <= width);
            theme.span(Tone::Busy, step.unwrap_or_default())
        }
        DeploymentHostState::Running => {
            let left = left(app, entry).map(|left| format!(" {}", format::remaining(left)));
            let left = left.filter(|left| width >= BAR + text::width(left)).unwrap_or_default();
            let bar = describe::build_counts(job)
                .map(|(done, expected)| columns::bar(done, expected, width - text::width(&left), theme));
            theme.span(Tone::Busy, format!("{}{left}", bar.unwrap_or_default()))
        }
        DeploymentHostState::Failed if job.rolled_back == Some(true) => {
            theme.span(Tone::Plain, "rolled back")
        }
        DeploymentHostState::Failed => {
            let phase = job.phases.failed().map(|phase| format!("in {}", printable(phase.name.as_str())));
            theme.span(Tone::Plain, phase.unwrap_or_default())
        }
        _ => Span::default(),
    }
}

fn left(app: &App, entry: &DeploymentHost<'_>) -> Option<u64> {
    let (host, job) = (app.fleet.hosts.get(entry.host)?, entry.job?);
    describe::remaining_ms(&job.report, detail::since_last_report(app, host, &job.report))
}

/// The run time of a host's job, in milliseconds.
pub(in crate::tui) fn host_time(app: &App, entry: &DeploymentHost<'_>) -> Option<u64> {
    let (host, job) = (app.fleet.hosts.get(entry.host)?, entry.job?);
    detail::elapsed(app, host, &job.report)
}

fn time(app: &App, entry: &DeploymentHost<'_>) -> Option<String> {
    let elapsed = host_time(app, entry)?;
    let running = entry.state == DeploymentHostState::Running;
    Some(if running { format::elapsed(elapsed) } else { format::duration(elapsed) })
}

/// The text of a host's row, for the filter.
pub(in crate::tui) fn host_text(
    app: &App,
    known: &KnownDeployment<'_>,
    entry: &DeploymentHost<'_>,
) -> String {
    format!("{} {} {}", entry.host, state(app, entry).content, message(app, known, entry))
}

pub(in crate::tui) fn message(app: &App, known: &KnownDeployment<'_>, entry: &DeploymentHost<'_>) -> String {
    let Some(job) = entry.job else {
        if let Some((batch, batches)) = known.pending_batch(entry.host) {
            return match entry.state {
                DeploymentHostState::Pending => format!("in batch {batch} of {batches}"),
                _ => format!("batch {batch} of {batches} was not sent"),
            };
        }
        let seen = app.fleet.hosts.get(entry.host).and_then(|host| host.last_seen);
        let seen = seen.map(|seen| format!("; last seen {} ago", format::age(seen, app.now)));
        let word =
            if entry.state == DeploymentHostState::Waiting { "no answer yet" } else { "did not answer" };
        return format!("{word}{}", seen.unwrap_or_default());
    };
    let report = &job.report;
    match entry.state {
        DeploymentHostState::Failed | DeploymentHostState::Rejected => failure_cause(report),
        DeploymentHostState::Unknown => {
            format!("in {}, last seen {} ago", phase(report), format::age(job.last_seen, app.now))
        }
        DeploymentHostState::Running => {
            let activity = report.progress.as_ref().map(|progress| printable(&progress.activity));
            // The message is often just the name of the phase.
            let is_phase = report.phases.running().is_some_and(|phase| phase.name.as_str() == report.message);
            let message = if is_phase { String::new() } else { printable(&report.message) };
            activity.filter(|activity| !activity.is_empty()).unwrap_or(message)
        }
        _ => printable(&report.message),
    }
}

/// Details of the selected host. The last output is cut so that its end is visible without scrolling.
fn entry_lines(
    app: &App,
    known: &KnownDeployment<'_>,
    entry: &DeploymentHost<'_>,
    size: Size,
) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let (columns, rows) = (usize::from(size.width), usize::from(size.height));
    let wrapped = |tone: Tone, line: &str| wrapped(theme, tone, line, columns);
    let (Some(host), Some(job)) = (app.fleet.hosts.get(entry.host), entry.job) else {
        return wrapped(Tone::Warn, &message(app, known, entry));
    };
    let job = &*job.report;
    let mut lines = Vec::new();
    if !job.phases.is_empty() {
        lines.extend(detail::phase_lines(app, host, job, columns));
    }
    if entry.state == DeploymentHostState::Unknown {
        lines.extend(wrapped(Tone::Warn, &message(app, known, entry)));
    }
    lines.extend(components::lines(job, columns, theme));
    lines.extend(detail::job_lines(app, host, job, columns));
    if let Some(note) = job.rollback_note() {
        lines.extend(wrapped(Tone::Warn, note));
    }
    if job.reboot_needed == Some(true) {
        lines.extend(wrapped(Tone::Warn, "a reboot is needed to run all of the new system"));
    }
    lines.extend(changes::lines(host, job, columns, theme));
    let output: Vec<_> = job.diagnostics.as_deref().unwrap_or_default().lines().collect();
    let available = rows.saturating_sub(lines.len()).max(QUOTED);
    let last = last(&output, available);
    lines.extend(last.iter().map(|line| Line::from(theme.span(Tone::Dim, printable(line)))));
    lines
}

/// Number of lines by which the details of the selected host can be scrolled.
pub(in crate::tui) fn lines_below(app: &App, screen: &DeploymentScreen) -> usize {
    let size = super::text_size(areas(app, screen).detail);
    let known = KnownDeployment::of(app, &screen.id);
    let entry = known.as_ref().and_then(|known| Some((known, known.host_entry(screen.cursor.selected()?)?)));
    let lines = entry.map(|(known, entry)| entry_lines(app, known, &entry, size).len()).unwrap_or_default();
    lines.saturating_sub(usize::from(size.height))
}

/// Draws the details of the selected host.
fn draw_details(
    app: &App,
    known: &KnownDeployment<'_>,
    screen: &DeploymentScreen,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let (theme, size) = (&app.options.theme, super::text_size(area));
    if size.height == 0 {
        return;
    }
    let Some(entry) = screen.cursor.selected().and_then(|key| known.host_entry(key)) else {
        return draw_text(frame, theme, area, Line::default(), Line::default(), []);
    };
    let lines = entry_lines(app, known, &entry, size);
    let (all, in_view) = (lines.len(), usize::from(size.height));
    let below = all.saturating_sub(in_view);
    let top = screen.top.min(below);
    let key = |command| app.options.keys.name(Context::Deployment, command);
    let more = format!(" {} {} scroll ", key(KeyCommand::PaneDown), key(KeyCommand::PaneUp));
    let more = if below > 0 { theme.span(Tone::Dim, more) } else { Span::default() };
    let title = entry_title(app, known, &entry);
    draw_text(frame, theme, area, title, more, lines.into_iter().skip(top));
    draw_scrollbar(frame, theme, area, 1, top, in_view, all);
}

/// `web3 ✗ failed, 1:17 min`
fn entry_title(app: &App, known: &KnownDeployment<'_>, entry: &DeploymentHost<'_>) -> Line<'static> {
    let theme = &app.options.theme;
    let mut title = Line::from(theme.span(Tone::Title, format!(" {} ", entry.host)));
    let instance = entry.job.and_then(|job| job.report.instance.as_deref());
    if known.reported.and_then(|reported| reported.hosts.get(entry.host)).is_some_and(|jobs| jobs.len() > 1) {
        let instance = instance.map(printable).unwrap_or_default();
        title.push_span(theme.span(Tone::Warn, format!("({instance}) ")));
    }
    title.push_span(state(app, entry));
    let time = time(app, entry).map_or(" ".to_owned(), |time| format!(", {time} "));
    title + theme.span(Tone::Plain, time)
}
