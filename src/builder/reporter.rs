//! Stamps and publishes what the builder says.

use super::inbox::BadRequest;
use super::record::Record;
use super::report;
use crate::bus::{Bus, LinkError};
use crate::jobs::{Sequence, now};
use crate::protocol::{BuildReport, BuildStatus, Id, of_build_report};
use std::time::Duration;

/// How long the server may take to have read what was sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// The voice of the builder.
#[derive(Clone)]
pub(super) struct Reporter {
    bus: Bus,
    sequence: Sequence,
}

impl Reporter {
    pub(super) fn new(bus: Bus, starts: u64) -> Self {
        Self { bus, sequence: Sequence::new(starts) }
    }

    /// Gives the report its place among all reports.
    pub(super) fn stamp(&self, report: &mut BuildReport) {
        report.seq = Some(self.sequence.next());
        report.at = Some(now());
    }

    /// Notes in words how an order stands that is not built yet.
    pub(super) fn change(&self, record: &mut Record, message: &str) {
        record.report = report::plain(record, BuildStatus::Progress, message);
        self.stamp(&mut record.report);
    }

    /// A refusal of something that is no request.
    pub(super) fn refusal(&self, bad: &BadRequest) -> BuildReport {
        let mut report = BuildReport::new(bad.target.as_str(), BuildStatus::Rejected, bad.message.as_str());
        report.error = Some(bad.code.clone());
        report.id.clone_from(&bad.id);
        self.stamp(&mut report);
        report
    }

    /// Publishes a report. While the link is down it is let go: a build will speak again, and a verdict is kept on disk.
    pub(super) async fn send(&self, to: &Id, report: &BuildReport) -> Result<(), LinkError> {
        let sent = self.bus.publish(&of_build_report(to), report.encode()).await;
        if let Err(error) = &sent {
            tracing::debug!(id = report.id.as_ref().map(Id::as_str), %error, "a report did not go out");
        }
        sent
    }

    /// Waits until the server has read all that was sent.
    pub(super) async fn arrived(&self) -> bool {
        self.bus.ping(PATIENCE).await.is_ok()
    }
}
