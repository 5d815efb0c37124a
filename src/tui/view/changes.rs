//! What a job changes on its host.

use super::painter::Piece;
use crate::fleet::words;
use crate::protocol::{Action, Changes, DeployReport, PackageChange, Status, printable};
use crate::tui::{Tone, text};

/// Packages with their versions, and units.
pub(super) fn lines(job: &DeployReport, columns: usize) -> Vec<Vec<Piece>> {
    let Some(changes) = &job.changes else { return Vec::new() };
    let tries = matches!(job.action, Some(Action::DryActivate | Action::Build));
    let done = job.status == Status::Completed && !tries;
    let mut told = vec![size(changes)];
    told.push(changes.packages.iter().map(package).collect::<Vec<_>>().join(", "));
    for (units, would, did) in [
        (&changes.units_stopped, "would stop", "stopped"),
        (&changes.units_started, "would start", "started"),
        (&changes.units_restarted, "would restart", "restarted"),
    ] {
        if !units.is_empty() {
            let units: Vec<_> = units.iter().map(|unit| printable(unit)).collect();
            told.push(format!("{}: {}", if done { did } else { would }, units.join(", ")));
        }
    }
    told.retain(|line| !line.is_empty());
    if told.is_empty() {
        told.push("nothing changes".to_owned());
    }
    let lines = told.iter().flat_map(|line| text::wrap(line, columns));
    lines.map(|line| vec![Tone::Plain.text(line)]).collect()
}

/// `2 packages change, +412 MiB`
fn size(changes: &Changes) -> String {
    let packages = match changes.packages.len() {
        0 => None,
        1 => Some("1 package changes".to_owned()),
        count => Some(format!("{count} packages change")),
    };
    let bytes = changes.bytes.filter(|bytes| *bytes != 0).map(words::growth);
    [packages, bytes].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn package(package: &PackageChange) -> String {
    let name = printable(&package.name);
    match (&package.from, &package.to) {
        (Some(from), Some(to)) => format!("{name} {} -> {}", printable(from), printable(to)),
        (None, Some(to)) => format!("{name} {} new", printable(to)),
        (Some(from), None) => format!("{name} {} removed", printable(from)),
        (None, None) => name,
    }
}
