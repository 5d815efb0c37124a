//! What the operator should know before a form is sent: hosts that already run the commit, that failed, or that are held.

use crate::client::Plan;
use crate::fleet::{Fleet, Host};
use crate::protocol::{Name, Status};
use crate::text::format;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a host of a form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate note")]
pub(super) struct HostNotes {
    /// It runs the commit that the form would deploy.
    pub(super) runs_it: bool,
    /// The last job that changed it failed.
    pub(super) has_failed: bool,
    /// It refuses deployments until it is released.
    pub(super) is_held: bool,
    /// It must reboot to run all of its system.
    pub(super) needs_reboot: bool,
}

impl HostNotes {
    /// The notes of a host, if the form would deploy one of `commits`.
    pub(super) fn of(host: &Host, commits: &BTreeSet<String>) -> Self {
        let answer = host.answer.as_deref();
        let commit = answer.and_then(|answer| answer.commit.as_deref());
        Self {
            runs_it: commit.is_some_and(|commit| commits.contains(commit)),
            has_failed: host.has_failed(),
            is_held: answer.is_some_and(|answer| answer.held.is_some()),
            needs_reboot: answer.is_some_and(|answer| answer.reboot_needed == Some(true)),
        }
    }

    /// In words; empty if there is nothing to know.
    pub(super) fn words(self) -> Vec<&'static str> {
        let words = [
            (self.is_held, "held"),
            (self.has_failed, "failed last time"),
            (self.runs_it, "runs it already"),
            (self.needs_reboot, "needs a reboot"),
        ];
        words.into_iter().filter_map(|(applies, word)| applies.then_some(word)).collect()
    }
}

/// `6 hosts: test 4, prod 2; 1 runs it already, 1 failed last time`
pub(super) fn summary(plan: &Plan, fleet: &Fleet, commits: &BTreeSet<String>) -> String {
    let (mut tiers, mut notes): (BTreeMap<&Name, usize>, BTreeMap<&str, usize>) = Default::default();
    let hosts = plan.hosts();
    for (host, tier) in &hosts {
        *tiers.entry(*tier).or_default() += 1;
        for word in
            fleet.hosts.get(*host).map(|host| HostNotes::of(host, commits).words()).unwrap_or_default()
        {
            *notes.entry(word).or_default() += 1;
        }
    }
    let tiers: Vec<_> = tiers.into_iter().map(|(tier, count)| format!("{tier} {count}")).collect();
    let notes: Vec<_> =
        notes.into_iter().map(|(word, count)| format!("{count} {}", plural(word, count))).collect();
    let notes = if notes.is_empty() { String::new() } else { format!("; {}", notes.join(", ")) };
    format!("{}: {}{notes}", format::count(hosts.len(), "host"), tiers.join(", "))
}

fn plural(word: &str, count: usize) -> &str {
    match (word, count) {
        ("runs it already", 2..) => "run it already",
        ("needs a reboot", 2..) => "need a reboot",
        _ => word,
    }
}

/// `completed on 3 hosts, failed on 1`; empty if no deployment of the commit is known.
pub(super) fn results_of(commit: &str, fleet: &Fleet) -> String {
    let (mut completed, mut failed) = (BTreeSet::new(), BTreeSet::new());
    let of_commit = |deployment: &&crate::fleet::Deployment| deployment.commit.as_deref() == Some(commit);
    for deployment in fleet.deployments.values().filter(of_commit) {
        for (host, jobs) in &deployment.hosts {
            for job in jobs.iter().filter(|job| job.report.action.as_ref().is_some_and(changes)) {
                match job.report.status {
                    Status::Completed => drop(completed.insert(host)),
                    Status::Failed => drop(failed.insert(host)),
                    _ => {}
                }
            }
        }
    }
    let part =
        |verb: &str, hosts: usize| (hosts > 0).then(|| format!("{verb} on {}", format::count(hosts, "host")));
    let parts: Vec<_> =
        [part("completed", completed.len()), part("failed", failed.len())].into_iter().flatten().collect();
    parts.join(", ")
}

fn changes(action: &crate::protocol::Action) -> bool {
    use crate::protocol::Action::{Boot, Switch, Test};
    matches!(action, Switch | Boot | Test)
}
