//! What a deployment would change.

use super::{cells, name, table};
use crate::deployer::{HostResult, Outcome, Verdict};
use crate::fleet::{Fleet, words};
use crate::protocol::{Changes, DeployReport, printable};
use std::fmt::Write;

/// What a dry run has found on each host where it completed.
pub(in crate::cli) fn changes(outcome: &Outcome, fleet: &Fleet) -> Vec<String> {
    let done = outcome.hosts.iter().filter(|result| result.verdict == Verdict::Completed);
    done.filter_map(|result| Some(found(result, result.report.as_deref()?, fleet))).collect()
}

fn found(result: &HostResult, report: &DeployReport, fleet: &Fleet) -> String {
    let host = name(&result.host, result.instance.as_deref());
    let answer = fleet.hosts.get(&result.host).and_then(|host| host.answer.as_deref());
    let runs = answer.and_then(|answer| answer.system.as_deref());
    // A host where this very system runs has nothing to compare.
    if report.system.is_some() && runs == report.system.as_deref() {
        return format!("{host}: nothing would change, this system runs already");
    }
    let Some(changes) = &report.changes else {
        return match (&report.id, &report.instance) {
            // Base listeners keep no logs.
            (Some(id), Some(_)) => format!(
                "{host} did not report what would change; `homelab-deploy logs {host} --id {id}` shows what its program said"
            ),
            _ => format!("{host} did not report what would change"),
        };
    };
    let mut text = format!("{host}: {}", summary(changes));
    if !changes.packages.is_empty() {
        let rows = changes.packages.iter().map(|package| {
            let version = |version: &Option<String>| version.as_deref().map(printable).unwrap_or_default();
            cells([printable(&package.name), version(&package.from), version(&package.to)])
        });
        let _ = write!(text, "\n{}", table(&["PACKAGE", "FROM", "TO"], rows.collect(), false));
    }
    for (what, units) in [
        ("stop", &changes.units_stopped),
        ("start", &changes.units_started),
        ("restart", &changes.units_restarted),
    ] {
        if !units.is_empty() {
            let units: Vec<_> = units.iter().map(|unit| printable(unit)).collect();
            let _ = write!(text, "\nwould {what}: {}", units.join(", "));
        }
    }
    text
}

/// `2 packages, +412 MiB, 1 unit would stop, 2 would restart`
fn summary(changes: &Changes) -> String {
    let count = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{count} {what}s")),
    };
    let units = |units: &[String], what: &str| Some(format!("{} would {what}", count(units.len(), "unit")?));
    let bytes = changes.bytes.filter(|bytes| *bytes != 0).map(words::growth);
    let parts = [
        count(changes.packages.len(), "package"),
        bytes,
        units(&changes.units_stopped, "stop"),
        units(&changes.units_started, "start"),
        units(&changes.units_restarted, "restart"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    // Two systems that differ in the content of files only, such as an address below /etc, are of one size.
    if parts.is_empty() {
        "no package, size or unit would change, only files".to_owned()
    } else {
        parts.join(", ")
    }
}
