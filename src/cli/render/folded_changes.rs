//! The changes of several hosts, folded.

use crate::client::DeploymentSummary;
use crate::fleet::{Fleet, FoldedChange, fold_changes};
use crate::text::format;

/// The folded changes of the hosts with a result.
pub(in crate::cli) fn fold(summary: &DeploymentSummary, fleet: &Fleet) -> Vec<FoldedChange> {
    let reports = summary.hosts.iter().filter_map(|host| host.report.as_deref());
    fold_changes(reports, |host| fleet.hosts.get(host)?.answer.as_deref()?.system.as_deref())
}

/// The folded changes as text, one per line; `None` for fewer than two hosts.
pub(in crate::cli) fn folded_changes(summary: &DeploymentSummary, fleet: &Fleet) -> Option<String> {
    let reported = summary.hosts.iter().filter(|host| host.report.is_some()).count();
    if reported < 2 {
        return None;
    }
    let changes = fold(summary, fleet);
    let lines: Vec<_> = changes.iter().map(|change| format!("  {}", change.describe("->"))).collect();
    Some(format!("changes on {}:\n{}", format::count(reported, "host"), lines.join("\n")))
}
