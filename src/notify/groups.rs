//! Groups reports by deployment, and decides when a deployment has ended. A pure fold: the time is an argument.

use crate::fleet::Fleet;
use crate::ordered::CollectOrdered;
use crate::protocol::{Action, DeployReport, Id, Name, RolloutStatus, Status};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long an ended deployment is remembered, longer than hosts repeat its results.
const KEPT: SignedDuration = SignedDuration::from_hours(8 * 24);
/// How long the hosts of an ended deployment are remembered. Hosts send a result again for at most a day.
const HOSTS_KEPT: SignedDuration = SignedDuration::from_hours(2 * 24);
/// The maximum age of a result that a host reports as its last one.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most remembered deployments.
const MAX_GROUPS: usize = 5000;
/// The most rollouts whose last status is remembered.
const MAX_ROLLOUTS: usize = 1000;
/// A rollout without a status for so long sends no further batch.
const ROLLOUT_SILENCE: SignedDuration = SignedDuration::from_secs(60);

/// What is known of a deployment, in addition to its reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeploymentGroup {
    /// When the last report arrived.
    last_report_at: Timestamp,
    /// When the last result arrived.
    last_result_at: Timestamp,
    /// Whether it has ended, as far as is known.
    ended: bool,
    /// Whether its end was notified.
    #[serde(default)]
    is_notified: bool,
    /// The hosts whose results were part of it.
    #[serde(default)]
    hosts: BTreeSet<Name>,
    /// The host whose failure was notified, by target.
    #[serde(default)]
    pub(super) failures: BTreeMap<Name, Name>,
}

impl DeploymentGroup {
    /// Whether the deployment ended so long ago that its hosts are not remembered.
    fn has_forgotten_hosts(&self, now: Timestamp) -> bool {
        self.ended && now.duration_since(self.last_report_at) >= HOSTS_KEPT
    }
}

/// What the process that sends the batches has announced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RolloutProgress {
    is_open: bool,
    hosts: u64,
    /// When the last status arrived, or the first one that it is not open any more.
    at: Timestamp,
}

/// When deployments end.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupTimes {
    /// The pause after the last result.
    pub(super) end_after: SignedDuration,
    /// The pause after the last report, if hosts have no result.
    pub(super) silent_after: SignedDuration,
}

/// The deployments of the fleet.
#[derive(Debug)]
pub(super) struct DeploymentGroups {
    /// The hosts and their reports.
    pub(super) fleet: Fleet,
    groups: BTreeMap<Id, DeploymentGroup>,
    /// The last status of each rollout, which may arrive before its first report.
    rollouts: BTreeMap<Id, RolloutProgress>,
    times: GroupTimes,
    /// Results from before are known or too old.
    since: Timestamp,
}

impl DeploymentGroups {
    /// Continues with the groups and the reports of an earlier process. Results from before `since` are old.
    pub(super) fn new(
        times: GroupTimes,
        since: Timestamp,
        groups: BTreeMap<Id, DeploymentGroup>,
        reports: Vec<DeployReport>,
    ) -> Self {
        let mut all = Self { fleet: Fleet::default(), groups, rollouts: BTreeMap::new(), times, since };
        for report in reports {
            let at = report.id.as_ref().and_then(|id| all.groups.get(id)).map(|group| group.last_report_at);
            if let Some(at) = at {
                all.fleet.apply_report(Arc::new(report), at);
            }
        }
        all
    }

    /// Applies a report. `is_live` is whether the host sent it now, and not as its last known job. Returns the deployment
    /// if the report may be worth a notification at once: it is a new failure.
    pub(super) fn on_report(
        &mut self,
        report: &Arc<DeployReport>,
        is_live: bool,
        now: Timestamp,
    ) -> Option<Id> {
        let id = report.id.clone()?;
        if !report.action.as_ref().is_none_or(Action::creates_job) {
            return None;
        }
        let is_final = report.status.is_final();
        match self.groups.get(&id) {
            Some(group) if group.hosts.contains(&report.hostname) => return None,
            Some(group) if is_final && !is_live && group.has_forgotten_hosts(now) => return None,
            Some(_) => {}
            None if is_final && !is_live && self.is_old(report, now) => return None,
            None => self.make_space(now),
        }
        let had_result = self.has_result(&id, &report.hostname);
        self.fleet.apply_report(report.clone(), now);
        let group = self.groups.entry(id.clone()).or_insert_with(|| DeploymentGroup {
            last_report_at: now,
            last_result_at: now,
            ended: false,
            is_notified: false,
            hosts: BTreeSet::new(),
            failures: BTreeMap::new(),
        });
        group.last_report_at = now;
        if is_final && !had_result {
            group.last_result_at = now;
        }
        // A host that was silent, or a later batch.
        group.ended = false;
        let is_failure = report.status == Status::Failed && !report.is_cancelled();
        (is_failure && !had_result).then_some(id)
    }

    /// Applies the status of a rollout.
    pub(super) fn on_rollout(&mut self, status: &RolloutStatus, now: Timestamp) {
        let (is_open, hosts) = (status.state.is_open(), status.host_count());
        let known = self.rollouts.get(&status.id).filter(|known| !known.is_open && !is_open);
        let at = known.map_or(now, |known| known.at);
        self.rollouts.insert(status.id.clone(), RolloutProgress { is_open, hosts, at });
        if self.rollouts.len() > MAX_ROLLOUTS {
            let oldest = self.rollouts.iter().min_by_key(|(_, rollout)| rollout.at);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.rollouts.remove(&oldest);
            }
        }
    }

    /// Restarts the waiting times of all deployments, because no message could arrive until now.
    pub(super) fn excuse_outage(&mut self, since: Timestamp, now: Timestamp) {
        self.fleet.excuse_outage(since, now);
        for group in self.groups.values_mut().filter(|group| !group.ended) {
            (group.last_report_at, group.last_result_at) = (now, now);
        }
    }

    /// The deployments that have ended by now. Each is returned once, and again if a further host gets a result later.
    pub(super) fn take_ended(&mut self, now: Timestamp) -> Vec<Id> {
        let ended = |id: &Id| self.end_at(id, now).is_some_and(|at| at <= now);
        let mut ids: Vec<_> = self.groups.keys().filter(|id| ended(id)).cloned().collect();
        ids.retain(|id| {
            let hosts = self.hosts_with_result(id);
            let Some(group) = self.groups.get_mut(id) else { return false };
            let is_news = !group.is_notified || !hosts.is_subset(&group.hosts);
            (group.ended, group.is_notified) = (true, true);
            group.hosts.extend(hosts);
            is_news
        });
        ids
    }

    fn hosts_with_result(&self, id: &Id) -> BTreeSet<Name> {
        let deployment = self.fleet.deployments.get(id);
        let has_result = |host: &Name| self.has_result(id, host);
        let hosts = deployment.into_iter().flat_map(|deployment| deployment.hosts.keys());
        hosts.filter(|host| has_result(host)).cloned().collect_set()
    }

    /// When the next deployment may end.
    pub(super) fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.groups.keys().filter_map(|id| self.end_at(id, now)).min()
    }

    /// The number of deployments that have not ended.
    pub(super) fn open_count(&self) -> usize {
        self.groups.values().filter(|group| !group.ended).count()
    }

    /// What is known of a deployment, to record which failure was notified.
    pub(super) fn group_mut(&mut self, id: &Id) -> Option<&mut DeploymentGroup> {
        self.groups.get_mut(id)
    }

    /// The groups, for the state file.
    pub(super) fn groups(&self) -> &BTreeMap<Id, DeploymentGroup> {
        &self.groups
    }

    /// The reports of deployments that have not ended, for the state file.
    pub(super) fn open_reports(&self) -> impl Iterator<Item = &Arc<DeployReport>> {
        let open = self.groups.iter().filter(|(_, group)| !group.ended);
        let deployments = open.filter_map(|(id, _)| self.fleet.deployments.get(id));
        deployments.flat_map(|known| known.hosts.values().flatten().map(|job| &job.report))
    }

    /// When a deployment ends if nothing more arrives; `None` if it has ended.
    fn end_at(&self, id: &Id, now: Timestamp) -> Option<Timestamp> {
        let group = self.groups.get(id).filter(|group| !group.ended)?;
        let after = |at: Timestamp, time| at.checked_add(time).unwrap_or(at);
        let rollout = self.rollouts.get(id);
        if let Some(rollout) = rollout.filter(|rollout| rollout.is_open) {
            let lost_at = after(rollout.at, ROLLOUT_SILENCE);
            if now < lost_at {
                return Some(lost_at);
            }
        }
        // The fleet may have dropped a very old deployment.
        let Some(deployment) = self.fleet.deployments.get(id) else { return Some(now) };
        if !deployment.is_finished() {
            return Some(after(group.last_report_at, self.times.silent_after));
        }
        let count = u64::try_from(deployment.hosts.len()).unwrap_or(u64::MAX);
        let is_complete = rollout.is_some_and(|rollout| !rollout.is_open && count >= rollout.hosts);
        let wait = if is_complete { SignedDuration::ZERO } else { self.times.end_after };
        // The reports of the last batch arrive after the status that it was sent.
        let sent_at = rollout.filter(|rollout| !rollout.is_open).map(|rollout| rollout.at);
        let last = sent_at.map_or(group.last_result_at, |sent_at| sent_at.max(group.last_result_at));
        Some(after(last, wait))
    }

    fn has_result(&self, id: &Id, host: &Name) -> bool {
        let job = self.fleet.deployments.get(id).and_then(|deployment| deployment.job(host));
        job.is_some_and(|job| job.report.status.is_final())
    }

    /// Whether a result is from before this process and its predecessor.
    fn is_old(&self, report: &DeployReport, now: Timestamp) -> bool {
        let since = now.checked_sub(MAX_AGE).map_or(self.since, |oldest| self.since.max(oldest));
        report.at.is_none_or(|at| at < since)
    }

    /// Forgets deployments that ended long ago, and the oldest one if there are too many.
    fn make_space(&mut self, now: Timestamp) {
        if self.groups.len() >= MAX_GROUPS {
            let oldest = self.groups.iter().min_by_key(|(_, group)| (!group.ended, group.last_report_at));
            if let Some((id, at)) = oldest.map(|(id, group)| (id.clone(), group.last_report_at)) {
                self.groups.remove(&id);
                // Otherwise, a host that reports it as its last one would make it a new deployment.
                self.since = self.since.max(at);
            }
        }
        self.groups.retain(|_, group| !group.ended || now.duration_since(group.last_report_at) < KEPT);
        // With thousands of hosts, the state file would become too large.
        for group in self.groups.values_mut().filter(|group| group.has_forgotten_hosts(now)) {
            group.hosts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{BatchRun, ErrorCode, RolloutState};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_323_045 + seconds).unwrap_or_default()
    }

    fn groups() -> DeploymentGroups {
        let seconds = SignedDuration::from_secs;
        let times = GroupTimes { end_after: seconds(10), silent_after: seconds(100) };
        DeploymentGroups::new(times, at(0), BTreeMap::new(), Vec::new())
    }

    fn id(text: &str) -> Id {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn ended(groups: &mut DeploymentGroups, now: Timestamp) -> Vec<String> {
        groups.take_ended(now).iter().map(ToString::to_string).collect()
    }

    fn report(host: &str, status: Status, sent_at: Timestamp) -> Arc<DeployReport> {
        let host = host.parse().unwrap_or_else(|error| panic!("{error}"));
        let mut report = DeployReport::new(host, status, "");
        (report.id, report.at, report.action) = (Some(id("d1")), Some(sent_at), Some(Action::Switch));
        Arc::new(report)
    }

    fn rollout(state: RolloutState, hosts: u64) -> RolloutStatus {
        RolloutStatus {
            id: id("d1"),
            runner: id("r1"),
            seq: 1,
            at: at(0),
            heartbeat_s: 2,
            state,
            reason: None,
            issuer: None,
            action: Action::Switch,
            revision: None,
            commit: None,
            started_at: at(0),
            batches: vec![BatchRun { kind: "batch".to_owned(), hosts: 1, count: hosts }],
            sent_batches: 1,
            failed: 0,
            max_failures: 0,
            next_at: None,
            answer: None,
            first: 0,
            hosts: Vec::new(),
        }
    }

    #[test]
    fn a_deployment_ends_once_some_time_after_its_last_result() {
        let mut groups = groups();
        groups.on_report(&report("web1", Status::Running, at(0)), true, at(0));
        groups.on_report(&report("web2", Status::Running, at(0)), true, at(0));
        groups.on_report(&report("web1", Status::Completed, at(1)), true, at(1));
        assert_eq!(ended(&mut groups, at(50)), [""; 0]);
        groups.on_report(&report("web2", Status::Completed, at(60)), true, at(60));
        // A repeated result does not move the end.
        groups.on_report(&report("web2", Status::Completed, at(60)), true, at(65));
        assert_eq!(ended(&mut groups, at(69)), [""; 0]);
        assert_eq!(groups.next_end(at(69)), Some(at(70)));
        assert_eq!(ended(&mut groups, at(70)), ["d1"]);
        groups.on_report(&report("web2", Status::Completed, at(60)), true, at(80));
        assert_eq!(ended(&mut groups, at(200)), [""; 0]);
        assert_eq!(groups.next_end(at(200)), None);
        // A further host.
        groups.on_report(&report("web3", Status::Completed, at(300)), true, at(300));
        assert_eq!(ended(&mut groups, at(310)), ["d1"]);
    }

    #[test]
    fn a_deployment_with_silent_hosts_ends_later() {
        let mut groups = groups();
        groups.on_report(&report("web1", Status::Running, at(0)), true, at(0));
        assert_eq!(ended(&mut groups, at(99)), [""; 0]);
        groups.excuse_outage(at(90), at(110));
        assert_eq!(ended(&mut groups, at(209)), [""; 0]);
        assert_eq!(ended(&mut groups, at(210)), ["d1"]);
        // A heartbeat is not news, but a result is.
        groups.on_report(&report("web1", Status::Running, at(220)), true, at(220));
        assert_eq!(ended(&mut groups, at(321)), [""; 0]);
        groups.on_report(&report("web1", Status::Completed, at(400)), true, at(400));
        assert_eq!(ended(&mut groups, at(410)), ["d1"]);
    }

    #[test]
    fn a_rollout_with_unsent_batches_has_not_ended() {
        let mut groups = groups();
        // A status may arrive before the reports.
        groups.on_rollout(&rollout(RolloutState::Running, 2), at(0));
        groups.on_report(&report("web1", Status::Completed, at(0)), true, at(0));
        assert_eq!(ended(&mut groups, at(49)), [""; 0]);
        groups.on_rollout(&rollout(RolloutState::Running, 2), at(50));
        assert_eq!(ended(&mut groups, at(100)), [""; 0]);
        // The last batch was sent, but no host has reported.
        groups.on_rollout(&rollout(RolloutState::Done, 2), at(105));
        assert_eq!(ended(&mut groups, at(105)), [""; 0]);
        groups.on_report(&report("web2", Status::Completed, at(106)), true, at(106));
        assert_eq!(ended(&mut groups, at(106)), ["d1"]);
    }

    #[test]
    fn the_runner_of_a_rollout_may_die() {
        let mut groups = groups();
        groups.on_report(&report("web1", Status::Completed, at(0)), true, at(0));
        groups.on_rollout(&rollout(RolloutState::Paused, 2), at(0));
        assert_eq!(ended(&mut groups, at(59)), [""; 0]);
        assert_eq!(ended(&mut groups, at(60)), ["d1"]);
    }

    #[test]
    fn only_the_first_report_of_a_failure_is_new() {
        let mut groups = groups();
        let failed = report("web1", Status::Failed, at(1));
        assert_eq!(groups.on_report(&failed, true, at(1)), Some(id("d1")));
        assert_eq!(groups.on_report(&failed, true, at(2)), None);
        let mut cancelled = (*report("web2", Status::Failed, at(3))).clone();
        cancelled.error = Some(ErrorCode::Cancelled);
        assert_eq!(groups.on_report(&Arc::new(cancelled), true, at(3)), None);
        let mut hold = (*report("web3", Status::Failed, at(3))).clone();
        hold.action = Some(Action::Hold);
        assert_eq!(groups.on_report(&Arc::new(hold), true, at(3)), None);
        assert_eq!(groups.open_count(), 1);
    }

    #[test]
    fn old_results_are_no_news() {
        let mut groups = groups();
        groups.on_report(&report("web1", Status::Failed, at(-1)), false, at(5));
        assert_eq!(groups.open_count(), 0);
        // The clock of a host may be wrong, but it sends this result now.
        groups.on_report(&report("web1", Status::Failed, at(-1)), true, at(5));
        assert_eq!(groups.open_count(), 1);
        assert_eq!(ended(&mut groups, at(15)), ["d1"]);
        // Three days later, its hosts are forgotten, and still report it as their last job.
        let later = at(3 * 86400);
        let mut other = (*report("web9", Status::Completed, later)).clone();
        other.id = Some(id("d3"));
        groups.on_report(&Arc::new(other), true, later);
        assert!(groups.groups()[&id("d1")].hosts.is_empty());
        groups.on_report(&report("web1", Status::Failed, at(6)), false, later);
        assert_eq!(ended(&mut groups, at(3 * 86400 + 60)), ["d3"]);
        // Ten days later, the deployment is forgotten, but not news.
        let later = at(10 * 86400);
        let mut other = (*report("web9", Status::Running, later)).clone();
        other.id = Some(id("d2"));
        groups.on_report(&Arc::new(other), true, later);
        groups.on_report(&report("web1", Status::Failed, at(1)), false, later);
        assert_eq!(groups.groups().keys().collect::<Vec<_>>(), [&id("d2"), &id("d3")]);
    }

    #[test]
    fn a_restart_continues_open_deployments_and_repeats_no_ended_one() {
        let mut before = groups();
        before.on_report(&report("web1", Status::Completed, at(1)), true, at(1));
        before.on_report(&report("web2", Status::Running, at(1)), true, at(1));
        let reports: Vec<_> = before.open_reports().map(|report| (**report).clone()).collect();
        assert_eq!(reports.len(), 2);
        let times = before.times;
        let mut after = DeploymentGroups::new(times, at(100), before.groups().clone(), reports);
        after.on_report(&report("web2", Status::Completed, at(120)), false, at(120));
        assert_eq!(ended(&mut after, at(130)), ["d1"]);
        assert_eq!(after.fleet.deployments[&id("d1")].counts.completed, 2);
        let mut last = DeploymentGroups::new(times, at(200), after.groups().clone(), Vec::new());
        last.on_report(&report("web2", Status::Completed, at(120)), false, at(201));
        last.on_report(&report("web1", Status::Completed, at(1)), true, at(201));
        assert_eq!(last.open_count(), 0);
    }
}
