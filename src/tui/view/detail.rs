//! The pane of the selected host: its job with phases, what is to be known, and the end of the log.

use super::changes;
use super::flow::flow;
use super::painter::{Painter, Piece};
use crate::fleet::{Host, Lag, Standing, estimate, words};
use crate::protocol::{Action, DeployReport, Phase, PhaseState, Progress, Status, printable};
use crate::tui::{App, LogState, Row, Symbols, Tone, text};
use ratatui::layout::{Rect, Size};

type Lines = Vec<Vec<Piece>>;

pub(super) fn draw(app: &App, painter: &mut Painter<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let Some(host) = app.host() else {
        let group = match app.table.selected() {
            Some(Row::Group(group, _)) => Some(Tone::Title.text(format!(" {group} "))),
            _ => None,
        };
        let inside = painter.framed(area, &group.into_iter().collect::<Vec<_>>(), &[]);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
        return painter.lines(inside, &of_group(app, inside.as_size()));
    };
    let symbols = painter.theme.symbols();
    let inside = painter.framed(area, &title(app, host, symbols), &[]);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let columns = usize::from(inside.width);
    let mut lines = Lines::new();
    if let Some(job) = host.job.as_deref() {
        if !job.phases.is_empty() {
            lines.extend(phase_lines(app, host, job, columns, symbols));
        }
        lines.extend(job_lines(app, host, job, columns));
        if job.action == Some(Action::DryActivate) {
            lines.extend(changes::lines(host, job, columns, symbols));
        }
    }
    lines.extend(notes(app, host, true).iter().flat_map(|note| wrapped(Tone::Warn, note, columns)));
    // The log has what is left, and at least a line.
    let room = usize::from(inside.height);
    lines.truncate(room.saturating_sub(1).max(1));
    let left = room - lines.len();
    lines.extend(log_lines(app, left));
    if lines.len() < room && host.job.is_none() {
        lines.extend(facts(host));
    }
    painter.lines(inside, &lines);
}

/// What each host of the selected group that needs attention is about.
fn of_group(app: &App, room: Size) -> Lines {
    let hosts = app.table.hosts().iter().filter_map(|name| app.fleet.hosts.get(name));
    let attention = |host: &&Host| host.has_fault(app.now) || host.running_job().is_some();
    let lines = |host: &Host| {
        let standing = host.standing(app.now);
        let told = match standing {
            Standing::Failed(job) | Standing::Working(job) => words::progress_of(job),
            // Then it is not the job that went wrong.
            Standing::Idle => notes(app, host, true).join("; "),
            _ => standing.word().to_owned(),
        };
        let mut name = host.name.as_str();
        let indent = text::width(name) + 2;
        let told = text::wrap(&told, usize::from(room.width).saturating_sub(indent));
        let line = |told| {
            vec![Tone::Title.text(format!("{:<indent$}", std::mem::take(&mut name))), Tone::Plain.text(told)]
        };
        told.into_iter().map(line).collect::<Lines>()
    };
    let mut lines: Lines = hosts.filter(attention).take(usize::from(room.height)).flat_map(lines).collect();
    if lines.is_empty() && app.table.selected().is_some() {
        lines.push(vec![Tone::Dim.text("every host of this group is well")]);
    }
    lines
}

/// `ns1 ▸ switch main 3f2a91c by alice, 0:52`
fn title(app: &App, host: &Host, symbols: &Symbols) -> Vec<Piece> {
    let mut line = vec![Tone::Title.text(format!(" {} ", host.name))];
    let Some(job) = &host.job else { return line };
    line.push(Tone::Plain.text(format!("{} {} ", symbols.then, job_title(app, host, job))));
    line
}

/// `switch main 3f2a91c by alice, 0:52`
pub(super) fn job_title(app: &App, host: &Host, job: &DeployReport) -> String {
    let action = job.action.as_ref().map_or("job", |action| action.as_str());
    let mut text = format!("{} {}", printable(action), words::deploys(job));
    if let Some(issuer) = &job.issuer {
        text = format!("{} by {}", text.trim_end(), printable(issuer));
    }
    if let Some(elapsed) = elapsed(app, host, job) {
        let told = if job.status.is_final() { words::duration(elapsed) } else { words::so_far(elapsed) };
        text = format!("{}, {told}", text.trim_end());
    }
    text
}

/// How long the job has run: what it said itself, and what has passed since.
pub(super) fn elapsed(app: &App, host: &Host, job: &DeployReport) -> Option<u64> {
    Some(job.elapsed_ms?.saturating_add(since_heard(app, host, job)))
}

/// Milliseconds since the last report of a running job.
pub(super) fn since_heard(app: &App, host: &Host, job: &DeployReport) -> u64 {
    let deployment = job.id.as_ref().and_then(|id| app.fleet.deployments.get(id));
    let heard = deployment.and_then(|deployment| deployment.job(&host.name)).map(|job| job.heard);
    match heard.filter(|_| !job.status.is_final()) {
        Some(heard) => u64::try_from(app.now.duration_since(heard).as_millis()).unwrap_or(0),
        None => 0,
    }
}

/// All phases on one line; where that is too long, without the times of those that are over, on as many lines as it takes.
pub(super) fn phase_lines(
    app: &App,
    host: &Host,
    job: &DeployReport,
    columns: usize,
    symbols: &Symbols,
) -> Lines {
    let told = |times: bool| flow(phases(app, host, job, times, symbols), columns);
    let whole = told(true);
    if whole.len() == 1 { whole } else { told(false) }
}

/// Each phase; with `times` also how long those took that are over.
pub(super) fn phases(
    app: &App,
    host: &Host,
    job: &DeployReport,
    times: bool,
    symbols: &Symbols,
) -> Vec<Piece> {
    let since = since_heard(app, host, job);
    let phases = job.phases.0.iter().map(|phase| {
        let (symbol, tone) = look(phase, symbols);
        let running = phase.state == PhaseState::Running;
        let mut text = format!("{symbol} {}", printable(phase.name.as_str()));
        if running {
            text = format!("{text} {}", words::so_far(phase.elapsed_ms.saturating_add(since)));
        } else if times && phase.elapsed_ms > 0 {
            text = format!("{text} {}", words::duration(phase.elapsed_ms));
        }
        tone.text(text)
    });
    phases.collect()
}

fn look(phase: &Phase, symbols: &Symbols) -> (&'static str, Tone) {
    match phase.state {
        PhaseState::Done => (symbols.done, Tone::Good),
        PhaseState::Running => (symbols.working, Tone::Busy),
        PhaseState::Failed => (symbols.failed, Tone::Bad),
        PhaseState::Skipped => (symbols.skipped, Tone::Dim),
        _ => (symbols.pending, Tone::Dim),
    }
}

fn wrapped(tone: Tone, text: &str, columns: usize) -> Lines {
    text::wrap(text, columns).into_iter().map(|line| vec![tone.text(line)]).collect()
}

/// What the job does, or how it ended and why.
pub(super) fn verdict(app: &App, host: &Host, job: &DeployReport, columns: usize) -> Lines {
    match &job.status {
        Status::Completed => wrapped(Tone::Good, &printable(&job.message), columns),
        status if status.is_final() => {
            let error = job.error.as_ref().map_or("failed".to_owned(), |error| printable(error.as_str()));
            wrapped(Tone::Bad, &format!("{error}: {}", printable(&job.message)), columns)
        }
        _ => {
            let left = estimate::left(job, since_heard(app, host, job));
            job.progress.iter().map(|progress| vec![Tone::Plain.text(activity(progress, left))]).collect()
        }
    }
}

/// The same, and which units failed.
pub(super) fn job_lines(app: &App, host: &Host, job: &DeployReport, columns: usize) -> Lines {
    let mut lines = verdict(app, host, job, columns);
    let units: Vec<_> = job.failed_units.iter().map(|unit| printable(unit)).collect();
    if job.status == Status::Failed && !units.is_empty() {
        lines.extend(wrapped(Tone::Bad, &format!("failed units: {}", units.join(", ")), columns));
    }
    lines
}

/// `building linux-6.12.9, about 1:20 left (3 running, 412 MiB of 1.1 GiB fetched)`
fn activity(progress: &Progress, left: Option<u64>) -> String {
    let mut more = Vec::new();
    if progress.running > 0 {
        more.push(format!("{} running", progress.running));
    }
    if progress.expected_bytes > 0 {
        let (done, all) = (words::size(progress.downloaded_bytes), words::size(progress.expected_bytes));
        more.push(format!("{done} of {all} fetched"));
    }
    let mut activity = printable(&progress.activity);
    if let Some(left) = left.map(words::left) {
        activity = if activity.is_empty() { left } else { format!("{activity}, {left}") };
    }
    if more.is_empty() { activity } else { format!("{activity} ({})", more.join(", ")) }
}

/// What an operator should know of the host itself, with `units` also which have failed.
pub(super) fn notes(app: &App, host: &Host, units: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let two = host.claimants(app.now).len();
    if two > 1 {
        notes.push(format!("{two} listeners claim this name; give each its own --hostname"));
    }
    notes.extend(host.identity_notes().iter().map(|note| printable(note)));
    if let Some(refusal) = &host.refusal {
        let action = refusal.action.as_ref().map_or("the last request", |action| action.as_str());
        let by =
            refusal.issuer.as_ref().map(|issuer| format!(" by {}", printable(issuer))).unwrap_or_default();
        notes.push(format!("{}{by} was {}", printable(action), words::progress_of(refusal)));
    }
    if let Some(answer) = &host.answer {
        notes.extend(answer.held.as_ref().map(|why| format!("held: {}", printable(why))));
        if let Some(Lag::Behind { head }) = app.heads.as_ref().map(|heads| heads.lag(host)) {
            let branch = app.heads.as_ref().map(|heads| heads.branch.to_string()).unwrap_or_default();
            notes.push(format!("behind: {branch} is at {}", words::short(head)));
        }
        notes.extend(host.needs_reboot().then(|| "a reboot is needed".to_owned()));
        if units && !answer.failed_units.is_empty() {
            let units: Vec<_> = answer.failed_units.iter().map(|unit| printable(unit)).collect();
            notes.push(format!("failed units: {}", units.join(", ")));
        }
        notes.extend(answer.warnings.iter().map(|warning| printable(warning)));
    }
    notes
}

pub(super) fn log_lines(app: &App, count: usize) -> Lines {
    let Some(log) = &app.log else { return Lines::new() };
    let said = |text: &str| vec![Tone::Dim.text(text)];
    let lines = log.last(count);
    match log.state {
        _ if !lines.is_empty() => lines.into_iter().map(|line| vec![Tone::Plain.text(line)]).collect(),
        LogState::Asked => vec![said("reading the log")],
        LogState::Missing => vec![said("the host keeps no log of this job")],
        LogState::Silent => vec![said("the host does not answer for its log")],
        LogState::Live | LogState::Ended => vec![said("the log is empty")],
    }
}

/// What a host without a job says of itself.
fn facts(host: &Host) -> Lines {
    let Some(answer) = &host.answer else { return Lines::new() };
    let mut lines = Vec::new();
    let system = [answer.os_version.as_deref(), answer.system.as_deref()];
    lines.push(system.into_iter().flatten().map(printable).collect::<Vec<_>>().join("  "));
    let free =
        |what: &str, bytes: Option<u64>| bytes.map(|bytes| format!("{what} {} free", words::size(bytes)));
    let free = [free("nix store", answer.nix_free_bytes), free("/boot", answer.boot_free_bytes)];
    lines.push(free.into_iter().flatten().collect::<Vec<_>>().join(", "));
    lines.push(format!("listens on {}", printable(&answer.deploy_subjects.join(", "))));
    lines.retain(|line| !line.is_empty());
    lines.into_iter().map(|line| vec![Tone::Plain.text(line)]).collect()
}
