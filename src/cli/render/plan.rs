//! What will be done on which hosts, and which of them were left out.

use super::{cells, last_seen, table};
use crate::deployer::{Discovery, NamedFlake, Outcome, Plan, WaveKind};
use crate::fleet::{shown_flake, words};
use crate::protocol::{Action, Name};
use comfy_table::Cell;

/// The exact hosts of a plan, and what will be done there.
pub(in crate::cli) fn plan(plan: &Plan, discovery: &Discovery) -> String {
    let intent = &plan.intent;
    let of_what = match (&intent.revision, intent.generation) {
        (Some(revision), _) => {
            let commits: Vec<_> = plan.commits().into_iter().map(words::short).collect();
            let commits =
                if commits.is_empty() { String::new() } else { format!(" ({})", commits.join(", ")) };
            format!(" of {revision}{commits}")
        }
        (None, Some(generation)) => format!(" to generation {generation}"),
        (None, None) if intent.action == Action::Rollback => " to the previous system".to_owned(),
        (None, None) => String::new(),
    };
    let spelled: Vec<_> = plan.parcels.iter().filter(|p| p.spelled).map(|p| p.subject.as_str()).collect();
    let subjects = if spelled.is_empty() { String::new() } else { format!(" by {}", spelled.join(", ")) };
    let (count, waves) = (plan.hosts().len(), plan.rollout.waves());
    let hosts = if count == 1 { "host" } else { "hosts" };
    let head = format!("{}{of_what} on {count} {hosts}{subjects}", intent.action);
    let columns = ["HOST", "TIER", "ROLE", "RUNS", ""];
    if waves.len() < 2 {
        let rows = plan.hosts().into_keys().map(|host| row(host, plan, discovery)).collect();
        return format!("{head}:\n{}{}", table(&columns, rows, false), flakes(plan, discovery));
    }
    let mut rows = Vec::new();
    for (at, wave) in waves.iter().enumerate() {
        let number = match wave.kind {
            WaveKind::Canary => format!("{} canary", at + 1),
            WaveKind::Batch => format!("{}", at + 1),
            WaveKind::Broker => format!("{} broker", at + 1),
        };
        let of_wave = |host| [cells([number.clone()]), row(&host, plan, discovery)].concat();
        rows.extend(plan.hosts_of(wave).into_iter().map(of_wave));
    }
    let columns = [&["WAVE"], &columns[..]].concat();
    format!("{head} in {} waves:\n{}{}", waves.len(), table(&columns, rows, false), flakes(plan, discovery))
}

/// What will be built from which flake: a line each. A host that is refused for its flake is not asked about.
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
        let parcel =
            plan.parcels.iter().find(|parcel| of.hosts.iter().any(|host| parcel.hosts.contains_key(*host)));
        let at = match parcel.and_then(|parcel| parcel.pin.as_ref()) {
            Some(commit) => format!(" at {commit}"),
            None if revision.is_commit() => String::new(),
            None => format!(": each host looks {revision} up itself"),
        };
        format!("\nflake {}{hosts}{is_new}{at}", shown_flake(flake))
    };
    let mut named: Vec<_> = named.iter().collect();
    named.sort_by_key(|(_, of)| of.hosts.first());
    named.into_iter().map(line).collect()
}

fn row(name: &Name, plan: &Plan, discovery: &Discovery) -> Vec<Cell> {
    let host = discovery.fleet.hosts.get(name);
    let of = |part: Option<&Name>| part.map(ToString::to_string).unwrap_or_default();
    let runs = host.map(words::runs).unwrap_or_default();
    let note = plan.silent.get(name).map(|seen| last_seen(*seen, discovery.at)).unwrap_or_default();
    let tier = plan.hosts().get(name).copied();
    cells([name.to_string(), of(tier), of(host.and_then(|host| host.role.as_ref())), runs, note])
}

/// Which hosts nothing was sent to because they were not built.
pub(in crate::cli) fn unbuilt(outcome: &Outcome) -> String {
    let hosts: Vec<_> = outcome.unbuilt.iter().map(Name::as_str).collect();
    format!("not deployed, for the builder has not built it: {}", hosts.join(", "))
}

/// Which hosts nothing was sent to because they are not what is known of them.
pub(in crate::cli) fn left_out(outcome: &Outcome) -> String {
    let hosts: Vec<_> =
        outcome.left_out.iter().map(|left| format!("{} ({})", left.host, left.reason)).collect();
    format!("left out: {}", hosts.join(", "))
}

/// Which hosts nothing was sent to, and why; what to do follows.
pub(in crate::cli) fn untouched(outcome: &Outcome) -> String {
    let hosts: Vec<_> = outcome.untouched.iter().map(Name::as_str).collect();
    let why = outcome.stopped.map(|stopped| format!(", for {stopped}")).unwrap_or_default();
    format!("not touched{why}: {}. This goes on with the rest:", hosts.join(", "))
}
