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
        let jobs = deployment.and_then(|deployment| deployment.hosts.get(host));
        let is_open = |job: &&HostJob| ResultKind::of(&job.report) != ResultKind::Completed;
        match jobs.map(|jobs| jobs.iter().filter(is_open).all(|job| job.report.is_cancelled())) {
            Some(false) => RequestState::Failed,
            Some(true) if jobs.into_iter().flatten().any(|job| job.report.is_cancelled()) => {
                RequestState::Cancelled
            }
            Some(true) => RequestState::Passed,
            // A host that was known to be offline is not a failure; one that has just vanished is.
            None if !tracked.is_refused && self.plan.silent.contains_key(host) => RequestState::Passed,
            None => RequestState::Failed,
        }
    }
}
