//! Numbers and publishes the builder's reports.

use super::record::{BuildRecord, new_report};
use super::subscriptions::UnreadableRequest;
use crate::clock::now;
use crate::nats::{Client, NatsError};
use crate::protocol::{BuildReport, BuildStatus, Id, MAX_ENCODED, build_report_subject};
use crate::service::FinalReport;
use crate::state_dir::{Sequence, ServiceIdentity};

/// Publishes reports with increasing sequence numbers.
#[derive(Clone)]
pub(super) struct BuildReporter {
    nats: Client,
    sequence: Sequence,
}

impl BuildReporter {
    pub(super) fn new(nats: Client, identity: &ServiceIdentity) -> Self {
        Self { nats, sequence: Sequence::new(identity) }
    }

    /// Sets the sequence number and time of a report.
    pub(super) fn stamp(&self, report: &mut BuildReport) {
        report.seq = Some(self.sequence.next());
        report.at = Some(now());
    }

    /// Sets the progress message of a job that has not been built yet.
    pub(super) fn set_progress(&self, record: &mut BuildRecord, message: &str) {
        record.report = new_report(record, BuildStatus::Progress, message);
        self.stamp(&mut record.report);
    }

    /// A final report for a request that could not be read.
    pub(super) fn rejection(&self, request: &UnreadableRequest) -> BuildReport {
        let mut report =
            BuildReport::new(request.target.as_str(), BuildStatus::Rejected, request.message.as_str());
        report.error = Some(request.code.clone());
        report.id.clone_from(&request.id);
        self.stamp(&mut report);
        report
    }

    /// Publishes a report. While disconnected, the report is dropped: a running build reports again, and results are on
    /// disk.
    pub(super) async fn send(&self, to: &Id, report: &BuildReport) -> Result<(), NatsError> {
        let result = self.nats.publish(&build_report_subject(to), self.encode(report)).await;
        if let Err(error) = &result {
            tracing::debug!(id = report.id.as_ref().map(Id::as_str), %error, "failed to send report");
        }
        result
    }

    /// The result of a job, for its delivery.
    pub(super) fn final_report(&self, record: &BuildRecord) -> FinalReport {
        FinalReport {
            id: record.id.clone(),
            subject: build_report_subject(&record.reply_to),
            payload: self.encode(&record.report),
            purpose: None,
            span: record.span(),
        }
    }

    fn encode(&self, report: &BuildReport) -> Vec<u8> {
        report.encode_within(MAX_ENCODED.min(self.nats.max_message_size()))
    }
}
