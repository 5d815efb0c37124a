//! One job of the past: its script played at once.

use crate::demo::machine::Machine;
use crate::demo::script::{Beat, Script};
use crate::demo::{DemoHost, report, store};
use crate::jobs::{Record, Store, StoreError};
use crate::protocol::{Action, DeployReport, DeployRequest, HistoryEntry, PhaseState, Phases, Status};
use jiff::{SignedDuration, Timestamp};
use std::fs;
use std::time::Duration;

/// How much longer things took than they take in the demo.
const SLOWER: u32 = 7;
/// How long a reboot took.
const REBOOT: Duration = Duration::from_secs(41);
/// How many lines of the log a failure quotes.
const QUOTED_LINES: usize = 60;

/// A job as it ended.
pub(super) struct Job {
    request: DeployRequest,
    at: Timestamp,
    report: DeployReport,
    log: String,
}

impl Job {
    /// Does at once what was asked for at that time.
    pub(super) fn play(
        request: DeployRequest,
        cancelled: bool,
        at: Timestamp,
        host: &DemoHost,
        flake: &str,
        machine: &mut Machine,
    ) -> Self {
        let mut script = Script::of(&request, host, machine, flake);
        if cancelled {
            script = script.cancelled();
        }
        // Hosts of one deployment do not begin in the same moment.
        let jitter = i64::try_from(store::seed(host.name.as_str()) % 400).unwrap_or(0);
        let at = at.checked_add(SignedDuration::from_millis(jitter)).unwrap_or(at);
        let mut report = DeployReport {
            id: Some(request.id.clone()),
            tier: Some(host.tier.clone()),
            role: Some(host.role.clone()),
            action: Some(request.action.clone()),
            revision: request.revision.as_ref().map(|revision| revision.as_str().into()),
            issuer: request.issuer.clone().map(Into::into),
            phases: Phases::pending(),
            ..DeployReport::new(host.name.clone(), Status::Running, "")
        };
        let mut log = String::new();
        for beat in &script.beats {
            match beat {
                Beat::Say(line) => log.extend([line.as_str(), "\n"]),
                Beat::Change(change) => machine.apply(change),
                Beat::Reboot => {
                    machine.boot(at);
                    pass(&mut report, REBOOT);
                }
                Beat::Pause(pause) => pass(&mut report, *pause * SLOWER),
                told => report::fold(&mut report, told),
            }
        }
        report::conclude(&mut report, &script.outcome);
        report.elapsed_ms = Some(report.phases.0.iter().map(|phase| phase.elapsed_ms).sum());
        if script.beats.contains(&Beat::HandOver) && request.action != Action::Reboot {
            log.extend([&format!("{}: {}", report.status, report.message), "\n"]);
        }
        if script.outcome.is_err() {
            let lines: Vec<_> = log.lines().collect();
            let log_ends = lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n");
            report.diagnostics = Some(report::diagnostics(&report, &log_ends, &machine.facts()));
        }
        Self { request, at, report, log }
    }

    /// Its line in the history.
    pub(super) fn entry(&self) -> HistoryEntry {
        let Self { request, at, report, .. } = self;
        HistoryEntry {
            id: request.id.clone(),
            at: *at,
            action: request.action.clone(),
            status: report.status.clone(),
            error: report.error.clone(),
            issuer: report.issuer.clone().map(Into::into),
            key: None,
            revision: report.revision.clone().map(Into::into),
            commit: report.commit.clone().map(Into::into),
            generation: report.generation,
            reason: None,
            elapsed_ms: report.elapsed_ms.unwrap_or(0),
        }
    }

    /// Leaves its record and its log. `number` tells its place among the others.
    ///
    /// Nothing of a demo has to survive a power cut, and waiting for the disk would hold up a large one.
    pub(super) fn keep(mut self, store: &Store, number: u64) -> Result<(), StoreError> {
        let identity = store.identity();
        let elapsed = SignedDuration::from_millis(self.report.elapsed_ms.unwrap_or(0).cast_signed());
        self.report.seq = Some(identity.starts * 1_000_000 + number);
        self.report.at = self.at.checked_add(elapsed).ok();
        self.report.instance = Some(identity.instance.as_str().into());
        let id = self.request.id.clone();
        let folder = store.job(&id);
        let record = Record::new(self.request, self.at, self.at, identity.starts, self.report);
        let json = record.encode().map_err(|source| StoreError::Encode { id, source })?;
        let written = fs::create_dir_all(folder.path())
            .and_then(|()| fs::write(folder.record_file(), json))
            .and_then(|()| fs::write(folder.log(), self.log));
        written.map_err(|source| StoreError::Folder { path: folder.path().to_owned(), source })
    }
}

/// Lets time pass in the phase that runs.
fn pass(report: &mut DeployReport, time: Duration) {
    if let Some(phase) = report.phases.0.iter_mut().find(|phase| phase.state == PhaseState::Running) {
        phase.elapsed_ms += u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    }
}
