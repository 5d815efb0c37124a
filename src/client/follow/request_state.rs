//! The states of the requests that were sent, on which the next batch depends.

use super::DeploymentFollower;
use crate::client::{RequestState, ResultKind};
use crate::fleet::HostJob;
use crate::protocol::Name;

impl DeploymentFollower {
    /// The state of a request that was sent.
    pub(super) fn request_state(&self, request: usize) -> RequestState {
        let states = self.plan.requests[request].hosts.keys().map(|host| self.host_state(host, request));
        states
            .max_by_key(|state| match state {
                RequestState::Passed => 0,
                RequestState::Cancelled => 1,
                RequestState::Failed => 2,
                RequestState::Pending => 3,
            })
            .unwrap_or(RequestState::Passed)
    }

    fn host_state(&self, host: &Name, request: usize) -> RequestState {
        let Some(tracked) = self.tracked_hosts.get(host) else { return RequestState::Passed };
        if request >= self.expired_requests && !self.is_settled(host, tracked) {
            return RequestState::Pending;
        }
        let deployment = self.fleet.deployments.get(&tracked.id);
        let Some(jobs) = deployment.and_then(|deployment| deployment.hosts.get(host)) else {
            // A host that was known to be offline is not a failure; one that has just vanished is.
            let was_silent = !tracked.is_refused && self.plan.silent.contains_key(host);
            return if was_silent { RequestState::Passed } else { RequestState::Failed };
        };
        let is_completed = |job: &HostJob| ResultKind::of(&job.report) == ResultKind::Completed;
        if jobs.iter().all(is_completed) {
            RequestState::Passed
        } else if jobs.iter().all(|job| is_completed(job) || job.report.is_cancelled()) {
            RequestState::Cancelled
        } else {
            RequestState::Failed
        }
    }
}
