//! Stamps and publishes the messages of this listener.

use super::ListenerConfig;
use crate::activation::Probe;
use crate::clock::now;
use crate::jobs::{CachedJob, report_span};
use crate::nats::{Client, NatsError};
use crate::protocol::{
    DeployReport, DeployRequest, Destination, ErrorCode, Id, LogLine, Name, PRESENCE, Presence, Purpose,
    QueryReply, RejectedRequest, Status, log_subject,
};
use crate::service::{FinalReport, wait_acknowledged};
use crate::state_dir::{Sequence, ServiceIdentity};
use futures_util::FutureExt;
use std::time::Duration;

/// Publishes reports, replies and presence messages.
#[derive(Clone)]
pub(super) struct ListenerReporter {
    nats: Client,
    hostname: Name,
    tier: Name,
    role: Option<Name>,
    instance: String,
    heartbeat: Duration,
    sequence: Sequence,
}

impl ListenerReporter {
    pub(super) fn new(nats: Client, config: &ListenerConfig, identity: &ServiceIdentity) -> Self {
        Self {
            nats,
            hostname: config.hostname.clone(),
            tier: config.tier.clone(),
            role: config.role.clone(),
            instance: identity.instance.clone(),
            heartbeat: config.heartbeat,
            sequence: Sequence::new(identity),
        }
    }

    /// A report about a request.
    pub(super) fn report_on(&self, request: &DeployRequest, status: Status, message: &str) -> DeployReport {
        let mut report = DeployReport::new(self.hostname.clone(), status, message);
        report.id = Some(request.id.clone());
        report.action = Some(request.action.clone());
        report.revision = request.revision.as_ref().map(|revision| revision.as_str().into());
        report.issuer = request.issuer.as_deref().map(Into::into);
        self.set_origin(&mut report);
        report
    }

    /// A rejection of a message that is not a valid request.
    pub(super) fn bad_request_report(&self, bad: &RejectedRequest) -> DeployReport {
        let mut report = DeployReport::new(self.hostname.clone(), Status::Rejected, bad.message.clone());
        report.error = Some(bad.code.clone());
        report.id.clone_from(&bad.id);
        report.action.clone_from(&bad.action);
        self.set_origin(&mut report);
        report
    }

    /// A rejection of a request.
    pub(super) fn rejection_report(
        &self,
        request: &DeployRequest,
        code: ErrorCode,
        message: &str,
    ) -> DeployReport {
        let mut report = self.report_on(request, Status::Rejected, message);
        report.error = Some(code);
        report
    }

    fn set_origin(&self, report: &mut DeployReport) {
        report.tier = Some(self.tier.clone());
        report.role.clone_from(&self.role);
        report.instance = Some(self.instance.as_str().into());
        report.heartbeat_s = Some(self.heartbeat.as_secs());
        self.stamp(report);
    }

    /// Sets the sequence number and time of the report.
    pub(super) fn stamp(&self, report: &mut DeployReport) {
        report.seq = Some(self.sequence.next());
        report.at = Some(now());
    }

    /// Publishes a report. If the connection is down it is dropped: a running job sends another report, and a result is
    /// stored on disk.
    pub(super) async fn send_report(&self, to: &Destination, report: &DeployReport) -> Result<(), NatsError> {
        let payload = self.encode(report);
        let sent =
            self.nats.publish_signed(Purpose::Report, &to.subject(&self.hostname), None, payload).await;
        if let Err(error) = &sent {
            tracing::debug!(%error, "failed to publish a report");
        }
        sent
    }

    /// The result of a job, for its delivery.
    pub(super) fn final_report(&self, id: Id, job: &CachedJob) -> FinalReport {
        FinalReport {
            id,
            subject: job.destination.subject(&self.hostname),
            payload: self.encode(&job.report),
            purpose: Some(Purpose::Report),
            span: report_span(&job.report),
        }
    }

    fn encode(&self, report: &DeployReport) -> Vec<u8> {
        let payload = report.encode();
        if payload.len() > self.nats.max_message_size() { report.brief().encode() } else { payload }
    }

    /// Publishes a reply. If the connection is down it is dropped, because clients repeat their queries.
    pub(super) async fn send_reply(&self, to: &Destination, reply: &QueryReply) {
        let subject = to.subject(&self.hostname);
        // The subject determines the purpose: older operators receive replies on the subject for reports.
        let purpose = Purpose::of_response(&subject);
        let _ = self.nats.publish_signed(purpose, &subject, None, reply.encode()).await;
    }

    /// Announces this host on `nats`. The caller may ignore errors, because a new connection announces the host again.
    pub(super) async fn announce(nats: &Client, presence: &Presence) -> Result<(), NatsError> {
        nats.publish_signed(Purpose::Presence, PRESENCE, None, presence.encode()).await
    }

    /// The next sequence number of this host.
    pub(super) fn next_seq(&self) -> u64 {
        self.sequence.next()
    }

    /// Publishes a piece of a job's log.
    pub(super) async fn send_log(&self, id: &Id, offset: u64, text: String) {
        let line = LogLine { id: id.clone(), hostname: self.hostname.clone(), offset, text };
        // Readers that miss a piece query the log on disk.
        let subject = log_subject(id, &self.hostname);
        let _ = self.nats.publish_signed(Purpose::Log, &subject, None, line.encode()).await;
    }

    /// Waits until all published messages have left this process.
    pub(super) async fn flush(&self) {
        self.nats.flush().await;
    }

    /// A probe that tests whether the server still responds.
    pub(super) fn reachability_probe(&self) -> Probe<bool> {
        let nats = self.nats.clone();
        Probe::new(move || {
            let nats = nats.clone();
            async move { wait_acknowledged(&nats).await }.boxed()
        })
    }
}
