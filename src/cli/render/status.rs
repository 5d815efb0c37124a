//! How the running or last job of each host stands.

use super::{cells, failure, last_seen, name, table, when};
use crate::deployer::{Discovery, Told};
use crate::fleet::words;
use crate::protocol::{Action, DeployReport, Name, PhaseState, Status, printable};
use comfy_table::{Cell, Color};
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::sync::Arc;

type Jobs = [(Name, Told<Option<Arc<DeployReport>>>)];

/// The table of the hosts, and below it what is to be known of each failure.
pub(in crate::cli) fn status(hosts: &Jobs, discovery: &Discovery, zone: &TimeZone, colours: bool) -> String {
    let rows = hosts.iter().map(|(host, told)| {
        let report = match told {
            Told::Answer(report) => report.as_deref(),
            _ => None,
        };
        let two = hosts.iter().filter(|(other, _)| other == host).count() > 1;
        let instance = report.and_then(|report| report.instance.as_deref()).filter(|_| two);
        let word = |word: Option<&str>| word.map(printable).unwrap_or_default();
        let mut row = cells([
            name(host, instance),
            String::new(),
            word(report.and_then(|report| report.action.as_ref()).map(Action::as_str)),
            report.map(words::deploys).unwrap_or_default(),
            word(report.and_then(|report| report.issuer.as_deref())),
            report.and_then(|report| report.at).map(|at| when(at, zone)).unwrap_or_default(),
            report.and_then(|report| report.elapsed_ms).map(words::duration).unwrap_or_default(),
            report.map(phases).unwrap_or_default(),
        ]);
        row[1] = state(host, told, discovery);
        row
    });
    let head = ["HOST", "STATE", "ACTION", "REVISION", "BY", "LAST NEWS", "TIME", "PHASES"];
    let mut text = table(&head, rows.collect(), colours);
    for (host, _) in hosts {
        let answer = discovery.fleet.hosts.get(host).and_then(|host| host.answer.as_ref());
        if let Some(why) = answer.and_then(|answer| answer.held.as_ref()) {
            let _ = write!(text, "\n\n{host} is held: {}", printable(why));
        }
    }
    for (_, told) in hosts {
        if let Told::Answer(Some(report)) = told
            && report.status == Status::Failed
        {
            let _ = write!(text, "\n\n{}", failure(report));
        }
    }
    text
}

/// A sentence about each host that told nothing.
pub(in crate::cli) fn silences<T>(hosts: &[(Name, Told<T>)], discovery: &Discovery) -> Vec<String> {
    let silent = hosts.iter().filter(|(_, told)| !told.is_answer());
    silent.map(|(host, told)| format!("{host}: {}", silence(host, told, discovery))).collect()
}

/// Why a host told nothing.
fn silence<T>(host: &Name, told: &Told<T>, discovery: &Discovery) -> String {
    if matches!(told, Told::TooOld) {
        return "its listener is too old to tell; update it".to_owned();
    }
    if discovery.answered.contains(host) {
        return "it did not answer the question; ask again".to_owned();
    }
    let seen = discovery.fleet.hosts.get(host).and_then(|host| host.seen);
    last_seen(seen, discovery.at)
}

fn state(host: &Name, told: &Told<Option<Arc<DeployReport>>>, discovery: &Discovery) -> Cell {
    let Told::Answer(report) = told else {
        return Cell::new(silence(host, told, discovery)).fg(Color::Yellow);
    };
    let Some(report) = report else { return Cell::new("no job yet") };
    let error = report.error.as_ref().map(|error| printable(error.as_str()));
    match &report.status {
        Status::Completed => Cell::new("completed").fg(Color::Green),
        Status::Failed | Status::Rejected => {
            let error = error.map(|error| format!(": {error}")).unwrap_or_default();
            Cell::new(format!("{}{error}", report.status)).fg(Color::Red)
        }
        _ => Cell::new(words::progress_of(report)).fg(Color::Cyan),
    }
}

/// Each phase that began, and how long it took or has run.
fn phases(report: &DeployReport) -> String {
    let begun = report.phases.0.iter().filter_map(|phase| {
        let (name, time) = (printable(phase.name.as_str()), words::duration(phase.elapsed_ms));
        match phase.state {
            PhaseState::Done => Some(format!("{name} {time}")),
            PhaseState::Running | PhaseState::Failed => Some(format!("{name} {} {time}", phase.state)),
            _ => None,
        }
    });
    begun.collect::<Vec<_>>().join(", ")
}
