//! Requests that were lost on the way, because a connection ended at that moment.

use super::Follow;
use super::target::SILENCE;
use crate::bus::LinkError;
use crate::deployer::DeployError;
use crate::protocol::{Name, Status};
use jiff::{SignedDuration, Timestamp};

/// A host that answered so recently when it was sent to is there, whatever the server says.
const HEARD: SignedDuration = SignedDuration::from_secs(15);

impl Follow {
    /// A host knows nothing of its job. If it has not reported more than that it was accepted, the request never came or was
    /// lost with its listener before it was on disk, and is sent again under the same id: a host that did get it only says how
    /// the job stands.
    pub(super) async fn on_unknown(&mut self, host: &Name) -> Result<(), DeployError> {
        let Some(target) = self.targets.get_mut(host) else { return Ok(()) };
        let job = self.fleet.deployments.get(&target.id);
        let reports = job.and_then(|job| job.hosts.get(host)).into_iter().flatten();
        if reports.into_iter().any(|known| known.report.status != Status::Accepted) {
            return Ok(());
        }
        let Some(parcel) = target.may_resend() else { return Ok(()) };
        let id = target.id.clone();
        let Some(subject) = self.subject_of(host, parcel) else { return Ok(()) };
        match self.post(&subject, &self.plan.parcels[parcel], &id, SignedDuration::ZERO).await {
            // It is asked again once the link is back.
            Ok(()) | Err(LinkError::Down { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a host that was sent to is certainly there: it answered a moment ago, so its listener is about to subscribe
    /// again, also if the server says that no one listens.
    pub(super) fn is_one_there(&self) -> bool {
        let heard = |host: &Name| {
            let seen = self.fleet.hosts.get(host).and_then(|host| host.seen);
            seen.is_some_and(|seen| Timestamp::now().duration_since(seen) < HEARD)
        };
        self.targets.iter().any(|(host, target)| {
            target.sent_elapsed() < SILENCE && !self.plan.silent.contains_key(host) && heard(host)
        })
    }
}
