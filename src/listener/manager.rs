//! How the listener stands, in the sentence that `systemctl status` shows.

use crate::bus::Link;
use crate::jobs::Hold;
use crate::protocol::DeployReport;
use std::collections::BTreeSet;

/// How a listener stands.
pub(super) struct Standing<'a> {
    /// The server, as people may read it.
    pub(super) server: &'a str,
    /// The public half of our key.
    pub(super) key: Option<&'a str>,
    pub(super) link: &'a Link,
    /// The running job.
    pub(super) job: Option<&'a DeployReport>,
    /// Why the host is held.
    pub(super) held: Option<&'a Hold>,
    /// What its operators should know.
    pub(super) warnings: &'a BTreeSet<String>,
}

impl Standing<'_> {
    /// The link, the job, and what is wrong.
    pub(super) fn sentence(&self) -> String {
        let mut parts = vec![self.link.told(self.server, self.key)];
        parts.push(self.job.map_or_else(|| "idle".to_owned(), running));
        parts.extend(self.held.map(|hold| format!("held: {hold}")));
        parts.extend(self.warnings.iter().cloned());
        parts.join("; ")
    }
}

fn running(job: &DeployReport) -> String {
    let action = job.action.as_ref().map_or_else(|| "a job".to_owned(), ToString::to_string);
    let revision = job.revision.as_ref().map(|revision| format!(" {revision}")).unwrap_or_default();
    let issuer = job.issuer.as_ref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
    let phase = job.phases.running().map(|phase| format!(", {}", phase.name)).unwrap_or_default();
    format!("{action}{revision}{issuer}{phase}")
}
