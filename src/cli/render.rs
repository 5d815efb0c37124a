//! Text for people: reports, plans, tables, ages. Everything that came over the wire is made harmless first.

mod table;

use crate::deployer::{Discovery, HostResult, Outcome, Plan, Verdict};
use crate::fleet::{Host, Presence};
use crate::protocol::{DeployReport, Status, printable};
use comfy_table::{Cell, Color};
use jiff::Timestamp;
use std::fmt::Write;
use table::table;

/// How many of a failure's last lines the summary quotes.
const QUOTED_LINES: usize = 12;

/// How a job stands, in a few words.
pub(super) fn state(report: &DeployReport) -> String {
    let message = printable(&report.message);
    match &report.status {
        Status::Completed if report.elapsed_ms.is_none() => format!("completed: {message}"),
        Status::Completed => format!("completed in {}: {message}", millis(report.elapsed_ms)),
        Status::Failed | Status::Rejected => {
            let error = report.error.as_ref().map(|error| format!(" ({})", printable(error.as_str())));
            let error = error.unwrap_or_default();
            format!("{}{error}: {message}", report.status)
        }
        _ => match report.phases.running() {
            Some(phase) => format!("{}{}", printable(phase.name.as_str()), progress(report)),
            None => printable(report.status.as_str()),
        },
    }
}

fn progress(report: &DeployReport) -> String {
    let Some(progress) = &report.progress else { return String::new() };
    let mut text = String::new();
    if progress.expected > 0 {
        let _ = write!(text, " {}/{}", progress.done, progress.expected);
    }
    if !progress.activity.is_empty() {
        let _ = write!(text, " {}", printable(&progress.activity));
    }
    text
}

/// The exact hosts of a plan, and what will be done there.
pub(super) fn plan(plan: &Plan, discovery: &Discovery) -> String {
    let revision =
        plan.intent.revision.as_ref().map(|revision| format!(" of {revision}")).unwrap_or_default();
    let mut rows = Vec::new();
    for (name, tier) in plan.hosts() {
        let host = discovery.fleet.hosts.get(name);
        let role = host.and_then(|host| host.role.as_ref()).map(ToString::to_string).unwrap_or_default();
        let runs = host.map(runs).unwrap_or_default();
        let note = plan.silent.get(name).map(|seen| last_seen(*seen, discovery.at)).unwrap_or_default();
        rows.push(cells([name.to_string(), tier.to_string(), role, runs, note]));
    }
    let spelled: Vec<_> = plan.parcels.iter().filter(|p| p.spelled).map(|p| p.subject.as_str()).collect();
    let subjects = if spelled.is_empty() { String::new() } else { format!(" by {}", spelled.join(", ")) };
    let count = rows.len();
    let hosts = if count == 1 { "host" } else { "hosts" };
    let head = format!("{}{revision} on {count} {hosts}{subjects}:", plan.intent.action);
    format!("{head}\n{}", table(&["HOST", "TIER", "ROLE", "RUNS", ""], rows, false))
}

/// The table of an outcome, and below it what is to be known of each failure.
pub(super) fn outcome(outcome: &Outcome, now: Timestamp, colours: bool) -> String {
    if outcome.hosts.is_empty() {
        return "no host answered; `homelab-deploy hosts` lists who is there".to_owned();
    }
    let rows = outcome.hosts.iter().map(|result| {
        let report = result.report.as_deref();
        let name = match &result.instance {
            Some(instance) => format!("{} ({})", result.host, printable(instance)),
            None => result.host.to_string(),
        };
        let generation = report.and_then(|report| report.generation).map(|g| g.to_string());
        let time = report.map(|report| millis(report.elapsed_ms));
        let mut row = cells([
            name,
            String::new(),
            report.map(revision).unwrap_or_default(),
            generation.unwrap_or_default(),
            time.unwrap_or_default(),
            detail(result, now),
        ]);
        row[1] = paint(result.verdict);
        row
    });
    let mut text = table(&["HOST", "RESULT", "REVISION", "GEN", "TIME", ""], rows.collect(), colours);
    for result in &outcome.hosts {
        if let Some(report) = result.report.as_deref().filter(|_| result.verdict == Verdict::Failed) {
            let _ = write!(text, "\n\n{}", failure(report));
        }
    }
    text
}

fn detail(result: &HostResult, now: Timestamp) -> String {
    match (&result.report, result.verdict) {
        (Some(report), Verdict::Unknown) => {
            let heard = result.seen.map(|seen| format!(", last heard of {} ago", age(seen, now)));
            format!("was in {}{}", state(report), heard.unwrap_or_default())
        }
        (Some(report), _) => match &report.error {
            Some(error) => format!("{}: {}", printable(error.as_str()), printable(&report.message)),
            None => printable(&report.message),
        },
        (None, _) => result.seen.map_or("never answered".to_owned(), |seen| last_seen(seen, now)),
    }
}

fn failure(report: &DeployReport) -> String {
    let error = report.error.as_ref().map_or("failed".to_owned(), ToString::to_string);
    let mut text = format!("{}: {}: {}", report.hostname, printable(&error), printable(&report.message));
    if report.rolled_back == Some(true) {
        text.push_str("\n  rolled back to what ran before");
    }
    if !report.failed_units.is_empty() {
        let units: Vec<_> = report.failed_units.iter().map(|unit| printable(unit)).collect();
        let _ = write!(text, "\n  failed units: {}", units.join(", "));
    }
    let lines: Vec<_> = report.diagnostics.as_deref().unwrap_or_default().lines().collect();
    for line in &lines[lines.len().saturating_sub(QUOTED_LINES)..] {
        let _ = write!(text, "\n  | {}", printable(line));
    }
    text
}

/// The table of a fleet.
pub(super) fn fleet(hosts: &[&Host], now: Timestamp) -> String {
    let rows = hosts.iter().map(|host| {
        let answer = host.answer.as_deref();
        let generation = answer.and_then(|answer| answer.generation).map(|g| g.to_string());
        cells([
            host.name.to_string(),
            host.tier.as_ref().map(ToString::to_string).unwrap_or_default(),
            host.role.as_ref().map(ToString::to_string).unwrap_or_default(),
            host_state(host, now),
            runs(host),
            generation.unwrap_or_default(),
            host.seen.map(|seen| age(seen, now)).unwrap_or_default(),
        ])
    });
    table(&["HOST", "TIER", "ROLE", "STATE", "REVISION", "GEN", "SEEN"], rows.collect(), false)
}

/// How a host stands, in a few words.
fn host_state(host: &Host, now: Timestamp) -> String {
    let presence = match host.presence(now) {
        Presence::Online => None,
        Presence::Stale => Some("stale"),
        Presence::Offline => Some("offline"),
        Presence::Restarting => Some("restarting"),
    };
    let mut text = match (presence, &host.job) {
        (Some(word), _) => word.to_owned(),
        (None, Some(job)) if !job.status.is_final() => state(job),
        (None, Some(job)) if job.status == Status::Failed => {
            format!("failed: {}", printable(job.error.as_ref().map_or("unknown", |error| error.as_str())))
        }
        _ => "idle".to_owned(),
    };
    if host.claimants(now).len() > 1 {
        text.push_str(", two hosts of this name");
    }
    if host.answer.as_ref().is_some_and(|answer| answer.reboot_needed == Some(true)) {
        text.push_str(", reboot needed");
    }
    text
}

/// What a host runs: revision and short commit.
fn runs(host: &Host) -> String {
    let Some(answer) = host.answer.as_deref() else { return String::new() };
    let label = [answer.revision.as_deref(), answer.commit.as_deref().map(short)];
    named(label)
}

fn revision(report: &DeployReport) -> String {
    named([report.revision.as_deref(), report.commit.as_deref().map(short)])
}

fn named(parts: [Option<&str>; 2]) -> String {
    match parts {
        [Some(revision), Some(commit)] if revision.starts_with(commit) => printable(commit),
        parts => printable(&parts.into_iter().flatten().collect::<Vec<_>>().join(" ")),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

fn cells<const N: usize>(texts: [String; N]) -> Vec<Cell> {
    texts.into_iter().map(Cell::new).collect()
}

fn paint(verdict: Verdict) -> Cell {
    Cell::new(verdict.as_str()).fg(match verdict {
        Verdict::Completed => Color::Green,
        Verdict::Failed | Verdict::Rejected => Color::Red,
        Verdict::Unknown | Verdict::Silent => Color::Yellow,
    })
}

fn last_seen(seen: Timestamp, now: Timestamp) -> String {
    if seen == Timestamp::UNIX_EPOCH {
        return "never answered".to_owned();
    }
    format!("offline, last seen {} ago", age(seen, now))
}

/// How long ago, in its largest unit.
fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

fn millis(elapsed: Option<u64>) -> String {
    let Some(elapsed) = elapsed else { return String::new() };
    let seconds = elapsed / 1000;
    if seconds < 60 {
        return format!("{seconds}.{} s", elapsed % 1000 / 100);
    }
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}
