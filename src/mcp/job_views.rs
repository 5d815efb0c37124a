//! A job in the results of tools.

use super::views::{sanitize, sanitize_all};
use crate::protocol::{Action, Changes, Component, DeployReport, ErrorCode, HistoryEntry, Phase};
use crate::text::{fitting_suffix, format, printable};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A job: one host's part of a deployment.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct JobView {
    /// Id of the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<String>,
    /// accepted, started, running, completed, failed or rejected.
    status: String,
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// The requested branch, tag or commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// The generation that the job created.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// Who requested the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// Time of the report or, in a history, of the acceptance, by the host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Duration so far, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_s: Option<f64>,
    /// Error code of a failed or rejected job.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Status as a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The running or failed phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<String>,
    /// true: the host was rolled back to the previous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back: Option<bool>,
    /// Whether the host needs a reboot to run its complete new system.
    #[serde(skip_serializing_if = "Option::is_none")]
    reboot_needed: Option<bool>,
    /// systemd units that failed during the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_units: Vec<String>,
    /// Each phase with its duration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phases: Vec<PhaseView>,
    /// Each service of a host with Docker Compose, in the sequence of the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<ComponentView>,
    /// Changes on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesView>,
    /// Last output and the journal of failed units, if the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<String>,
}

/// A phase of a job.
#[derive(Debug, Serialize, JsonSchema)]
struct PhaseView {
    name: String,
    /// pending, running, done, failed or skipped.
    state: String,
    elapsed_s: f64,
}

/// A service in a job.
#[derive(Debug, Serialize, JsonSchema)]
struct ComponentView {
    name: String,
    /// pending, running, done, failed, skipped (not reached, or not needed) or unchanged (not touched).
    state: String,
    elapsed_s: f64,
    /// Why it has this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What a deployment changes on a host.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangesView {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units_stopped: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units_started: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units_restarted: Vec<String>,
    /// Packages with a changed version: `nginx 1.26.2 -> 1.27.0`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packages: Vec<String>,
    /// Growth of the system, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<i64>,
}

impl JobView {
    /// The job without large fields.
    pub(super) fn short(report: &DeployReport) -> Self {
        let phase = report.phases.running().or_else(|| report.phases.failed());
        Self {
            deployment: report.id.as_ref().map(ToString::to_string),
            status: printable(report.status.as_str()),
            action: sanitize(report.action.as_ref().map(Action::as_str)),
            branch: sanitize(report.revision.as_deref()),
            commit: sanitize(report.commit.as_deref()),
            generation: report.generation,
            issuer: sanitize(report.issuer.as_deref()),
            at: report.at.as_ref().map(Timestamp::to_string),
            elapsed_s: report.elapsed_ms.map(seconds),
            error: sanitize(report.error.as_ref().map(ErrorCode::as_str)),
            message: sanitize(Some(&report.message)),
            phase: sanitize(phase.map(|phase| phase.name.as_str())),
            rolled_back: report.rolled_back,
            reboot_needed: report.reboot_needed,
            failed_units: sanitize_all(&report.failed_units),
            ..Self::default()
        }
    }

    /// The complete job, with at most `diagnostics` bytes of diagnostics.
    pub(super) fn full(report: &DeployReport, diagnostics: usize) -> Self {
        Self {
            phases: report.phases.0.iter().map(PhaseView::new).collect(),
            components: report.components.0.iter().map(ComponentView::new).collect(),
            changes: report.changes.as_deref().map(ChangesView::new),
            diagnostics: report.diagnostics.as_deref().map(|text| last_lines(text, diagnostics)),
            ..Self::short(report)
        }
    }

    /// The changes on the host as text, one kind per line.
    pub(super) fn changes(&self) -> Vec<String> {
        self.changes.as_ref().map(ChangesView::lines).unwrap_or_default()
    }

    /// A finished job of the history.
    pub(super) fn from_history(entry: &HistoryEntry) -> Self {
        Self {
            deployment: Some(entry.id.to_string()),
            status: printable(entry.status.as_str()),
            action: sanitize(Some(entry.action.as_str())),
            branch: sanitize(entry.revision.as_deref()),
            commit: sanitize(entry.commit.as_deref()),
            generation: entry.generation,
            issuer: sanitize(entry.issuer.as_deref()),
            at: Some(entry.at.to_string()),
            elapsed_s: Some(seconds(entry.elapsed_ms)),
            error: sanitize(entry.error.as_ref().map(ErrorCode::as_str)),
            message: sanitize(entry.reason.as_deref()),
            ..Self::default()
        }
    }
}

impl PhaseView {
    fn new(phase: &Phase) -> Self {
        Self {
            name: printable(phase.name.as_str()),
            state: printable(phase.state.as_str()),
            elapsed_s: seconds(phase.elapsed_ms),
        }
    }
}

impl ComponentView {
    fn new(component: &Component) -> Self {
        Self {
            name: printable(&component.name),
            state: printable(component.state.as_str()),
            elapsed_s: seconds(component.elapsed_ms),
            message: sanitize(Some(&component.message)),
        }
    }
}

impl ChangesView {
    /// The changes as text, one kind per line.
    fn lines(&self) -> Vec<String> {
        let kinds = [
            ("units to stop", &self.units_stopped),
            ("units to start", &self.units_started),
            ("units to restart", &self.units_restarted),
            ("packages", &self.packages),
        ];
        let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty());
        let lines: Vec<_> = kinds.map(|(kind, names)| format!("{kind}: {}", names.join(", "))).collect();
        match self.bytes {
            _ if !lines.is_empty() => lines,
            Some(bytes) if bytes != 0 => {
                vec![format!("no package or unit would change, only files: {}", format::signed_size(bytes))]
            }
            _ => vec!["no package, size or unit would change, only files".to_owned()],
        }
    }

    fn new(changes: &Changes) -> Self {
        let packages = changes.packages.iter().map(|package| {
            let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
            printable(&format!("{} {} -> {}", package.name, version(&package.from), version(&package.to)))
        });
        Self {
            units_stopped: sanitize_all(&changes.units_stopped),
            units_started: sanitize_all(&changes.units_started),
            units_restarted: sanitize_all(&changes.units_restarted),
            packages: packages.collect(),
            bytes: changes.bytes,
        }
    }
}

/// The last lines of a text, at most `most` bytes.
pub(super) fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<_> = fitting_suffix(text, most).lines().map(printable).collect();
    lines.join("\n")
}

fn seconds(milliseconds: u64) -> f64 {
    // Exact for durations of many weeks.
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}
