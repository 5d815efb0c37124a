//! Changes that a deployment would make.

use super::{cells, components, name, table};
use crate::client::{DeploymentSummary, HostResult, ResultKind};
use crate::fleet::Fleet;
use crate::protocol::{Changes, DeployReport, Presence};
use crate::text::{format, printable};
use std::fmt::Write;

/// The changes that a completed dry run found, per host.
pub(in crate::cli) fn changes(summary: &DeploymentSummary, fleet: &Fleet) -> Vec<String> {
    let done = summary.hosts.iter().filter(|result| result.result == ResultKind::Completed);
    done.filter_map(|result| Some(found(result, result.report.as_deref()?, fleet))).collect()
}

fn found(result: &HostResult, report: &DeployReport, fleet: &Fleet) -> String {
    let host = name(&result.host, result.instance.as_deref());
    let answer = fleet.hosts.get(&result.host).and_then(|host| host.answer.as_deref());
    let runs = answer.and_then(|answer| answer.system.as_deref());
    let has_services = answer.is_some_and(Presence::is_compose);
    if has_services && !report.components.is_empty() {
        return format!("{host}:{}", components(report));
    }
    // The host already runs this system, so there is nothing to compare.
    if report.system.is_some() && runs == report.system.as_deref() {
        return format!("{host}: nothing would change, the host already runs this system");
    }
    let Some(changes) = &report.changes else {
        return match (&report.id, &report.instance) {
            // Base listeners keep no logs.
            (Some(id), Some(_)) => format!(
                "{host} did not report what would change; `homelab-deploy logs {host} --id {id}` shows the output of its program"
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
    let count = |count: usize, noun: &str| (count > 0).then(|| format::count(count, noun));
    let units = |units: &[String], what: &str| Some(format!("{} would {what}", count(units.len(), "unit")?));
    let bytes = changes.bytes.filter(|bytes| *bytes != 0).map(format::signed_size);
    let parts = [
        count(changes.packages.len(), "package"),
        bytes,
        units(&changes.units_stopped, "stop"),
        units(&changes.units_started, "start"),
        units(&changes.units_restarted, "restart"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    // Systems can differ only in the content of files, such as an address in /etc, at the same size.
    if parts.is_empty() {
        "only files would change, no package, size or unit".to_owned()
    } else {
        parts.join(", ")
    }
}
