//! How a deployment ended, per host.

use super::{LeftOutReason, Plan, StopReason};
use crate::fleet::Fleet;
use crate::protocol::{DeployReport, Id, Name, Status};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use strum::{IntoStaticStr, VariantArray};

/// How a deployment ended on one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum ResultKind {
    /// The job completed.
    Completed,
    /// The job started and failed.
    Failed,
    /// The host rejected the request.
    Rejected,
    /// The job was still running, or the host stopped replying during the job. The result is unknown.
    Unknown,
    /// The host never replied.
    Silent,
}

/// The result of one host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostResult {
    /// Hostname.
    pub host: Name,
    /// Random instance id, set if two hosts have the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// How the job ended.
    pub result: ResultKind,
    /// When the host was last seen, by our clock.
    pub last_seen: Option<Timestamp>,
    /// The last report of the job.
    pub report: Option<Arc<DeployReport>>,
}

/// A host of a group that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOutHost {
    /// Hostname.
    pub host: Name,
    /// Why it is left out.
    pub reason: String,
    /// Whether the server refused the request to it.
    #[serde(skip)]
    pub is_denied: bool,
}

impl HostResult {
    fn silent(host: &Name, last_seen: Option<Timestamp>) -> Self {
        Self { host: host.clone(), instance: None, result: ResultKind::Silent, last_seen, report: None }
    }
}

impl LeftOutHost {
    pub(super) fn new(host: &Name, reason: &LeftOutReason) -> Self {
        let is_denied = matches!(reason, LeftOutReason::Denied(_));
        Self { host: host.clone(), reason: reason.to_string(), is_denied }
    }
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentSummary {
    /// Id of the deployment.
    pub id: Id,
    /// Each host that received a request, by name.
    pub hosts: Vec<HostResult>,
    /// Hosts of batches that were not started because the rollout stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_started: Vec<Name>,
    /// Why the rollout stopped, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StopReason>,
    /// Hosts that were left out because the builder has not built them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_built: Vec<Name>,
    /// Hosts of a group that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutHost>,
}

impl ResultKind {
    /// The result in a report; `Unknown` if the report is not final.
    pub(super) fn of(report: &DeployReport) -> Self {
        match report.status {
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Rejected => Self::Rejected,
            _ => Self::Unknown,
        }
    }

    /// The exit code; the first that applies: 1 failed, 4 timed out, 3 silent or no hosts, 0 completed.
    pub(super) fn exit_code(results: impl Iterator<Item = Self>) -> u8 {
        let results: Vec<_> = results.collect();
        let any = |kinds: &[Self]| results.iter().any(|result| kinds.contains(result));
        if any(&[Self::Failed, Self::Rejected]) {
            1
        } else if any(&[Self::Unknown]) {
            4
        } else if any(&[Self::Silent]) || results.is_empty() {
            3
        } else {
            0
        }
    }

    /// The result as in JSON output.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl DeploymentSummary {
    /// A summary of these hosts, with none left out.
    pub fn new(id: Id, hosts: Vec<HostResult>) -> Self {
        Self {
            id,
            hosts,
            not_started: Vec::new(),
            stopped: None,
            not_built: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// The hosts of each result that occurs.
    pub fn by_result(&self) -> impl Iterator<Item = (ResultKind, Vec<&HostResult>)> {
        let hosts = |kind| self.hosts.iter().filter(move |host| host.result == kind).collect();
        let all = ResultKind::VARIANTS.iter().map(move |kind| (*kind, hosts(*kind)));
        all.filter(|(_, hosts): &(_, Vec<_>)| !hosts.is_empty())
    }

    /// The state of a deployment. `jobs` has the id of the last request to each host that was sent one.
    pub(super) fn of(
        plan: &Plan,
        fleet: &Fleet,
        jobs: &BTreeMap<&Name, &Id>,
        stopped: Option<StopReason>,
    ) -> Self {
        let mut hosts = Vec::new();
        for (host, id) in jobs {
            let last_seen = fleet.hosts.get(*host).and_then(|host| host.last_seen);
            let jobs = fleet.deployments.get(*id).and_then(|deployment| deployment.hosts.get(*host));
            let jobs = jobs.map(Vec::as_slice).unwrap_or_default();
            if jobs.is_empty() {
                hosts.push(HostResult::silent(host, last_seen));
            }
            for job in jobs {
                hosts.push(HostResult {
                    host: (*host).clone(),
                    instance: job.report.instance.clone().filter(|_| jobs.len() > 1).map(Into::into),
                    result: ResultKind::of(&job.report),
                    last_seen,
                    report: Some(job.report.clone()),
                });
            }
        }
        // Expected hosts that were silent, so that nothing was sent to them.
        let not_started = plan.not_started();
        let left_out = |host: &Name| plan.left_out.contains_key(host);
        let unsent =
            |host: &&Name| !jobs.contains_key(*host) && !left_out(host) && !not_started.contains(host);
        for (host, last_seen) in plan.silent.iter().filter(|(host, _)| unsent(host)) {
            hosts.push(HostResult::silent(host, *last_seen));
        }
        let not_built = plan.not_built.iter().cloned().collect();
        let left_out = plan.left_out.iter();
        let left_out = left_out.map(|(host, reason)| LeftOutHost::new(host, reason)).collect();
        Self { id: plan.id.clone(), hosts, not_started, stopped, not_built, left_out }
    }

    /// The exit code; the first that applies: 5 refused by the server, 1 failed, 4 timed out, 3 silent, 0 completed.
    pub fn exit_code(&self) -> u8 {
        if self.left_out.iter().any(|left_out| left_out.is_denied) {
            return 5;
        }
        // Hosts that were not built count as failed.
        let not_built = self.not_built.iter().map(|_| ResultKind::Failed);
        let left_out = self.left_out.iter().map(|_| ResultKind::Rejected);
        ResultKind::exit_code(self.hosts.iter().map(|host| host.result).chain(not_built).chain(left_out))
    }
}
