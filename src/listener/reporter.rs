//! Stamps and publishes what this listener says.

use super::Config;
use crate::activation::Probe;
use crate::bus::{Bus, LinkError};
use crate::jobs::{Identity, Sequence, now};
use crate::protocol::{
    Answer, BadRequest, DeployReport, DeployRequest, ErrorCode, Id, LogLine, Name, ReplyTo, Status, of_log,
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
    pub(super) async fn send(&self, to: &ReplyTo, report: &DeployReport) -> Result<(), LinkError> {
        let sent = self.bus.publish(&to.to_string(), report.encode()).await;
        if let Err(error) = &sent {
            tracing::debug!(id = report.id.as_ref().map(Id::as_str), %error, "a report did not go out");
        }
        sent
    }

    /// Publishes an answer. While the link is down it is let go: whoever asked asks again.
    pub(super) async fn answer(&self, to: &ReplyTo, answer: &Answer) {
        let _ = self.bus.publish(&to.to_string(), answer.encode()).await;
    }

    /// Publishes a piece of a job's log.
    pub(super) async fn log(&self, id: &Id, offset: u64, text: String) {
        let line = LogLine { id: id.clone(), hostname: self.hostname.clone(), offset, text };
        // The log lies on disk for whoever missed it.
        let _ = self.bus.publish(&of_log(id, &self.hostname), line.encode()).await;
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
