//! Plans before a deployment, and hosts that were left out of it.

use super::{cells, last_seen, table};
use crate::client::{BatchKind, DeploymentSummary, Discovery, Intent, NamedFlake, Plan};
use crate::fleet::{describe, printable_flake};
use crate::protocol::{Action, Name};
use crate::text::format;
use comfy_table::Cell;

/// The hosts of a plan and the action for each.
pub(in crate::cli) fn plan(plan: &Plan, discovery: &Discovery) -> String {
    let intent = &plan.intent;
    let of_what = match (&intent.revision, intent.generation) {
        (Some(revision), _) => {
            let commits: Vec<_> = plan.commits().into_iter().map(format::short_commit).collect();
            let commits =
                if commits.is_empty() { String::new() } else { format!(" ({})", commits.join(", ")) };
            format!(" of {revision}{commits}")
        }
        (None, Some(generation)) => format!(" to generation {generation}"),
        (None, None) if intent.action == Action::Rollback => " to the previous system".to_owned(),
        (None, None) => String::new(),
    };
    let explicit: Vec<_> =
        plan.requests.iter().filter(|p| p.is_explicit).map(|p| p.subject.as_str()).collect();
    let subjects = if explicit.is_empty() { String::new() } else { format!(" by {}", explicit.join(", ")) };
    let (hosts, batches) = (format::count(plan.hosts().len(), "host"), plan.rollout.batches());
    let head = format!("{}{of_what} on {hosts}{subjects}{}", intent.action, services(intent));
    let columns = ["HOST", "TIER", "ROLE", "RUNS", ""];
    if batches.len() < 2 {
        let rows = plan.hosts().into_keys().map(|host| row(host, plan, discovery)).collect();
        return format!("{head}:\n{}{}", table(&columns, rows, false), flakes(plan, discovery));
    }
    let mut rows = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let number = match batch.kind {
            BatchKind::Canary => format!("{} canary", at + 1),
            BatchKind::Batch => format!("{}", at + 1),
            BatchKind::NatsServer => format!("{} NATS server", at + 1),
        };
        let batch_row = |host| [cells([number.clone()]), row(&host, plan, discovery)].concat();
        rows.extend(plan.hosts_of(batch).into_iter().map(batch_row));
    }
    let columns = [&["BATCH"], &columns[..]].concat();
    format!(
        "{head} in {} batches:\n{}{}",
        batches.len(),
        table(&columns, rows, false),
        flakes(plan, discovery)
    )
}

/// The part of each host that a deployment is about; empty for complete hosts.
fn services(intent: &Intent) -> String {
    let names: Vec<_> = intent.services.iter().map(Name::as_str).collect();
    let only = match names.len() {
        0 => String::new(),
        1 => format!(", only the service {}", names[0]),
        _ => format!(", only the services {}", names.join(", ")),
    };
    let prune = if intent.prune { ", and removing services that are not assigned any more" } else { "" };
    format!("{only}{prune}")
}

/// One line per flake with the commit that will be built. Empty if a host's flake is refused.
fn flakes(plan: &Plan, discovery: &Discovery) -> String {
    let named = plan.named_flakes(&discovery.fleet).unwrap_or_default();
    let Some(revision) = plan.intent.revision.as_ref().filter(|_| plan.intent.action.needs_revision()) else {
        return String::new();
    };
    let several = named.len() > 1;
    let line = |(flake, of): (&&str, &NamedFlake<'_>)| {
        let hosts: Vec<_> = of.hosts.iter().map(|host| host.as_str()).collect();
        let hosts = if several { format!(" ({})", hosts.join(", ")) } else { String::new() };
        let is_new = if of.is_new { ", new here" } else { "" };
        let request = plan
            .requests
            .iter()
            .find(|request| of.hosts.iter().any(|host| request.hosts.contains_key(*host)));
        let at = match request.and_then(|request| request.pin.as_ref()) {
            Some(commit) => format!(" at {commit}"),
            None if revision.is_commit() => String::new(),
            None => format!(": each host resolves {revision}"),
        };
        format!("\nflake {}{hosts}{is_new}{at}", printable_flake(flake))
    };
    let mut named: Vec<_> = named.iter().collect();
    named.sort_unstable_by_key(|(_, of)| of.hosts.first());
    named.into_iter().map(line).collect()
}

fn row(name: &Name, plan: &Plan, discovery: &Discovery) -> Vec<Cell> {
    let host = discovery.fleet.hosts.get(name);
    let of = |part: Option<&Name>| part.map(ToString::to_string).unwrap_or_default();
    let runs = host.map(describe::running_revision).unwrap_or_default();
    let note = plan.silent.get(name).map(|seen| last_seen(*seen, discovery.at)).unwrap_or_default();
    let tier = plan.hosts().get(name).copied();
    cells([name.to_string(), of(tier), of(host.and_then(|host| host.role.as_ref())), runs, note])
}

/// The hosts that were not deployed because the builder did not build them.
pub(in crate::cli) fn not_built(summary: &DeploymentSummary) -> String {
    let hosts: Vec<_> = summary.not_built.iter().map(Name::as_str).collect();
    format!("not deployed because the builder did not build it: {}", hosts.join(", "))
}

/// The hosts of a group that were left out, with the reasons.
pub(in crate::cli) fn left_out(summary: &DeploymentSummary) -> String {
    let hosts: Vec<_> =
        summary.left_out.iter().map(|left| format!("{} ({})", left.host, left.reason)).collect();
    format!("left out: {}", hosts.join(", "))
}

/// The hosts that were not started, and why. The resume command follows this line.
pub(in crate::cli) fn not_started(summary: &DeploymentSummary) -> String {
    let hosts: Vec<_> = summary.not_started.iter().map(Name::as_str).collect();
    let why = summary.stopped.map(|stopped| format!(" because {stopped}")).unwrap_or_default();
    format!("not started{why}: {}. To continue with the remaining hosts:", hosts.join(", "))
}
