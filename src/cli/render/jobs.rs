//! The running or last job of each host, and the table of past jobs.

use super::{cells, components, failure, last_seen, name, table, when};
use crate::client::{Discovery, Reply};
use crate::fleet::describe;
use crate::protocol::{Action, DeployReport, ErrorCode, HistoryEntry, Name, PhaseState, Status};
use crate::text::{format, printable};
use comfy_table::{Cell, Color};
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::sync::Arc;

type Jobs = [(Name, Reply<Option<Arc<DeployReport>>>)];

/// The table of hosts, followed by holds and details of failures.
pub(in crate::cli) fn status(hosts: &Jobs, discovery: &Discovery, zone: &TimeZone, colours: bool) -> String {
    let rows = hosts.iter().map(|(host, reply)| {
        let report = match reply {
            Reply::Ok(report) => report.as_deref(),
            _ => None,
        };
        let two = hosts.iter().filter(|(other, _)| other == host).count() > 1;
        let instance = report.and_then(|report| report.instance.as_deref()).filter(|_| two);
        let cell = |value: Option<&str>| value.map(printable).unwrap_or_default();
        let mut row = cells([
            name(host, instance),
            String::new(),
            cell(report.and_then(|report| report.action.as_ref()).map(Action::as_str)),
            report.map(describe::job_revision).unwrap_or_default(),
            cell(report.and_then(|report| report.issuer.as_deref())),
            report.and_then(|report| report.at).map(|at| when(at, zone)).unwrap_or_default(),
            report.and_then(|report| report.elapsed_ms).map(format::duration).unwrap_or_default(),
            report.map(phases).unwrap_or_default(),
        ]);
        row[1] = state(host, reply, discovery);
        row
    });
    let head = ["HOST", "STATE", "ACTION", "REVISION", "BY", "UPDATED", "TIME", "PHASES"];
    let mut text = table(&head, rows.collect(), colours);
    for (host, _) in hosts {
        let answer = discovery.fleet.hosts.get(host).and_then(|host| host.answer.as_ref());
        if let Some(why) = answer.and_then(|answer| answer.held.as_ref()) {
            let _ = write!(text, "\n\n{host} is held: {}", printable(why));
        }
    }
    for (_, reply) in hosts {
        let Reply::Ok(Some(report)) = reply else { continue };
        if report.status == Status::Failed {
            let _ = write!(text, "\n\n{}", failure(report));
        } else if !report.components.is_empty() {
            let _ = write!(text, "\n\n{}:{}", report.hostname, components(report));
        }
    }
    text
}

/// One line per host that did not reply.
pub(in crate::cli) fn missing_replies<T>(hosts: &[(Name, Reply<T>)], discovery: &Discovery) -> Vec<String> {
    let silent = hosts.iter().filter(|(_, reply)| !reply.is_ok());
    silent.map(|(host, reply)| format!("{host}: {}", missing_reply(host, reply, discovery))).collect()
}

/// Why there is no reply from a host.
fn missing_reply<T>(host: &Name, reply: &Reply<T>, discovery: &Discovery) -> String {
    if matches!(reply, Reply::Unsupported) {
        return "its listener is too old for this query: update it".to_owned();
    }
    if discovery.answered.contains(host) {
        return "no answer to the query: try again".to_owned();
    }
    let seen = discovery.fleet.hosts.get(host).and_then(|host| host.last_seen);
    last_seen(seen, discovery.at)
}

fn state(host: &Name, reply: &Reply<Option<Arc<DeployReport>>>, discovery: &Discovery) -> Cell {
    let Reply::Ok(report) = reply else {
        return Cell::new(missing_reply(host, reply, discovery)).fg(Color::Yellow);
    };
    let Some(report) = report else { return Cell::new("no job yet") };
    let error = report.error.as_ref().map(ErrorCode::words);
    match &report.status {
        Status::Completed => Cell::new("completed").fg(Color::Green),
        Status::Failed | Status::Rejected => {
            let error = error.map(|error| format!(": {error}")).unwrap_or_default();
            Cell::new(format!("{}{error}", report.status)).fg(Color::Red)
        }
        _ => Cell::new(describe::job_progress(report)).fg(Color::Cyan),
    }
}

/// Started phases with their durations.
fn phases(report: &DeployReport) -> String {
    let started = report.phases.0.iter().filter_map(|phase| {
        let (name, time) = (printable(phase.name.as_str()), format::duration(phase.elapsed_ms));
        match phase.state {
            PhaseState::Done => Some(format!("{name} {time}")),
            PhaseState::Running | PhaseState::Failed => Some(format!("{name} {} {time}", phase.state)),
            _ => None,
        }
    });
    started.collect::<Vec<_>>().join(", ")
}

/// How many of the components that a job has changed are shown.
const SHOWN_COMPONENTS: usize = 4;
/// Number of characters of a key that are shown.
const SHORT_KEY: usize = 8;

/// The table of jobs, grouped by host. `None` if there are no jobs.
pub(in crate::cli) fn history(
    hosts: &[(Name, Reply<Vec<HistoryEntry>>)],
    zone: &TimeZone,
    colours: bool,
) -> Option<String> {
    let entries = hosts.iter().filter_map(|(host, reply)| match reply {
        Reply::Ok(entries) => Some(entries.iter().map(move |entry| (host, entry))),
        _ => None,
    });
    let entries: Vec<_> = entries.flatten().collect();
    let mut rows: Vec<_> = entries.iter().map(|(host, entry)| row(host, entry, zone)).collect();
    let mut head = vec!["HOST", "WHEN", "RESULT", "ACTION", "REVISION", "GEN", "TIME", "BY", ""];
    // The column is shown only if a host checks signatures.
    if entries.iter().any(|(_, entry)| entry.key.is_some()) {
        let at = head.len() - 1;
        head.insert(at, "KEY");
        for (row, (_, entry)) in rows.iter_mut().zip(&entries) {
            row.insert(at, Cell::new(entry.key.as_deref().map(short_key).unwrap_or_default()));
        }
    }
    (!rows.is_empty()).then(|| table(&head, rows, colours))
}

/// A shortened key, long enough to distinguish keys.
fn short_key(key: &str) -> String {
    let key = printable(key);
    match key.char_indices().nth(SHORT_KEY) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key,
    }
}

/// The names of the components that a job has changed.
fn changed(components: &[String]) -> String {
    let shown = &components[..components.len().min(SHOWN_COMPONENTS)];
    let names = shown.iter().map(|name| printable(name)).collect::<Vec<_>>().join(", ");
    match components.len() - shown.len() {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn row(host: &Name, entry: &HistoryEntry, zone: &TimeZone) -> Vec<Cell> {
    let result = [Some(printable(entry.status.as_str())), entry.error.as_ref().map(ErrorCode::words)];
    let result: Vec<_> = result.into_iter().flatten().collect();
    let mut row = cells([
        host.to_string(),
        when(entry.at, zone),
        String::new(),
        printable(entry.action.as_str()),
        describe::history_revision(entry),
        entry.generation.map(|generation| generation.to_string()).unwrap_or_default(),
        format::duration(entry.elapsed_ms),
        entry.issuer.as_deref().map(printable).unwrap_or_default(),
        // A hold changes nothing, and has a reason.
        entry.reason.as_deref().map_or_else(|| changed(&entry.components), printable),
    ]);
    row[2] = Cell::new(result.join(": ")).fg(match entry.status {
        Status::Completed => Color::Green,
        _ => Color::Red,
    });
    row
}
