//! Stamps and publishes what this listener says.

use super::Config;
use crate::activation::Probe;
use crate::bus::{Bus, LinkError};
use crate::jobs::{Identity, Sequence, now};
use crate::protocol::{
    Answer, BadRequest, DeployReport, DeployRequest, Destination, ErrorCode, HostAnswer, Id, LogLine, Name,
    PRESENCE, Purpose, Status, of_log,
};
use futures_util::FutureExt;
use std::time::Duration;

/// The voice of one listener.
#[derive(Clone)]
pub(super) struct Reporter {
    bus: Bus,
    hostname: Name,
    tier: Name,
    role: Option<Name>,
    instance: String,
    heartbeat: Duration,
    sequence: Sequence,
}

impl Reporter {
    pub(super) fn new(bus: Bus, config: &Config, identity: &Identity) -> Self {
        Self {
            bus,
            hostname: config.hostname.clone(),
            tier: config.tier.clone(),
            role: config.role.clone(),
            instance: identity.instance.clone(),
            heartbeat: config.heartbeat,
            sequence: Sequence::new(identity.starts),
        }
    }

    /// A report about a request, unstamped.
    pub(super) fn about(&self, request: &DeployRequest, status: Status, message: &str) -> DeployReport {
        let mut report = DeployReport::new(self.hostname.clone(), status, message);
        report.id = Some(request.id.clone());
        report.action = Some(request.action.clone());
        report.revision = request.revision.as_ref().map(|revision| revision.as_str().into());
        report.issuer = request.issuer.as_deref().map(Into::into);
        self.sign(&mut report);
        report
    }

    /// A refusal of something that is no request.
    pub(super) fn refusal(&self, bad: &BadRequest) -> DeployReport {
        let mut report = DeployReport::new(self.hostname.clone(), Status::Rejected, bad.message.clone());
        report.error = Some(bad.code.clone());
        report.id.clone_from(&bad.id);
        report.action.clone_from(&bad.action);
        self.sign(&mut report);
        report
    }

    /// A refusal of a request.
    pub(super) fn rejection(&self, request: &DeployRequest, code: ErrorCode, message: &str) -> DeployReport {
        let mut report = self.about(request, Status::Rejected, message);
        report.error = Some(code);
        report
    }

    fn sign(&self, report: &mut DeployReport) {
        report.tier = Some(self.tier.clone());
        report.role.clone_from(&self.role);
        report.instance = Some(self.instance.as_str().into());
        report.heartbeat_s = Some(self.heartbeat.as_secs());
        self.stamp(report);
    }

    /// Gives the report its place among this host's reports.
    pub(super) fn stamp(&self, report: &mut DeployReport) {
        report.seq = Some(self.sequence.next());
        report.at = Some(now());
    }

    /// Publishes a report. While the link is down it is let go: a running job will speak again, and a verdict is kept
    /// on disk.
    pub(super) async fn send(&self, to: &Destination, report: &DeployReport) -> Result<(), LinkError> {
        let subject = to.subject(&self.hostname);
        let mut payload = report.encode();
        if self.bus.room().is_some_and(|room| payload.len() > room) {
            payload = report.brief().encode();
        }
        let sent = self.bus.publish_signed(Purpose::Report, &subject, None, payload).await;
        if let Err(error) = &sent {
            tracing::debug!(id = report.id.as_ref().map(Id::as_str), %error, "a report did not go out");
        }
        sent
    }

    /// Publishes an answer. While the link is down it is let go: whoever asked asks again.
    pub(super) async fn answer(&self, to: &Destination, answer: &Answer) {
        let subject = to.subject(&self.hostname);
        // Who signs what is decided by the subject: an older operator has replies come where reports go.
        let purpose = Purpose::of_response(&subject);
        let _ = self.bus.publish_signed(purpose, &subject, None, answer.encode()).await;
    }

    /// Announces this host on `bus`. While the link is down nobody can hear it; coming up announces again.
    pub(super) async fn announce(bus: &Bus, answer: &HostAnswer) -> Result<(), LinkError> {
        bus.publish_signed(Purpose::Presence, PRESENCE, None, answer.encode()).await
    }

    /// The next place among this host's messages.
    pub(super) fn next_seq(&self) -> u64 {
        self.sequence.next()
    }

    /// Publishes a piece of a job's log.
    pub(super) async fn log(&self, id: &Id, offset: u64, text: String) {
        let line = LogLine { id: id.clone(), hostname: self.hostname.clone(), offset, text };
        // The log lies on disk for whoever missed it.
        let subject = of_log(id, &self.hostname);
        let _ = self.bus.publish_signed(Purpose::Log, &subject, None, line.encode()).await;
    }

    /// Waits until what was said has left this process.
    pub(super) async fn left(&self) {
        self.bus.flush().await;
    }

    /// Asks the server whether it still hears us.
    pub(super) fn reachable(&self) -> Probe<bool> {
        let bus = self.bus.clone();
        Probe::new(move || {
            let bus = bus.clone();
            async move { bus.ping(Duration::from_secs(10)).await.is_ok() }.boxed()
        })
    }

    /// Waits until the server has read all that was sent.
    pub(super) async fn arrived(&self) -> bool {
        self.bus.ping(Duration::from_secs(10)).await.is_ok()
    }
}
