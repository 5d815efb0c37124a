//! One deployment: its failures, the result of each host, and below all of the selected one. Only the rows in view are built.

use super::grid::{Column, Grid};
use super::painter::{Painter, Piece};
use super::{Areas, boxes, changes, columns, deployments, detail, result};
use crate::fleet::{cause, estimate, words};
use crate::protocol::{DeployReport, printable};
use crate::tui::deployments::{Known, Part, PartState};
use crate::tui::{App, DeploymentScreen, Symbols, Tone, text};
use ratatui::layout::{Rect, Size};

type Lines = Vec<Vec<Piece>>;

/// How many of a failure's last lines are told at least.
const QUOTED: usize = 2;
/// The least width of a bar with an estimate behind it.
const BAR: usize = 12;

#[derive(Debug, Clone, Copy)]
enum What {
    Host,
    State,
    Progress,
    Time,
    Message,
}

fn columns_of(names: usize) -> [Column<What>; 5] {
    let column = |what, title, width, leaves, right| Column { what, title, width, leaves, right };
    [
        column(What::Host, "HOST", [names.clamp(6, 14), names.clamp(6, 30), names.clamp(6, 30)], 0, false),
        column(What::State, "STATE", [13, 16, 18], 1, false),
        column(What::Progress, "PROGRESS", [10, 12, 32], 4, false),
        column(What::Time, "TIME", [8; 3], 3, true),
        column(What::Message, "MESSAGE", [16, 40, usize::MAX], 2, false),
    ]
}

/// What stands above the hosts.
fn summary(app: &App, screen: &DeploymentScreen, symbols: &Symbols) -> Lines {
    let Some(known) = Known::of(app, &screen.id) else { return Lines::new() };
    let area = Areas::of(app.size).hosts;
    let most = usize::from(area.height / 5).clamp(1, 6);
    let columns = usize::from(area.width.saturating_sub(4));
    result::summary(&known, &screen.failures, most, columns, symbols)
}

/// How many hosts are in view.
pub(in crate::tui) fn in_view(app: &App, screen: &DeploymentScreen) -> usize {
    let above = summary(app, screen, app.options.theme.symbols()).len();
    super::rows_in_view(app.size).saturating_sub(above).max(1)
}

pub(super) fn draw(app: &App, screen: &DeploymentScreen, painter: &mut Painter<'_>, areas: &Areas) {
    let Some(known) = Known::of(app, &screen.id) else {
        let inside = painter.framed(areas.hosts, &[], &boxes::notice(app));
        painter.line(inside, &[Tone::Dim.text(" so many deployments came after it that it was forgotten")]);
        return;
    };
    let symbols = painter.theme.symbols();
    let inside = painter.framed(areas.hosts, &deployments::title(app, &known), &boxes::notice(app));
    let mut places = inside.rows();
    for line in summary(app, screen, symbols) {
        let Some(place) = places.next() else { return };
        painter.line(super::hosts::shifted(place, 1, usize::MAX), &line);
    }
    let rows = screen.cursor.rows();
    let names = rows.iter().map(|(host, _)| host.as_str().len()).max().unwrap_or(0);
    let grid = Grid::new(&columns_of(names), inside);
    if let Some(place) = places.next() {
        grid.headings(painter, place);
    }
    for (place, (at, key)) in places.zip(rows.iter().enumerate().skip(screen.cursor.top)) {
        let Some(part) = known.part_of(key) else { continue };
        grid.row(painter, place, at == screen.cursor.row(), |what, width| {
            vec![cell(app, &known, &part, what, width, symbols)]
        });
    }
    pane(app, &known, screen, painter, areas.detail);
}

fn cell(app: &App, known: &Known<'_>, part: &Part<'_>, what: What, width: usize, symbols: &Symbols) -> Piece {
    match what {
        What::Host => Tone::Plain.text(part.host.as_str()),
        What::State => state(part, symbols),
        What::Progress => progress(app, part, width, symbols),
        What::Time => Tone::Plain.text(time(app, part).unwrap_or_default()),
        What::Message => Tone::Plain.text(message(app, known, part)),
    }
}

fn state(part: &Part<'_>, symbols: &Symbols) -> Piece {
    let (symbol, word, tone) = match part.state {
        PartState::Failed => (symbols.failed, "failed".to_owned(), Tone::Bad),
        PartState::Rejected => (symbols.warning, "rejected".to_owned(), Tone::Bad),
        PartState::Running => {
            (symbols.working, part.job.map(|job| phase(&job.report)).unwrap_or_default(), Tone::Busy)
        }
        PartState::Lost => (symbols.stale, "unknown".to_owned(), Tone::Warn),
        PartState::Silent => (symbols.offline, "silent".to_owned(), Tone::Warn),
        PartState::Waiting => (symbols.pending, "waiting".to_owned(), Tone::Dim),
        PartState::ToCome => (symbols.pending, "to come".to_owned(), Tone::Dim),
        PartState::Untouched => (symbols.warning, "untouched".to_owned(), Tone::Warn),
        PartState::Completed => (symbols.done, "completed".to_owned(), Tone::Good),
    };
    tone.text(format!("{symbol} {word}"))
}

/// `build 12/40`
fn phase(job: &DeployReport) -> String {
    let phase = job.phases.running().map_or(job.status.as_str(), |phase| phase.name.as_str());
    let built = words::built(job).map(|(done, expected)| format!(" {done}/{expected}"));
    format!("{}{}", printable(phase), built.unwrap_or_default())
}

/// How far a running build is, with an estimate where there is room; of a failure, where it was.
fn progress(app: &App, part: &Part<'_>, width: usize, symbols: &Symbols) -> Piece {
    let Some(job) = part.job.map(|job| &*job.report) else { return Tone::Plain.text("") };
    match part.state {
        PartState::Running => {
            let left = left(app, part).map(|left| format!(" {}", words::left(left)));
            let left = left.filter(|left| width >= BAR + text::width(left)).unwrap_or_default();
            let bar = words::built(job)
                .map(|(done, expected)| columns::bar(done, expected, width - text::width(&left), symbols));
            Tone::Busy.text(format!("{}{left}", bar.unwrap_or_default()))
        }
        PartState::Failed if job.rolled_back == Some(true) => Tone::Plain.text("rolled back"),
        PartState::Failed => {
            let phase = job.phases.failed().map(|phase| format!("in {}", printable(phase.name.as_str())));
            Tone::Plain.text(phase.unwrap_or_default())
        }
        _ => Tone::Plain.text(""),
    }
}

fn left(app: &App, part: &Part<'_>) -> Option<u64> {
    let (host, job) = (app.fleet.hosts.get(part.host)?, part.job?);
    estimate::left(&job.report, detail::since_heard(app, host, &job.report))
}

fn time(app: &App, part: &Part<'_>) -> Option<String> {
    let (host, job) = (app.fleet.hosts.get(part.host)?, part.job?);
    let elapsed = detail::elapsed(app, host, &job.report)?;
    let running = part.state == PartState::Running;
    Some(if running { words::so_far(elapsed) } else { words::duration(elapsed) })
}

fn message(app: &App, known: &Known<'_>, part: &Part<'_>) -> String {
    let Some(job) = part.job else {
        if let Some(order) = known.order
            && let Some(wave) = order.wave_to_come(part.host)
        {
            let waves = order.plan.rollout.waves().len();
            return match part.state {
                PartState::ToCome => format!("in wave {wave} of {waves}"),
                _ => format!("wave {wave} of {waves} was not sent"),
            };
        }
        let seen = app.fleet.hosts.get(part.host).and_then(|host| host.seen);
        let seen = seen.map(|seen| format!("; last heard of {} ago", words::age(seen, app.now)));
        let word = if part.state == PartState::Waiting { "not answered yet" } else { "never answered" };
        return format!("{word}{}", seen.unwrap_or_default());
    };
    let report = &job.report;
    match part.state {
        PartState::Failed | PartState::Rejected => cause(report),
        PartState::Lost => {
            format!("in {}, last heard of {} ago", phase(report), words::age(job.heard, app.now))
        }
        PartState::Running => {
            let activity = report.progress.as_ref().map(|progress| printable(&progress.activity));
            // Often the message is only the name of the phase again.
            let is_phase = report.phases.running().is_some_and(|phase| phase.name.as_str() == report.message);
            let message = if is_phase { String::new() } else { printable(&report.message) };
            activity.filter(|activity| !activity.is_empty()).unwrap_or(message)
        }
        _ => printable(&report.message),
    }
}

/// All of the selected host's part; of its last output what fits, so that no scrolling is needed for its end.
fn part_lines(app: &App, known: &Known<'_>, part: &Part<'_>, size: Size, symbols: &Symbols) -> Lines {
    let (columns, rows) = (usize::from(size.width), usize::from(size.height));
    let wrapped = |tone: Tone, line: &str| -> Lines {
        text::wrap(line, columns).into_iter().map(|line| vec![tone.text(line)]).collect()
    };
    let (Some(host), Some(job)) = (app.fleet.hosts.get(part.host), part.job) else {
        return wrapped(Tone::Warn, &message(app, known, part));
    };
    let job = &*job.report;
    let mut lines = Lines::new();
    if !job.phases.is_empty() {
        lines.extend(detail::phase_lines(app, host, job, columns, symbols));
    }
    if part.state == PartState::Lost {
        lines.extend(wrapped(Tone::Warn, &message(app, known, part)));
    }
    lines.extend(detail::job_lines(app, host, job, columns));
    if let Some(note) = job.rollback_note() {
        lines.extend(wrapped(Tone::Warn, note));
    }
    if job.reboot_needed == Some(true) {
        lines.extend(wrapped(Tone::Warn, "a reboot is needed for the whole of the new system"));
    }
    lines.extend(changes::lines(host, job, columns, symbols));
    let said: Vec<_> = job.diagnostics.as_deref().unwrap_or_default().lines().collect();
    let room = rows.saturating_sub(lines.len()).max(QUOTED);
    let last = &said[said.len().saturating_sub(room)..];
    lines.extend(last.iter().map(|line| vec![Tone::Dim.text(printable(line))]));
    lines
}

/// How far what is told of the selected host can be scrolled.
pub(in crate::tui) fn lines_below(app: &App, screen: &DeploymentScreen) -> usize {
    let inside = inside(Areas::of(app.size).detail);
    let known = Known::of(app, &screen.id);
    let part = known.as_ref().and_then(|known| Some((known, known.part_of(screen.cursor.selected()?)?)));
    let symbols = app.options.theme.symbols();
    let lines =
        part.map(|(known, part)| part_lines(app, known, &part, inside, symbols).len()).unwrap_or_default();
    lines.saturating_sub(usize::from(inside.height))
}

/// What is inside the box of the selected host.
fn inside(area: Rect) -> Size {
    Size { width: area.width.saturating_sub(4), height: area.height.saturating_sub(2) }
}

fn pane(app: &App, known: &Known<'_>, screen: &DeploymentScreen, painter: &mut Painter<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let Some(part) = screen.cursor.selected().and_then(|key| known.part_of(key)) else {
        painter.framed(area, &[], &[]);
        return;
    };
    let symbols = painter.theme.symbols();
    let lines = part_lines(app, known, &part, inside(area), symbols);
    let below = lines.len().saturating_sub(usize::from(inside(area).height));
    let more: &[Piece] = &[Tone::Dim.text(" J K scroll ")];
    let mut title = vec![Tone::Title.text(format!(" {} ", part.host))];
    let instance = part.job.and_then(|job| job.report.instance.as_deref());
    if known.heard.and_then(|heard| heard.hosts.get(part.host)).is_some_and(|jobs| jobs.len() > 1) {
        let instance = instance.map(printable).unwrap_or_default();
        title.push(Tone::Warn.text(format!("({instance}) ")));
    }
    title.push(state(&part, symbols));
    title.push(Tone::Plain.text(time(app, &part).map_or(" ".to_owned(), |time| format!(", {time} "))));
    let inside = painter.framed(area, &title, if below > 0 { more } else { &[] });
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    painter.lines(inside, &lines[screen.top.min(below)..]);
}
