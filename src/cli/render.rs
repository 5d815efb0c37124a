//! Text for people: reports, plans, tables, ages. Everything that came over the wire is made harmless first.

mod builds;
mod changes;
mod failures;
mod history;
mod keys;
mod outdated;
mod plan;
mod settings;
mod status;
mod table;

pub(super) use builds::builds;
pub(super) use changes::changes;
pub(super) use history::history;
pub(super) use keys::keys;
pub(super) use outdated::outdated;
pub(super) use plan::{left_out, plan, unbuilt, untouched};
pub(super) use settings::settings;
pub(super) use status::{silences, status};

use crate::deployer::{HostResult, Outcome, Verdict};
use crate::fleet::{Host, Standing, words};
use crate::protocol::{DeployReport, Name, printable};
use comfy_table::{Cell, Color};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write;
use table::table;
pub(super) use table::terminal_size;

/// How many of a failure's last lines the summary quotes.
const QUOTED_LINES: usize = 12;

/// The table of an outcome, and below it what is to be known of each failure.
pub(super) fn outcome(outcome: &Outcome, now: Timestamp, colours: bool) -> String {
    if outcome.hosts.is_empty() {
        return "no host answered; `homelab-deploy hosts` lists who is there".to_owned();
    }
    let rows = outcome.hosts.iter().map(|result| {
        let report = result.report.as_deref();
        let name = name(&result.host, result.instance.as_deref());
        let generation = report.and_then(|report| report.generation).map(|g| g.to_string());
        let time = report.and_then(|report| report.elapsed_ms).map(words::duration);
        let mut row = cells([
            name,
            String::new(),
            report.map(words::deploys).unwrap_or_default(),
            generation.unwrap_or_default(),
            time.unwrap_or_default(),
            detail(result, now),
        ]);
        row[1] = paint(result.verdict);
        row
    });
    let mut text = table(&["HOST", "RESULT", "REVISION", "GEN", "TIME", ""], rows.collect(), colours);
    let alike = failures::alike(outcome);
    if !alike.is_empty() {
        let _ = write!(text, "\n\n{}", alike.join("\n"));
    }
    for result in &outcome.hosts {
        if let Some(report) = result.report.as_deref().filter(|_| result.verdict == Verdict::Failed) {
            let _ = write!(text, "\n\n{}", failure(report));
        }
    }
    text
}

/// A host; of two that claim the name, which.
fn name(host: &Name, instance: Option<&str>) -> String {
    match instance {
        Some(instance) => format!("{host} ({})", printable(instance)),
        None => host.to_string(),
    }
}

fn detail(result: &HostResult, now: Timestamp) -> String {
    match (result.report.as_deref(), result.verdict) {
        (Some(report), Verdict::Unknown) => {
            let heard = result.seen.map(|seen| format!(", last heard of {} ago", words::age(seen, now)));
            format!("was in {}{}", words::progress_of(report), heard.unwrap_or_default())
        }
        // The block below the table says why.
        (Some(report), Verdict::Failed) => {
            report.error.as_ref().map(|error| printable(error.as_str())).unwrap_or_default()
        }
        (Some(report), _) => match &report.error {
            Some(error) => format!("{}: {}", printable(error.as_str()), printable(&report.message)),
            None => printable(&report.message),
        },
        (None, _) => last_seen(result.seen, now),
    }
}

fn failure(report: &DeployReport) -> String {
    let error = report.error.as_ref().map_or("failed".to_owned(), ToString::to_string);
    let mut text = format!("{}: {}: {}", report.hostname, printable(&error), printable(&report.message));
    if let Some(note) = report.rollback_note() {
        let _ = write!(text, "\n  {note}");
    }
    if !report.failed_units.is_empty() {
        let units: Vec<_> = report.failed_units.iter().map(|unit| printable(unit)).collect();
        let _ = write!(text, "\n  failed units: {}", units.join(", "));
    }
    text.push_str(&quoted(report.diagnostics.as_deref().unwrap_or_default()));
    text
}

/// The last lines of what a failure wrote, each on a line of its own.
pub(super) fn quoted(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
    last.iter().flat_map(|line| ["\n  | ".to_owned(), printable(line)]).collect()
}

/// What is to be known of a host besides: why it is held, and its warnings. In sentences.
pub(super) fn notes(host: &Host) -> Vec<String> {
    let held = host.answer.iter().filter_map(|answer| Some(format!("held: {}", answer.held.as_ref()?)));
    let warnings = host.answer.iter().flat_map(|answer| &answer.warnings).cloned();
    let note = |note: String| format!("note: {}: {}", host.name, printable(&note));
    host.identity_notes().into_iter().chain(held).chain(warnings).map(note).collect()
}

/// What the table of a fleet shows of each host.
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
        words::runs(host),
        generation.unwrap_or_default(),
        host.seen.map(|seen| words::age(seen, now)).unwrap_or_default(),
    ])
}

/// A host on one line: its name, how it stands, and what it runs. While a build goes on it stays the same.
pub(super) fn host_line(host: &Host, now: Timestamp) -> String {
    let text = format!("{}  {}  {}", host.name, host_state(host, now, false), words::runs(host));
    text.trim_end().to_owned()
}

/// How a host stands, in a few words; with `steps` also how far its build is.
fn host_state(host: &Host, now: Timestamp, steps: bool) -> String {
    let held = host.answer.as_ref().is_some_and(|answer| answer.held.is_some());
    let standing = host.standing(now);
    let mut text = match standing {
        Standing::Idle if held => "held".to_owned(),
        Standing::Working(job) if steps => words::progress_of(job),
        Standing::Working(job) => {
            printable(job.phases.running().map_or(job.status.as_str(), |phase| phase.name.as_str()))
        }
        Standing::Failed(job) => {
            format!("failed: {}", printable(job.error.as_ref().map_or("unknown", |error| error.as_str())))
        }
        Standing::Offline if host.seen.is_none() => last_seen(None, now),
        other => other.word().to_owned(),
    };
    if held && standing != Standing::Idle {
        text.push_str(", held");
    }
    if host.claimants(now).len() > 1 {
        text.push_str(", two hosts with this name");
    }
    if host.answer.as_ref().is_some_and(|answer| answer.reboot_needed == Some(true)) {
        text.push_str(", reboot needed");
    }
    text
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

/// A moment by a host's own clock, as a clock on our wall shows it.
fn when(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn last_seen(seen: Option<Timestamp>, now: Timestamp) -> String {
    let seen =
        seen.map_or("never seen".to_owned(), |seen| format!("last seen {} ago", words::age(seen, now)));
    format!("offline, {seen}")
}
