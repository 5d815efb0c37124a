//! What the tools tell, as structures with schemas. Absent means that it is not known, or that there is none. Whatever
//! came over the wire is made harmless first.

mod host;
mod job;

pub(super) use host::HostView;
pub(super) use job::{JobView, last_lines};

use crate::deployer::HostResult;
use crate::protocol::printable;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The hosts of the fleet.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FleetView {
    /// Every host that answers or was seen before, by name.
    pub(super) hosts: Vec<HostView>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

/// How a host and its job stand.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatusView {
    /// The host.
    pub(super) host: HostView,
    /// Whether the job goes on.
    pub(super) running: bool,
    /// The job that was asked for, or the running or else the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<JobView>,
}

/// How a deployment went.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DeploymentView {
    /// Its id; host_status, host_logs and host_history know it.
    pub(super) deployment: String,
    /// The tier of its hosts.
    pub(super) tier: String,
    /// What was to be done.
    pub(super) action: String,
    /// What was deployed: the branch, tag or commit that was asked for.
    pub(super) branch: String,
    /// Whether every host completed.
    pub(super) completed: bool,
    /// Each host.
    pub(super) hosts: Vec<VerdictView>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

/// What became of one host.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VerdictView {
    /// The host.
    pub(super) hostname: String,
    /// completed, failed, rejected (it refused, nothing was changed), unknown (still at work when following ended) or
    /// silent (it never answered).
    pub(super) verdict: String,
    /// When it was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_seen: Option<String>,
    /// Its job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<JobView>,
}

/// A piece of a log.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LogView {
    /// The host.
    pub(super) hostname: String,
    /// The deployment.
    pub(super) deployment: String,
    /// Where the text begins in the log, in bytes.
    pub(super) offset: u64,
    /// Where to read on.
    pub(super) next_offset: u64,
    /// Whether the log may hold more behind this at present.
    pub(super) more: bool,
    /// Whole lines.
    pub(super) text: String,
}

/// The jobs that a host has ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HistoryView {
    /// The host.
    pub(super) hostname: String,
    /// The jobs, the newest first.
    pub(super) jobs: Vec<JobView>,
}

impl VerdictView {
    /// What became of a host. The diagnostics of its failure take `diagnostics` bytes at most.
    pub(super) fn new(result: &HostResult, diagnostics: usize) -> Self {
        Self {
            hostname: result.host.to_string(),
            verdict: result.verdict.as_str().to_owned(),
            last_seen: result.seen.as_ref().map(Timestamp::to_string),
            job: result.report.as_deref().map(|report| JobView::whole(report, diagnostics)),
        }
    }
}

/// A text of the wire.
fn told(text: Option<impl AsRef<str>>) -> Option<String> {
    text.map(|text| printable(text.as_ref())).filter(|text| !text.is_empty())
}

/// Texts of the wire.
fn all_told(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| printable(text)).collect()
}
