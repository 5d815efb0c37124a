//! The pane of the selected host: its job with phases, notes, and the end of the log.

use super::lines::{wrapped, wrapped_spans};
use super::panel::draw_text;
use super::{changes, commits, components};
use crate::fleet::{DiskPlace, Host, HostStatus, LowDisk, Outdated, describe, failure_reason};
use crate::protocol::{Action, DeployReport, Name, Phase, PhaseState, Progress, Status};
use crate::text::{format, printable};
use crate::tui::log_line::{self, ShownLine};
use crate::tui::{App, LogState, TableRow, Theme, Tone, text};
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Rect, Size};
use ratatui::text::{Line, Span};

/// Maximum number of commits between what the host runs and the head.
const MAX_COMMITS: usize = 3;
/// Maximum number of names of hosts with the same trouble.
const MAX_LIKEWISE: usize = 20;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let theme = &app.options.theme;
    let size = super::text_size(area);
    if size.height == 0 {
        return;
    }
    let (title, lines) = match (app.host(), app.table.selected()) {
        (Some(host), _) => (title(app, host), host_lines(app, host, size)),
        (None, Some(TableRow::Group(group, _))) => {
            (theme.span(Tone::Title, format!(" {group} ")).into(), group_lines(app, size))
        }
        (None, _) => (Line::default(), Vec::new()),
    };
    draw_text(frame, theme, area, title, Line::default(), lines);
}

/// The phases, the cause of a failure, notes, and the end of the log.
fn host_lines(app: &App, host: &Host, size: Size) -> Vec<Line<'static>> {
    let (columns, available) = (usize::from(size.width), usize::from(size.height));
    let theme = &app.options.theme;
    let mut lines = Vec::new();
    // The change that decides the state of the host may not be its last job.
    if let Some(change) = host.failed_change().filter(|_| host.earlier_change().is_some()) {
        let what = format!("{} {}", theme.symbols().failed, job_title(app, host, change));
        lines.push(theme.span(Tone::Bad, what).into());
        lines.extend(job_lines(app, host, change, columns));
    }
    if let Some(job) = host.job.as_deref() {
        if !job.phases.is_empty() {
            lines.extend(phase_lines(app, host, job, columns));
        }
        lines.extend(components::lines(job, columns, theme));
        lines.extend(job_lines(app, host, job, columns));
        if job.action == Some(Action::DryActivate) {
            lines.extend(changes::lines(host, job, columns, theme));
        }
    }
    lines.extend(likewise_line(app, host, columns));
    let notes = notes(app, host, true);
    lines.extend(notes.iter().flat_map(|note| wrapped(theme, Tone::Warn, note, columns)));
    lines.extend(commits::lines(app, host, MAX_COMMITS, columns));
    // The log gets the remaining space, and at least one line.
    lines.truncate(available.saturating_sub(1).max(1));
    let left = available - lines.len();
    lines.extend(log_lines(app, left));
    if lines.len() < available && host.job.is_none() {
        lines.extend(facts(app, host));
    }
    lines
}

/// `likewise web6, web9 and 3 more hosts`
fn likewise_line(app: &App, host: &Host, columns: usize) -> Option<Line<'static>> {
    let others = app.counted.likewise.others(&host.name);
    if others.is_empty() {
        return None;
    }
    let theme = &app.options.theme;
    let label = theme.span(Tone::Dim, "likewise ");
    let names: Vec<_> = others.into_iter().map(Name::as_str).collect();
    let more = |shown: usize| match names.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let fits = |shown: &usize| {
        label.width() + text::width(&names[..*shown].join(", ")) + more(*shown).len() <= columns
    };
    let shown = (1..=names.len().min(MAX_LIKEWISE)).rev().find(fits).unwrap_or(1);
    Some(label + theme.span(Tone::Title, names[..shown].join(", ")) + theme.span(Tone::Dim, more(shown)))
}

/// One entry for each host of the selected group that needs attention or runs a job.
fn group_lines(app: &App, size: Size) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let hosts = app.table.hosts().iter().filter_map(|name| app.fleet.hosts.get(name));
    let attention = |host: &&Host| host.needs_attention(app.now) || host.running_job().is_some();
    let lines = |host: &Host| {
        let status = host.status(app.now);
        let label = match status {
            HostStatus::Failed(job) | HostStatus::Deploying(job) => describe::job_progress(job),
            HostStatus::Offline | HostStatus::Stale | HostStatus::Restarting => status.as_str().to_owned(),
            _ => notes(app, host, true).join("; "),
        };
        let mut name = host.name.as_str();
        let indent = text::width(name) + 2;
        let label = text::wrap(&label, usize::from(size.width).saturating_sub(indent));
        let line = |label| {
            let name = theme.span(Tone::Title, format!("{:<indent$}", std::mem::take(&mut name)));
            name + theme.span(Tone::Plain, label)
        };
        label.into_iter().map(line).collect::<Vec<_>>()
    };
    let mut lines: Vec<_> = hosts.filter(attention).take(usize::from(size.height)).flat_map(lines).collect();
    if lines.is_empty() {
        lines.push(theme.span(Tone::Dim, "no host of this group needs attention").into());
    }
    lines
}

/// `ns1 ▸ switch main 3f2a91c by alice, 0:52`
fn title(app: &App, host: &Host) -> Line<'static> {
    let theme = &app.options.theme;
    let name = theme.span(Tone::Title, format!(" {} ", host.name));
    let Some(job) = &host.job else { return name.into() };
    let age =
        job.at.filter(|_| job.status.is_final()).map(|at| format!(", {} ago", format::age(at, app.now)));
    let job = format!("{} {}{} ", theme.symbols().then, job_title(app, host, job), age.unwrap_or_default());
    name + theme.span(Tone::Plain, job)
}

/// `switch main 3f2a91c by alice, 0:52`
pub(super) fn job_title(app: &App, host: &Host, job: &DeployReport) -> String {
    let action = job.action.as_ref().map_or("job", |action| action.as_str());
    let mut text = format!("{} {}", printable(action), describe::job_revision(job));
    if let Some(issuer) = &job.issuer {
        text = format!("{} by {}", text.trim_end(), printable(issuer));
    }
    if let Some(elapsed) = elapsed(app, host, job) {
        let label = if job.status.is_final() { format::duration(elapsed) } else { format::elapsed(elapsed) };
        text = format!("{}, {label}", text.trim_end());
    }
    text
}

/// Run time of the job in milliseconds: as last reported, plus the time since then.
pub(super) fn elapsed(app: &App, host: &Host, job: &DeployReport) -> Option<u64> {
    Some(job.elapsed_ms?.saturating_add(since_last_report(app, host, job)))
}

/// Milliseconds since the last report of a running job; 0 if it has ended.
pub(super) fn since_last_report(app: &App, host: &Host, job: &DeployReport) -> u64 {
    let deployment = job.id.as_ref().and_then(|id| app.fleet.deployments.get(id));
    let last_seen = deployment.and_then(|deployment| deployment.job(&host.name)).map(|job| job.last_seen);
    match last_seen.filter(|_| !job.status.is_final()) {
        Some(last_seen) => u64::try_from(app.now.duration_since(last_seen).as_millis()).unwrap_or(0),
        None => 0,
    }
}

/// The phases on one line; if they do not fit, without the times of finished phases and on several lines.
pub(super) fn phase_lines(app: &App, host: &Host, job: &DeployReport, columns: usize) -> Vec<Line<'static>> {
    let label = |times: bool| wrapped_spans(phases(app, host, job, times), columns);
    let whole = label(true);
    if whole.len() == 1 { whole } else { label(false) }
}

/// The phases; with `times`, also the duration of finished phases.
pub(super) fn phases(app: &App, host: &Host, job: &DeployReport, times: bool) -> Vec<Span<'static>> {
    let theme = &app.options.theme;
    let since = since_last_report(app, host, job);
    let phases = job.phases.0.iter().map(|phase| {
        let (symbol, tone) = look(phase, theme);
        let running = phase.state == PhaseState::Running;
        let mut text = format!("{symbol} {}", printable(phase.name.as_str()));
        if running {
            text = format!("{text} {}", format::elapsed(phase.elapsed_ms.saturating_add(since)));
        } else if times && phase.elapsed_ms > 0 {
            text = format!("{text} {}", format::duration(phase.elapsed_ms));
        }
        theme.span(tone, text)
    });
    phases.collect()
}

fn look(phase: &Phase, theme: &Theme) -> (&'static str, Tone) {
    let symbols = theme.symbols();
    match phase.state {
        PhaseState::Done => (symbols.done, Tone::Good),
        PhaseState::Running => (symbols.working, Tone::Busy),
        PhaseState::Failed => (symbols.failed, Tone::Bad),
        PhaseState::Skipped => (symbols.skipped, Tone::Dim),
        _ => (symbols.pending, Tone::Dim),
    }
}

/// Activity of the job, or its result with the reason.
pub(super) fn result_lines(app: &App, host: &Host, job: &DeployReport, columns: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    match &job.status {
        Status::Completed => wrapped(theme, Tone::Good, &printable(&job.message), columns),
        _ if job.is_cancelled() => {
            wrapped(theme, Tone::Warn, &format!("cancelled: {}", printable(&job.message)), columns)
        }
        status if status.is_final() => failure_lines(theme, job, columns),
        _ => {
            let left = describe::remaining_ms(job, since_last_report(app, host, job));
            let activity = |progress: &Box<_>| theme.span(Tone::Plain, activity(progress, left)).into();
            job.progress.iter().map(activity).collect()
        }
    }
}

/// The deciding line of a journal first, in bold; then the only package that changed, and the message.
fn failure_lines(theme: &Theme, job: &DeployReport, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(cause) = &job.cause {
        lines.extend(wrapped(theme, Tone::Bad, &printable(cause), columns));
    }
    let packages = job.changes.as_ref().map(|changes| changes.packages.as_slice()).unwrap_or_default();
    if let [package] = packages {
        let change = changes::change(package, theme);
        lines.push(change + theme.span(Tone::Dim, " is the only package that changed"));
    }
    let tone = if lines.is_empty() { Tone::Bad } else { Tone::Plain };
    lines.extend(wrapped(theme, tone, &failure_reason(job), columns));
    lines
}

/// The result and the failed units.
pub(super) fn job_lines(app: &App, host: &Host, job: &DeployReport, columns: usize) -> Vec<Line<'static>> {
    let mut lines = result_lines(app, host, job, columns);
    let units: Vec<_> = job.failed_units.iter().map(|unit| printable(unit)).collect();
    if job.status == Status::Failed && !units.is_empty() {
        lines.extend(wrapped(
            &app.options.theme,
            Tone::Bad,
            &format!("{}: {}", failed_label(host), units.join(", ")),
            columns,
        ));
    }
    lines
}

/// What the names of failed units are on this host.
fn failed_label(host: &Host) -> &'static str {
    if host.is_compose() { "services not well" } else { "failed units" }
}

/// `building linux-6.12.9, about 1:20 left (3 running, 412 MiB of 1.1 GiB fetched)`
fn activity(progress: &Progress, left: Option<u64>) -> String {
    let mut more = Vec::new();
    if progress.running > 0 {
        more.push(format!("{} running", progress.running));
    }
    if progress.expected_bytes > 0 {
        let (done, all) = (format::size(progress.downloaded_bytes), format::size(progress.expected_bytes));
        more.push(format!("{done} of {all} fetched"));
    }
    let mut activity = printable(&progress.activity);
    if let Some(left) = left.map(format::remaining) {
        activity = if activity.is_empty() { left } else { format!("{activity}, {left}") };
    }
    if more.is_empty() { activity } else { format!("{activity} ({})", more.join(", ")) }
}

/// Notes on the host itself, the most urgent first; with `units`, also its failed units.
pub(super) fn notes(app: &App, host: &Host, units: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let two = host.active_instances(app.now).count();
    if two > 1 {
        notes.push(format!("{two} listeners use this name; give each a different --hostname"));
    }
    notes.extend(host.identity_notes().iter().map(|note| printable(note)));
    if let Some(refusal) = &host.refusal {
        let action = refusal.action.as_ref().map_or("the last request", |action| action.as_str());
        let by =
            refusal.issuer.as_ref().map(|issuer| format!(" by {}", printable(issuer))).unwrap_or_default();
        notes.push(format!("{}{by} was {}", printable(action), describe::job_progress(refusal)));
    }
    if let Some(answer) = &host.answer {
        if units && !answer.failed_units.is_empty() {
            let units: Vec<_> = answer.failed_units.iter().map(|unit| printable(unit)).collect();
            notes.push(format!("{}: {}", failed_label(host), units.join(", ")));
        }
        notes.extend(LowDisk::of(answer).map(low_disk));
        notes.extend(answer.held.as_ref().map(|reason| format!("held: {}", hold(app, reason))));
        notes.extend(host.needs_reboot().then(|| "needs reboot".to_owned()));
        if let Some(Outdated::Yes { head }) = app.heads.as_ref().map(|heads| heads.outdated(host)) {
            let branch = app.heads.as_ref().map(|heads| heads.branch.to_string()).unwrap_or_default();
            let distance = commits::of_host(app, host).and_then(commits::describe);
            let distance = distance.map(|distance| format!(", {distance}")).unwrap_or_default();
            notes.push(format!("outdated: {branch} is at {}{distance}", format::short_commit(head)));
        }
        notes.extend(answer.warnings.iter().map(|warning| printable(warning)));
    }
    notes
}

/// `31 MiB free on /boot: the next switch may not fit`
pub(super) fn low_disk(low: LowDisk) -> String {
    let free = format::size(low.free_bytes);
    match low.place {
        DiskPlace::Boot => format!("{free} free on /boot: the next switch may not fit"),
        DiskPlace::Store => format!("{free} free in the nix store"),
        DiskPlace::State => format!("{free} free in the state directory"),
    }
}

/// The reason of a hold, with its time in the zone of the operator: listeners send it in UTC.
pub(super) fn hold(app: &App, held: &str) -> String {
    let held = printable(held);
    let Some((before, (word, after))) = held
        .split_once("since ")
        .map(|(before, rest)| (before, rest.split_at(rest.find('Z').map_or(0, |at| at + 1))))
    else {
        return held;
    };
    let Ok(since) = word.parse::<Timestamp>() else { return held };
    let local = |time: Timestamp| time.to_zoned(app.options.zone.clone());
    let pattern = if local(since).date() == local(app.now).date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    format!("{before}since {}{after}", local(since).strftime(pattern))
}

pub(super) fn log_lines(app: &App, count: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let Some(log) = &app.log else { return Vec::new() };
    let note = |text: &'static str| vec![theme.span(Tone::Dim, text).into()];
    let lines = log.last(count);
    match log.state {
        _ if !lines.is_empty() => {
            let line = |line: String| {
                let shown = ShownLine::short(line.as_str().into()).text.into_owned();
                theme.span(log_line::tone(&line), shown).into()
            };
            lines.into_iter().map(line).collect()
        }
        LogState::Loading => note("reading the log"),
        LogState::Missing => note("the host has no log of this job"),
        LogState::NoAnswer => note("no answer to the log query"),
        LogState::Live | LogState::Ended => note("the log is empty"),
    }
}

/// Details of a host without a job.
fn facts(app: &App, host: &Host) -> Vec<Line<'static>> {
    let Some(answer) = &host.answer else { return Vec::new() };
    let mut lines = Vec::new();
    let system = [answer.os_version.as_deref(), answer.system.as_deref()];
    lines.push(system.into_iter().flatten().map(printable).collect::<Vec<_>>().join("  "));
    let free =
        |what: &str, bytes: Option<u64>| bytes.map(|bytes| format!("{what} {} free", format::size(bytes)));
    let free = [free("nix store", answer.nix_free_bytes), free("/boot", answer.boot_free_bytes)];
    lines.push(free.into_iter().flatten().collect::<Vec<_>>().join(", "));
    lines.push(format!("listens on {}", printable(&answer.deploy_subjects.join(", "))));
    lines.retain(|line| !line.is_empty());
    lines.into_iter().map(|line| app.options.theme.span(Tone::Plain, line).into()).collect()
}
