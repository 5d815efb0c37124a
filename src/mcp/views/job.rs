//! A job as an assistant sees it.

use super::{all_told, told};
use crate::fleet::words;
use crate::protocol::{Action, Changes, DeployReport, ErrorCode, HistoryEntry, Phase, fit_end, printable};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A job of a host: one host's part of a deployment.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(in crate::mcp) struct JobView {
    /// The deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<String>,
    /// accepted, started, running, completed, failed or rejected.
    status: String,
    /// What was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// The branch, tag or commit that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// The generation that it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// When it was told of or, in a history, when it was accepted, by the host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// How long it has taken, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_s: Option<f64>,
    /// Why it failed or was refused, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// How it stands, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The phase that runs, or that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<String>,
    /// true: the host was rolled back to the previous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back: Option<bool>,
    /// Whether the host must be rebooted for all of the new system to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    reboot_needed: Option<bool>,
    /// Units of systemd that failed and had not failed before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_units: Vec<String>,
    /// Each phase and how long it took.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phases: Vec<PhaseView>,
    /// What it changes on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesView>,
    /// The last output, and the journal of failed units, where it failed.
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

/// What a deployment changes on a host.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangesView {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units_stopped: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units_started: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units_restarted: Vec<String>,
    /// Packages whose version changes: `nginx 1.26.2 -> 1.27.0`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packages: Vec<String>,
    /// By how many bytes the system grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<i64>,
}

impl JobView {
    /// The job without what takes much room.
    pub(super) fn short(report: &DeployReport) -> Self {
        let phase = report.phases.running().or_else(|| report.phases.failed());
        Self {
            deployment: report.id.as_ref().map(ToString::to_string),
            status: printable(report.status.as_str()),
            action: told(report.action.as_ref().map(Action::as_str)),
            branch: told(report.revision.as_deref()),
            commit: told(report.commit.as_deref()),
            generation: report.generation,
            issuer: told(report.issuer.as_deref()),
            at: report.at.as_ref().map(Timestamp::to_string),
            elapsed_s: report.elapsed_ms.map(seconds),
            error: told(report.error.as_ref().map(ErrorCode::as_str)),
            message: told(Some(&report.message)),
            phase: told(phase.map(|phase| phase.name.as_str())),
            rolled_back: report.rolled_back,
            reboot_needed: report.reboot_needed,
            failed_units: all_told(&report.failed_units),
            ..Self::default()
        }
    }

    /// The whole job; its diagnostics take `diagnostics` bytes at most.
    pub(in crate::mcp) fn whole(report: &DeployReport, diagnostics: usize) -> Self {
        Self {
            phases: report.phases.0.iter().map(PhaseView::new).collect(),
            changes: report.changes.as_deref().map(ChangesView::new),
            diagnostics: report.diagnostics.as_deref().map(|text| last_lines(text, diagnostics)),
            ..Self::short(report)
        }
    }

    /// What it changes on the host, in words, one kind a line.
    pub(in crate::mcp) fn changes(&self) -> Vec<String> {
        self.changes.as_ref().map(ChangesView::lines).unwrap_or_default()
    }

    /// A job of the past.
    pub(in crate::mcp) fn past(entry: &HistoryEntry) -> Self {
        Self {
            deployment: Some(entry.id.to_string()),
            status: printable(entry.status.as_str()),
            action: told(Some(entry.action.as_str())),
            branch: told(entry.revision.as_deref()),
            commit: told(entry.commit.as_deref()),
            generation: entry.generation,
            issuer: told(entry.issuer.as_deref()),
            at: Some(entry.at.to_string()),
            elapsed_s: Some(seconds(entry.elapsed_ms)),
            error: told(entry.error.as_ref().map(ErrorCode::as_str)),
            message: told(entry.reason.as_deref()),
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

impl ChangesView {
    /// The changes in words, one kind a line.
    fn lines(&self) -> Vec<String> {
        let kinds = [
            ("units that stop", &self.units_stopped),
            ("units that start", &self.units_started),
            ("units that restart", &self.units_restarted),
            ("packages", &self.packages),
        ];
        let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty());
        let lines: Vec<_> = kinds.map(|(kind, names)| format!("{kind}: {}", names.join(", "))).collect();
        match self.bytes {
            _ if !lines.is_empty() => lines,
            Some(bytes) if bytes != 0 => {
                vec![format!("no package or unit, only files: {}", words::growth(bytes))]
            }
            _ => vec!["no package, size or unit, only files".to_owned()],
        }
    }

    fn new(changes: &Changes) -> Self {
        let packages = changes.packages.iter().map(|package| {
            let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
            printable(&format!("{} {} -> {}", package.name, version(&package.from), version(&package.to)))
        });
        Self {
            units_stopped: all_told(&changes.units_stopped),
            units_started: all_told(&changes.units_started),
            units_restarted: all_told(&changes.units_restarted),
            packages: packages.collect(),
            bytes: changes.bytes,
        }
    }
}

/// The last lines of a text that take `most` bytes at most.
pub(in crate::mcp) fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<_> = fit_end(text, most).lines().map(printable).collect();
    lines.join("\n")
}

fn seconds(milliseconds: u64) -> f64 {
    // As exact as a duration of weeks can be told.
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}
