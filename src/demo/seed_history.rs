//! The history of the fleet: the jobs of the last weeks, in the form in which a listener would have stored them.

use super::commit::{self, COMMITS, HEAD};
use super::machine::SimulatedMachine;
use super::scenario::Scenario;
use super::timeline::{Timeline, TimelineEvent};
use super::{DemoHost, report};
use crate::jobs::{History, JobRecord, JobStore};
use crate::protocol::Action::{self, DryActivate, Reboot, Rollback, Switch, Test};
use crate::protocol::{DeployReport, DeployRequest, HistoryEntry, Id, PhaseState, Phases, Revision, Status};
use crate::state_dir::StoreError;
use crate::text::last;
use jiff::{SignedDuration, Timestamp, Unit};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Age of the hosts' installation.
const INSTALLED: SignedDuration = SignedDuration::from_hours(45 * 24);
/// Number of stored jobs in the whole fleet; limits the number of files that must be removed in the end.
const MAX_RECORDED_JOBS: usize = 1200;
/// Factor for the recorded durations, compared with those of the demo.
const SLOWDOWN: u32 = 7;
/// Duration of a reboot.
const REBOOT: Duration = Duration::from_secs(41);
/// Number of log lines in the diagnostics of a failure.
const QUOTED_LINES: usize = 60;
const ALICE: &str = "alice@laptop";
const CI: &str = "ci@runner";
const OPERATOR: &str = "operator@demo";
/// The branch `main` at the time when each commit was its newest.
const MAIN: [Option<(&str, usize)>; HEAD + 1] = [
    None,
    Some(("main", 1)),
    Some(("main", 2)),
    Some(("main", 3)),
    Some(("main", 4)),
    Some(("main", 5)),
    Some(("main", 6)),
    Some(("main", HEAD)),
];

/// The history of the fleet.
pub(super) struct SeedHistory {
    now: Timestamp,
    /// Number of stored jobs per host.
    recorded_jobs: usize,
    flake: Arc<str>,
    /// Id of each deployment, which is the same on all of its hosts.
    ids: Vec<Id>,
}

impl SeedHistory {
    /// Creates the history of a fleet of this size.
    pub(super) fn new(count: usize, flake: Arc<str>) -> Self {
        // Whole seconds, so that hosts that start within half a second of each other start in the same second.
        let now = Timestamp::now();
        let now = now.round(Unit::Second).unwrap_or(now);
        let id = |deployment: &SeedDeployment| {
            let seconds = u64::try_from(deployment.at(now).as_second()).unwrap_or(0);
            let uuid = uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
            // A UUID has only hexadecimal digits and dashes, and the time in it makes it start with a digit.
            Id::new(uuid.to_string()).unwrap_or_else(|_| unreachable!("a UUID is an id"))
        };
        let recorded_jobs = (MAX_RECORDED_JOBS / count.max(1)).max(2);
        Self { now, recorded_jobs, flake, ids: DEPLOYMENTS.iter().map(id).collect() }
    }

    /// URL of the flake that the hosts use.
    pub(super) fn flake(&self) -> Arc<str> {
        self.flake.clone()
    }

    /// Replays the history on a host: returns its machine, and stores records, logs and history in its state directory.
    pub(super) fn replay_on(&self, host: &DemoHost, state: &Path) -> Result<SimulatedMachine, StoreError> {
        let (machine, jobs) = self.replay(host);
        let (store, _) = JobStore::open(state)?;
        let entries: Vec<_> = jobs.iter().map(SeedJob::entry).collect();
        History::new(state).append(&entries)?;
        for (number, job) in (1..).zip(jobs).skip(entries.len().saturating_sub(self.recorded_jobs)) {
            job.save(&store, number)?;
        }
        Ok(machine)
    }

    /// Replays the history on a host: returns its machine and its jobs, oldest first.
    pub(super) fn replay(&self, host: &DemoHost) -> (SimulatedMachine, Vec<SeedJob>) {
        let installed = self.now.checked_sub(INSTALLED).unwrap_or(self.now);
        let mut machine = SimulatedMachine::installed(host, &COMMITS[0], installed);
        let mut jobs = Vec::new();
        for (deployment, id) in DEPLOYMENTS.iter().zip(&self.ids) {
            if (deployment.is_target)(host) {
                let request = deployment.request(id.clone());
                let at = deployment.at(self.now);
                jobs.push(SeedJob::replay(
                    request,
                    deployment.cancelled,
                    at,
                    host,
                    &self.flake,
                    &mut machine,
                ));
            }
        }
        machine.add_preexisting_faults();
        (machine, jobs)
    }
}

/// A finished job, whose timeline is replayed at once.
pub(super) struct SeedJob {
    request: DeployRequest,
    at: Timestamp,
    pub(super) report: DeployReport,
    log: String,
}

impl SeedJob {
    /// Replays a request of that time.
    fn replay(
        request: DeployRequest,
        cancelled: bool,
        at: Timestamp,
        host: &DemoHost,
        flake: &str,
        machine: &mut SimulatedMachine,
    ) -> Self {
        let mut timeline = Timeline::of(&request, host, machine, flake);
        if cancelled {
            timeline = timeline.cancelled();
        }
        // The hosts of a deployment do not start at exactly the same time.
        let jitter = i64::try_from(commit::seed(host.name.as_str()) % 400).unwrap_or(0);
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
        for event in &timeline.events {
            match event {
                TimelineEvent::LogLine(line) => log.extend([line.as_str(), "\n"]),
                TimelineEvent::Change(change) => machine.apply(change),
                TimelineEvent::Reboot => {
                    machine.boot(at);
                    advance(&mut report, REBOOT);
                }
                TimelineEvent::Pause(pause) => advance(&mut report, *pause * SLOWDOWN),
                other => report::apply(&mut report, other),
            }
        }
        report::finish(&mut report, &timeline.outcome);
        let elapsed_ms = report.phases.0.iter().map(|phase| phase.elapsed_ms).sum();
        report.elapsed_ms = Some(elapsed_ms);
        report.at = at.checked_add(SignedDuration::from_millis(elapsed_ms.cast_signed())).ok();
        if timeline.events.contains(&TimelineEvent::Handover) && request.action != Action::Reboot {
            log.extend([&format!("{}: {}", report.status, report.message), "\n"]);
        }
        if timeline.outcome.is_err() {
            let lines: Vec<_> = log.lines().collect();
            let log_ends = last(&lines, QUOTED_LINES).join("\n");
            report.diagnostics = Some(report::diagnostics(&report, &log_ends, &machine.facts()));
        }
        Self { request, at, report, log }
    }

    /// Entry for the history of the host.
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
            phases: report.phases.clone(),
            components: report.components.changed().map(|component| component.name.clone()).collect(),
        }
    }

    /// Stores the record and the log; `number` is the position of the job among all jobs of the host.
    ///
    /// The files are not synced: they need not survive a power failure, and a large demo would start slowly.
    fn save(mut self, store: &JobStore, number: u64) -> Result<(), StoreError> {
        let identity = store.dir.identity();
        self.report.seq = Some(identity.starts * 1_000_000 + number);
        self.report.instance = Some(identity.instance.as_str().into());
        let id = self.request.id.clone();
        let job_dir = store.job(&id);
        let record = JobRecord::new(self.request, self.at, self.at, identity.starts, self.report);
        let json = record.encode().map_err(|source| StoreError::Encode { id: id.to_string(), source })?;
        let written = fs::create_dir_all(job_dir.path())
            .and_then(|()| fs::write(job_dir.record_file(), json))
            .and_then(|()| fs::write(job_dir.log(), self.log));
        written.map_err(|source| StoreError::Directory { path: job_dir.path().to_owned(), source })
    }
}

/// Adds this time to the running phase.
fn advance(report: &mut DeployReport, time: Duration) {
    if let Some(phase) = report.phases.0.iter_mut().find(|phase| phase.state == PhaseState::Running) {
        phase.elapsed_ms += u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    }
}

/// A past deployment.
struct SeedDeployment {
    hours_ago: i64,
    issuer: &'static str,
    action: Action,
    /// The requested revision, and the index of its commit at that time.
    revision: Option<(&'static str, usize)>,
    is_target: fn(&DemoHost) -> bool,
    /// Whether the deployment was cancelled during the build.
    cancelled: bool,
}

impl SeedDeployment {
    /// When the deployment was sent.
    fn at(&self, now: Timestamp) -> Timestamp {
        // Real deployments do not happen exactly on the hour.
        let ago = SignedDuration::from_mins(self.hours_ago * 61);
        now.checked_sub(ago).unwrap_or(now)
    }

    /// The request that was sent.
    fn request(&self, id: Id) -> DeployRequest {
        let (revision, commit) = self.revision.unzip();
        let revision = revision.and_then(|revision| Revision::new(revision).ok());
        let commit = commit.and_then(|number| COMMITS.get(number));
        DeployRequest {
            issuer: Some(self.issuer.to_owned()),
            commit: commit.map(|commit| commit.hash.to_owned()),
            ..DeployRequest::new(self.action.clone(), revision, id)
        }
    }
}

const fn deployment(
    hours_ago: i64,
    issuer: &'static str,
    action: Action,
    revision: Option<(&'static str, usize)>,
    is_target: fn(&DemoHost) -> bool,
) -> SeedDeployment {
    SeedDeployment { hours_ago, issuer, action, revision, is_target, cancelled: false }
}

fn test(host: &DemoHost) -> bool {
    host.tier.as_str() == "test"
}

fn prod(host: &DemoHost) -> bool {
    host.tier.as_str() == "prod"
}

fn dns(host: &DemoHost) -> bool {
    host.role.as_str() == "dns"
}

fn web(host: &DemoHost) -> bool {
    host.role.as_str() == "web"
}

/// The deployments, oldest first. All are older than a day, so no listener still has to report one.
static DEPLOYMENTS: [SeedDeployment; 25] = [
    deployment(31 * 24, CI, Switch, MAIN[1], test),
    deployment(30 * 24, OPERATOR, Switch, MAIN[1], prod),
    deployment(24 * 24, CI, Switch, MAIN[2], test),
    deployment(23 * 24 + 19, OPERATOR, Switch, MAIN[2], prod),
    deployment(17 * 24 + 2, OPERATOR, Test, MAIN[3], dns),
    deployment(17 * 24 + 1, OPERATOR, Switch, MAIN[3], dns),
    deployment(16 * 24 + 6, CI, Switch, MAIN[3], test),
    SeedDeployment {
        hours_ago: 16 * 24 + 5,
        issuer: OPERATOR,
        action: Switch,
        revision: MAIN[3],
        is_target: web,
        cancelled: true,
    },
    deployment(16 * 24 + 3, OPERATOR, Switch, MAIN[3], web),
    deployment(9 * 24 + 4, CI, Switch, MAIN[4], test),
    deployment(8 * 24 + 22, OPERATOR, Switch, MAIN[4], prod),
    deployment(8 * 24 + 20, OPERATOR, Reboot, None, |host| {
        prod(host) && host.scenario != Scenario::RebootPending
    }),
    deployment(8 * 24 + 19, CI, Reboot, None, |host| test(host) && host.scenario != Scenario::Unhealthy),
    deployment(6 * 24 + 3, CI, Switch, MAIN[5], test),
    deployment(5 * 24 + 9, OPERATOR, Switch, MAIN[5], prod),
    deployment(5 * 24, ALICE, Rollback, None, |host| test(host) && host.scenario == Scenario::Steady),
    deployment(4 * 24 + 21, ALICE, Switch, MAIN[5], |host| test(host) && host.scenario == Scenario::Steady),
    deployment(53, CI, Switch, MAIN[6], |host| test(host) && host.scenario != Scenario::PowerLoss),
    deployment(51, ALICE, DryActivate, MAIN[6], |host| host.scenario == Scenario::Unhealthy),
    deployment(49, OPERATOR, Switch, MAIN[6], prod),
    deployment(41, CI, Switch, MAIN[HEAD], |host| host.scenario == Scenario::Canary),
    deployment(33, ALICE, Test, Some(("broken", 9)), |host| host.scenario == Scenario::Canary),
    deployment(32, ALICE, Switch, MAIN[HEAD], |host| host.scenario == Scenario::Canary),
    deployment(26, ALICE, Test, Some(("testing", 8)), |host| host.scenario == Scenario::Builder),
    deployment(25, ALICE, Switch, Some(("testing", 8)), |host| host.scenario == Scenario::Builder),
];
