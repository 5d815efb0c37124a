//! Human-readable output: reports, plans and tables. Everything received over the wire is made printable first.

mod builds;
mod changes;
mod commits;
mod folded_changes;
mod jobs;
mod plan;
mod rollouts;

pub(super) use builds::builds;
pub(super) use changes::changes;
pub(super) use commits::{CommitsJson, commits, commits_query};
pub(super) use folded_changes::{fold, folded_changes};
pub(super) use jobs::{history, missing_replies, status};
pub(super) use plan::{left_out, not_built, not_started, plan};
pub(super) use rollouts::rollouts;

use crate::client::{DeploymentSummary, HostResult, KeyStatus, KeyUse, Plan, ResultKind};
use crate::fleet::{BranchHeads, FleetCommits, Host, HostStatus, Reachability, describe, failure_groups};
use crate::protocol::{Action, DeployReport, ErrorCode, Name};
use crate::text::{format, last, printable};
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write;

/// Number of last lines of a failure that the summary quotes.
const QUOTED_LINES: usize = 12;

/// The table of results, followed by details of each failure.
pub(super) fn outcome(outcome: &DeploymentSummary, plan: &Plan, now: Timestamp, colours: bool) -> String {
    if outcome.hosts.is_empty() {
        let subjects: Vec<_> = plan.requests.iter().map(|request| request.subject.as_str()).collect();
        return format!(
            "no host answered on {}; `homelab-deploy hosts` lists all known hosts",
            subjects.join(", ")
        );
    }
    let rows = outcome.hosts.iter().map(|result| {
        let report = result.report.as_deref();
        let name = name(&result.host, result.instance.as_deref());
        let generation = report.and_then(|report| report.generation).map(|g| g.to_string());
        let time = report.and_then(|report| report.elapsed_ms).map(format::duration);
        let mut row = cells([
            name,
            String::new(),
            report.map(describe::job_revision).unwrap_or_default(),
            generation.unwrap_or_default(),
            time.unwrap_or_default(),
            detail(result, now),
        ]);
        row[1] = paint(result.result);
        row
    });
    let mut text = table(&["HOST", "RESULT", "REVISION", "GEN", "TIME", ""], rows.collect(), colours);
    let alike = common_failures(outcome);
    if !alike.is_empty() {
        let _ = write!(text, "\n\n{}", alike.join("\n"));
    }
    for result in &outcome.hosts {
        let Some(report) = result.report.as_deref() else { continue };
        if result.result == ResultKind::Failed {
            let _ = write!(text, "\n\n{}", failure(report));
        } else if !report.components.is_empty() && plan.intent.action != Action::DryActivate {
            let _ = write!(text, "\n\n{}:{}", report.hostname, components(report));
        }
    }
    text
}

/// A host name, with the instance if two hosts use the same name.
fn name(host: &Name, instance: Option<&str>) -> String {
    match instance {
        Some(instance) => format!("{host} ({})", printable(instance)),
        None => host.to_string(),
    }
}

fn detail(result: &HostResult, now: Timestamp) -> String {
    match (result.report.as_deref(), result.result) {
        (Some(report), ResultKind::Unknown) => {
            let seen = result.last_seen.map(|seen| format!(", last seen {} ago", format::age(seen, now)));
            format!("was in {}{}", describe::job_progress(report), seen.unwrap_or_default())
        }
        // The message is in the block below the table.
        (Some(report), ResultKind::Failed) => report.error.as_ref().map(ErrorCode::words).unwrap_or_default(),
        (Some(report), _) => match &report.error {
            Some(error) => format!("{}: {}", error.words(), printable(&report.message)),
            None => printable(&report.message),
        },
        (None, _) => last_seen(result.last_seen, now),
    }
}

fn failure(report: &DeployReport) -> String {
    let error = report.error.as_ref().map_or("failed".to_owned(), ErrorCode::words);
    let mut text = format!("{}: {error}: {}", report.hostname, printable(&report.message));
    if let Some(note) = report.rollback_note() {
        let _ = write!(text, "\n  {note}");
    }
    if !report.failed_units.is_empty() {
        let units: Vec<_> = report.failed_units.iter().map(|unit| printable(unit)).collect();
        // Only services of Docker Compose are components.
        let noun = if report.components.is_empty() { "units" } else { "services" };
        let _ = write!(text, "\n  failed {noun}: {}", units.join(", "));
    }
    text.push_str(&components(report));
    text.push_str(&quoted(report.diagnostics.as_deref().unwrap_or_default()));
    text
}

/// The components of a job, one indented line each.
fn components(report: &DeployReport) -> String {
    describe::components(report).into_iter().flat_map(|line| ["\n  ".to_owned(), line]).collect()
}

/// The diagnostics that a host has collected on request.
pub(super) fn diagnostics(report: &DeployReport) -> String {
    let lines = report.diagnostics.as_deref().unwrap_or_default().lines();
    lines.fold(format!("{}:", report.hostname), |text, line| format!("{text}\n  {}", printable(line)))
}

/// Quotes the last lines of an output, indented.
pub(super) fn quoted(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let last = last(&lines, QUOTED_LINES);
    last.iter().flat_map(|line| ["\n  | ".to_owned(), printable(line)]).collect()
}

/// Notes about a host: identity problems, the reason of a hold, and its warnings.
pub(super) fn notes(host: &Host) -> Vec<String> {
    let held = host.answer.iter().filter_map(|answer| Some(format!("held: {}", answer.held.as_ref()?)));
    let warnings = host.answer.iter().flat_map(|answer| &answer.warnings).cloned();
    let note = |note: String| format!("note: {}: {}", host.name, printable(&note));
    host.identity_notes().into_iter().chain(held).chain(warnings).map(note).collect()
}

/// Columns of the fleet table.
const HEAD: [&str; 7] = ["HOST", "TIER", "ROLE", "STATE", "REVISION", "GEN", "SEEN"];

/// The table of a fleet.
pub(super) fn fleet(hosts: &[&Host], now: Timestamp) -> String {
    table(&HEAD, hosts.iter().map(|host| row(host, now)).collect(), false)
}

fn row(host: &Host, now: Timestamp) -> Vec<Cell> {
    let answer = host.answer.as_deref();
    let generation = answer.and_then(|answer| answer.generation).map(|g| g.to_string());
    cells([
        host.name.to_string(),
        host.tier.as_ref().map(ToString::to_string).unwrap_or_default(),
        host.role.as_ref().map(ToString::to_string).unwrap_or_default(),
        host_state(host, now, true),
        describe::running_revision(host),
        generation.unwrap_or_default(),
        host.last_seen.map(|seen| format::age(seen, now)).unwrap_or_default(),
    ])
}

/// A host on one line: name, status and revision. Build progress is left out, so that the line does not change with it.
pub(super) fn host_line(host: &Host, now: Timestamp) -> String {
    let text =
        format!("{}  {}  {}", host.name, host_state(host, now, false), describe::running_revision(host));
    text.trim_end().to_owned()
}

/// The status of a host in a few words, with the build progress if `steps` is set.
fn host_state(host: &Host, now: Timestamp, steps: bool) -> String {
    let status = host.status(now);
    let mut text = match status {
        HostStatus::Held => "held".to_owned(),
        HostStatus::Reboot => "idle".to_owned(),
        HostStatus::Deploying(job) if steps => describe::job_progress(job),
        HostStatus::Deploying(job) => {
            printable(job.phases.running().map_or(job.status.as_str(), |phase| phase.name.as_str()))
        }
        HostStatus::Failed(job) => {
            format!("failed: {}", job.error.as_ref().map_or_else(|| "unknown".to_owned(), ErrorCode::words))
        }
        HostStatus::Units(units) => printable(&format!("failed {}s: {}", host.unit_noun(), units.join(", "))),
        HostStatus::Disk(low) => {
            format!("{} low: {} free", low.place.as_str(), format::size(low.free_bytes))
        }
        HostStatus::Duplicate if host.reachability(now) == Reachability::Online => "idle".to_owned(),
        HostStatus::Duplicate => host.reachability(now).as_str().to_owned(),
        HostStatus::Offline if host.last_seen.is_none() => last_seen(None, now),
        other => other.as_str().to_owned(),
    };
    // Silence does not hide a failure, and a failure does not hide silence.
    let reachability = host.reachability(now);
    if reachability != Reachability::Online
        && matches!(status, HostStatus::Failed(_) | HostStatus::Units(_) | HostStatus::Disk(_))
    {
        text = format!("{text}, {}", reachability.as_str());
    }
    if host.is_held() && status != HostStatus::Held {
        text.push_str(", held");
    }
    if host.has_name_conflict(now) {
        text.push_str(", two hosts with this name");
    }
    if host.needs_reboot() {
        text.push_str(", reboot needed");
    }
    text
}

fn cells<const N: usize>(texts: [String; N]) -> Vec<Cell> {
    texts.into_iter().map(Cell::new).collect()
}

fn paint(result: ResultKind) -> Cell {
    let text = if result == ResultKind::Silent { "no answer" } else { result.as_str() };
    Cell::new(text).fg(match result {
        ResultKind::Completed => Color::Green,
        ResultKind::Failed | ResultKind::Rejected => Color::Red,
        ResultKind::Unknown | ResultKind::Silent => Color::Yellow,
    })
}

/// Formats a time in this time zone, to the minute. The time comes from the clock of a host.
fn when(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn last_seen(seen: Option<Timestamp>, now: Timestamp) -> String {
    let seen =
        seen.map_or("never seen".to_owned(), |seen| format!("last seen {} ago", format::age(seen, now)));
    format!("offline, {seen}")
}

/// Formats a table with a header. Without a terminal, it is as wide as its content.
fn table(head: &[&str], rows: Vec<Vec<Cell>>, colours: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().copied()).add_rows(rows);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if let Some((width, _)) = terminal_size() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    // Each cell has a margin, which the first column does not need.
    table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Columns and rows of the terminal on standard output, if there is one.
pub(super) fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// One line per cause that affects more than one host.
fn common_failures(summary: &DeploymentSummary) -> Vec<String> {
    let groups = failure_groups(summary.hosts.iter().filter_map(|result| result.report.as_deref()));
    let alike = groups.into_iter().filter(|group| group.hosts.len() > 1);
    let line = alike.map(|group| {
        let hosts: Vec<_> = group.hosts.iter().map(Name::as_str).collect();
        format!("{} hosts: {} ({})", hosts.len(), group.cause, hosts.join(", "))
    });
    line.collect()
}

/// The fleet table with the commit that each host should run.
pub(super) fn outdated(
    hosts: &[(&Host, &str)],
    heads: &BranchHeads,
    commits: &FleetCommits,
    now: Timestamp,
) -> String {
    let branch = &heads.branch;
    let rows = hosts.iter().map(|(host, head)| {
        let mut row = row(host, now);
        row.push(Cell::new(format!("{branch} {}", format::short_commit(head))));
        let distance = commits.of_host(host, heads).and_then(|commit| commit.describe(branch));
        row.push(Cell::new(distance.unwrap_or_default()));
        row
    });
    let mut head = HEAD.to_vec();
    head.extend(["HEAD", "COMMITS"]);
    table(&head, rows.collect(), false)
}

/// The table of hosts with the keys that they trust or use.
pub(super) fn keys(status: &KeyStatus) -> String {
    let row =
        |(host, key): &(_, KeyUse)| cells([format!("{host}"), describe(*key, status.of_host).to_owned()]);
    table(&["HOST", "KEYS"], status.hosts.iter().map(row).collect(), false)
}

fn describe(key: KeyUse, of_host: bool) -> &'static str {
    match (key, of_host) {
        (KeyUse::Both, _) => "trusts both",
        (KeyUse::New, false) => "trusts only the new one",
        (KeyUse::Old, false) => "trusts only the old one",
        (KeyUse::Neither, false) => "trusts neither",
        (KeyUse::New, true) => "uses the new one",
        (KeyUse::Old, true) => "uses the old one",
        (KeyUse::Neither | KeyUse::Server, true) => "uses another one",
        (KeyUse::Server, false) => "does not check signatures",
        (KeyUse::Unsupported, _) => "unknown: its listener is too old",
        (KeyUse::Unproven, _) => "unknown: its reply is not signed by a key of the fleet file",
        (KeyUse::NoAnswer, _) => "no answer",
    }
}

/// The table of settings with name, value and source.
pub(super) fn settings(rows: impl Iterator<Item = [String; 3]>) -> String {
    table(&["SETTING", "VALUE", "FROM"], rows.map(cells).collect(), false)
}
