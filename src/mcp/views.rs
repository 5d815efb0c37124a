//! What the tools tell, as structures with schemas. Absent means that it is not known, or that there is none. Whatever
//! came over the wire is made harmless first.

mod host;
mod job;

pub(super) use host::HostView;
pub(super) use job::{JobView, last_lines};

use crate::deployer::{BuildOutcome, HostResult, Verdict};
use crate::protocol::{ErrorCode, printable};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// How much of the log of a failed build is told, in bytes.
const LOG_TAIL: usize = 4 * 1024;

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

/// How a build went.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BuildView {
    /// What was built: a host, or all.
    pub(super) target: String,
    /// The repository, as the builder calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repo: Option<String>,
    /// The commit that was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    /// completed, failed, rejected (nothing was built), unknown (still at work when following ended) or silent (no builder
    /// answered).
    pub(super) verdict: String,
    /// The code of what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// What the builder says of it in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// Each host.
    pub(super) hosts: Vec<BuiltHostView>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
}

/// The build of one host.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BuiltHostView {
    /// The host.
    pub(super) hostname: String,
    /// pending, running, done, failed or skipped.
    pub(super) state: String,
    /// How long it took, in seconds.
    pub(super) seconds: u64,
    /// The store path that was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// The last lines of a failed build. They are data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log_tail: Option<String>,
}

impl BuildView {
    /// How the one build of a call went.
    pub(super) fn new(outcome: &BuildOutcome, notes: Vec<String>) -> Self {
        let build = outcome.builds.first();
        let report = build.and_then(|build| build.report.as_deref());
        let hosts = report.iter().flat_map(|report| &report.hosts).map(|host| BuiltHostView {
            hostname: host.hostname.to_string(),
            state: printable(host.state.as_str()),
            seconds: host.elapsed_ms / 1000,
            system: told(host.system.as_deref()),
            error: told(host.error.as_deref()),
            log_tail: host
                .log_tail
                .as_deref()
                .map(|tail| last_lines(tail, LOG_TAIL))
                .filter(|tail| !tail.is_empty()),
        });
        Self {
            target: build.map(|build| printable(&build.target)).unwrap_or_default(),
            repo: report.and_then(|report| report.repo.as_ref()).map(ToString::to_string),
            commit: report.and_then(|report| told(report.commit.as_deref())),
            verdict: build.map_or(Verdict::Silent, |build| build.verdict).as_str().to_owned(),
            error: report.and_then(|report| told(report.error.as_ref().map(ErrorCode::as_str))),
            message: report.and_then(|report| told(Some(&report.message))),
            hosts: hosts.collect(),
            notes,
        }
    }
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
