//! What a job changes on its host, as far as it tells.

use super::flow::flow;
use super::painter::Piece;
use crate::fleet::{Host, words};
use crate::protocol::{Action, Changes, DeployReport, PackageChange, Status, printable};
use crate::tui::{Symbols, Tone, text};

/// Packages, sizes and units. A dry run that tells of none says so.
pub(super) fn lines(host: &Host, job: &DeployReport, columns: usize, symbols: &Symbols) -> Vec<Vec<Piece>> {
    let said = |text: &str| vec![vec![Tone::Dim.text(text)]];
    let Some(changes) = &job.changes else {
        let dry = job.action == Some(Action::DryActivate) && job.status == Status::Completed;
        let runs = host.answer.as_ref().and_then(|answer| answer.system.as_ref());
        return match (dry, runs.is_some() && runs == job.system.as_ref()) {
            (false, _) => Vec::new(),
            // A host where this very system runs has nothing to compare.
            (true, true) => said("nothing would change, this system runs already"),
            (true, false) => said("the host did not report what would change; its log may"),
        };
    };
    let mut lines = vec![vec![Tone::Title.text(summary(changes))]];
    lines.extend(flow(changes.packages.iter().map(|package| change(package, symbols)), columns));
    for (what, units) in [
        ("stops", &changes.units_stopped),
        ("starts", &changes.units_started),
        ("restarts", &changes.units_restarted),
    ] {
        if !units.is_empty() {
            let units: Vec<_> = units.iter().map(|unit| printable(unit)).collect();
            let wrapped = text::wrap(&format!("{what} {}", units.join(", ")), columns);
            lines.extend(wrapped.into_iter().map(|line| vec![Tone::Plain.text(line)]));
        }
    }
    lines
}

/// `2 packages, +412 MiB`
fn summary(changes: &Changes) -> String {
    let mut parts = Vec::new();
    match changes.packages.len() {
        0 => {}
        1 => parts.push("1 package".to_owned()),
        count => parts.push(format!("{count} packages")),
    }
    if let Some(bytes) = changes.bytes.filter(|bytes| *bytes != 0) {
        parts.push(words::growth(bytes));
    }
    let units = [&changes.units_stopped, &changes.units_started, &changes.units_restarted];
    match units.iter().map(|units| units.len()).sum::<usize>() {
        0 => {}
        1 => parts.push("1 unit".to_owned()),
        count => parts.push(format!("{count} units")),
    }
    // Two systems that differ in the content of files only, such as an address below /etc, are of one size.
    if parts.is_empty() { "changes files only".to_owned() } else { format!("changes {}", parts.join(", ")) }
}

/// `linux 6.12.8 ▸ 6.12.9`, and with a sign where a package comes or goes.
fn change(package: &PackageChange, symbols: &Symbols) -> Piece {
    let name = printable(&package.name);
    let version = |version: &Option<String>| version.as_deref().map(printable);
    match (version(&package.from), version(&package.to)) {
        (Some(from), Some(to)) => Tone::Plain.text(format!("{name} {from} {} {to}", symbols.then)),
        (None, Some(to)) => Tone::Good.text(format!("+{name} {to}")),
        (Some(from), None) => Tone::Warn.text(format!("-{name} {from}")),
        (None, None) => Tone::Plain.text(name),
    }
}
