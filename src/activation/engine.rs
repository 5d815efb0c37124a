//! The engine: the interface of everything that carries out a job on this host.

use super::{Facts, LogPiece};
use crate::jobs::{BranchCommit, ExternalCommand, Handover, JobDir, JobRecord, PeerBaseline, PreviousSystem};
use crate::protocol::{
    Action, Changes, Component, DeployRequest, EngineKind, ErrorCode, Name, PhaseName, Progress,
};
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A job that was checked and accepted.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// The request that started the job.
    pub request: DeployRequest,
    /// The services that the job is about; empty for all. For a resume, those of the job that it continues.
    pub services: Vec<Name>,
    /// Whether services that are not assigned to the host any more are removed.
    pub prune: bool,
    /// The record of the job that the request continues, for a resume.
    pub resumed: Option<Box<JobRecord>>,
    /// The directory of the job. Its log receives all output.
    pub dir: JobDir,
    /// The time limit for prepare, build and check together.
    pub timeout: Duration,
    /// Checks whether the NATS server answers now; waits up to ten seconds for the answer.
    pub reachable: Probe<bool>,
    /// Waits for a message of another client, if only another client can confirm this host after an activation. `Err`
    /// is the reason why none was received.
    pub peers: Probe<Result<PeerBaseline, String>>,
}

/// A check that an engine may run while it works.
pub struct Probe<T>(Arc<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>);

impl<T> Probe<T> {
    /// Wraps the function that performs the check.
    pub fn new(probe: impl Fn() -> BoxFuture<'static, T> + Send + Sync + 'static) -> Self {
        Self(Arc::new(probe))
    }

    /// Runs the check.
    pub async fn run(&self) -> T {
        (self.0)().await
    }
}

impl<T> Clone for Probe<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// What an engine reports while it works.
#[derive(Debug)]
pub enum JobEvent {
    /// A phase starts.
    PhaseStarted(PhaseName),
    /// Progress of the build.
    Progress(Progress),
    /// The deployed commit and its branch.
    Origin(BranchCommit),
    /// The commit that is deployed, as a full hash.
    Commit(String),
    /// The store path of the new system.
    System(String),
    /// The generation of the system profile.
    Generation(u64),
    /// The new state of a component. The first event about each component decides its position in the report.
    Component(Component),
    /// The diagnostics of the host, for the report. They replace those that the listener collects after a failure.
    Diagnostics(String),
    /// A sentence for the message of the report.
    Note(String),
    /// The engine was asked to stop and does so: nothing will be activated.
    Stopping,
    /// The system that ran before.
    PreviousSystem(Box<PreviousSystem>),
    /// The packages and units that the deployment changes.
    Changes(Box<Changes>),
    /// The worker owns the job's record from here on. The listener saves the record with this handover, and then
    /// acknowledges.
    Handover(Box<Handover>, SaveAck),
    /// The engine is about to start a program that outlives this listener. The listener saves it in the record, and
    /// then acknowledges.
    ExternalCommand(Box<ExternalCommand>, SaveAck),
    /// The record as the worker wrote it.
    Record(Box<JobRecord>),
    /// A piece of output, already in the log.
    Log(LogPiece),
}

/// Receives `Ok` when the record is saved durably, or the reason why it is not.
pub type SaveAck = tokio::sync::oneshot::Sender<Result<(), String>>;

/// Where an engine sends its events. The channel is bounded: an engine waits for its job, never the reverse.
pub type JobEvents = mpsc::Sender<JobEvent>;

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFailure {
    /// The error code of the report.
    pub code: ErrorCode,
    /// One sentence for the report.
    pub message: String,
    /// Whether the host was rolled back to the previous system; `None` if nothing was changed.
    pub rolled_back: Option<bool>,
}

impl JobFailure {
    /// Creates a failure of a job that changed nothing.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), rolled_back: None }
    }
}

/// How a job ended: the message of the report, or the failure.
pub type JobResult = Result<String, JobFailure>;

/// A running job.
pub type JobFuture = Pin<Box<dyn Future<Output = JobResult> + Send>>;

/// Resolves to the failed units, or to `None` if the service manager does not answer.
pub type FailedUnitsFuture = Pin<Box<dyn Future<Output = Option<BTreeSet<String>>> + Send>>;

/// Carries out jobs on one host, one at a time.
pub trait Engine: Send + Sync + 'static {
    /// The actions that this engine supports.
    fn actions(&self) -> Vec<Action>;

    /// The kind of this engine, if it does not deploy complete systems.
    fn kind(&self) -> Option<EngineKind> {
        None
    }

    /// The components that a request may name as `services`, as of the last job.
    fn components(&self) -> Vec<String> {
        Vec::new()
    }

    /// Masks the secrets of this host in a text. The result has the same length in bytes.
    fn mask(&self, text: &str) -> String {
        text.to_owned()
    }

    /// What runs on the host now.
    fn facts(&self) -> Facts;

    /// The units that have failed; `None` if the host has no service manager.
    fn failed_units(&self) -> FailedUnitsFuture {
        Box::pin(std::future::ready(None))
    }

    /// Carries out a job. `stop` asks it to stop if it does not activate yet: it then sends [`JobEvent::Stopping`], and
    /// the future resolves when no process of the job is left. Dropping the future does not end a running activation.
    fn run(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture;

    /// Follows a job that this process or an earlier one handed over to the worker or to an external command. `stop` is
    /// as in [`Engine::run`], except that the worker cannot be stopped.
    fn follow(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture {
        let _ = (job, events, stop);
        let message = "this engine cannot follow a job of another listener";
        Box::pin(std::future::ready(Err(JobFailure::new(ErrorCode::Interrupted, message))))
    }

    /// Whether a job that has started to change the host can be resumed at the point that its record names.
    fn can_resume(&self) -> bool {
        false
    }

    /// Resumes such a job of an earlier listener, which `record` describes. `stop` is as in [`Engine::run`].
    fn resume(
        &self,
        job: JobSpec,
        record: Box<JobRecord>,
        events: JobEvents,
        stop: CancellationToken,
    ) -> JobFuture {
        let _ = (job, record, events, stop);
        let message = "this engine cannot resume a job of another listener";
        Box::pin(std::future::ready(Err(JobFailure::new(ErrorCode::Interrupted, message))))
    }

    /// Whether a job that had not changed anything may be run again.
    fn can_repeat(&self) -> bool {
        false
    }

    /// Identifies the current boot; `None` if the engine does not depend on it.
    fn boot_id(&self) -> Option<String> {
        None
    }
}
