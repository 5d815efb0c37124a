//! The engine: whatever carries out an order on this host.

use super::{Facts, LogPiece};
use crate::jobs::{BranchCommit, ExternalCommand, JobFolder, Orders, PeersBefore, Record, System};
use crate::protocol::{Action, Changes, DeployRequest, ErrorCode, PhaseName, Progress};
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What a job is to do, checked and accepted.
#[derive(Debug, Clone)]
pub struct Order {
    /// The request.
    pub request: DeployRequest,
    /// The folder of the job; its log takes the whole output.
    pub folder: JobFolder,
    /// How long prepare, build and check may take together.
    pub timeout: Duration,
    /// Asks whether the link to the server works now, and waits for its answer up to ten seconds.
    pub reachable: Probe<bool>,
    /// Listens for another client, where only that can confirm this host after an activation. `Err` says why none was
    /// heard.
    pub peers: Probe<Result<PeersBefore, String>>,
}

/// Something that an engine may ask while it works.
pub struct Probe<T>(Arc<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>);

impl<T> Probe<T> {
    /// By this question.
    pub fn new(ask: impl Fn() -> BoxFuture<'static, T> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Asks.
    pub async fn ask(&self) -> T {
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

/// What an engine tells while it works.
#[derive(Debug)]
pub enum Step {
    /// A phase begins.
    Enter(PhaseName),
    /// How far the build is.
    Progress(Progress),
    /// The commit and the branch that it is deployed from.
    Origin(BranchCommit),
    /// The commit that is deployed.
    Commit(String),
    /// The store path of the new system.
    System(String),
    /// The generation of the system profile.
    Generation(u64),
    /// A sentence for the report.
    Note(String),
    /// It was asked to stop and does so: nothing will be activated.
    Stopping,
    /// What ran before.
    Old(Box<System>),
    /// What the deployment changes.
    Changes(Box<Changes>),
    /// From here on the activation program owns the record: it is to be written once more, with these orders, and then
    /// answered.
    HandOver(Box<Orders>, HandedOver),
    /// A program is about to be started that outlives this listener: it is to be noted in the record, and then answered.
    External(Box<ExternalCommand>, HandedOver),
    /// The record as its new owner wrote it.
    Record(Box<Record>),
    /// A piece of output, already in the log.
    Log(LogPiece),
}

/// Answered once the record is durable, or with the reason why it is not.
pub type HandedOver = tokio::sync::oneshot::Sender<Result<(), String>>;

/// Where an engine tells its steps. Bounded: an engine waits for its job, never the reverse.
pub type Steps = mpsc::Sender<Step>;

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error of the report.
    pub code: ErrorCode,
    /// One sentence.
    pub message: String,
    /// Whether the host was rolled back to the previous system, where anything had changed.
    pub rolled_back: Option<bool>,
}

impl Failure {
    /// A failure that changed nothing.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), rolled_back: None }
    }
}

/// How an order ended: a sentence, or why not.
pub type Outcome = Result<String, Failure>;

/// An order being carried out.
pub type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A service manager being asked for the units that have failed; nothing where it does not answer.
pub type Units = Pin<Box<dyn Future<Output = Option<BTreeSet<String>>> + Send>>;

/// Carries out orders on one host, one at a time.
pub trait Engine: Send + Sync + 'static {
    /// The actions it can do.
    fn actions(&self) -> Vec<Action>;

    /// Blots out of a log what is secret on this host. The text stays as long as it was.
    fn mask(&self, text: &str) -> String {
        text.to_owned()
    }

    /// What runs on the host now.
    fn facts(&self) -> Facts;

    /// The units that have failed, where a service manager can be asked.
    fn failed_units(&self) -> Units {
        Box::pin(std::future::ready(None))
    }

    /// Carries out an order. `stop` asks it to end what has not begun to activate: it says [`Step::Stopping`] if it
    /// does, and the future ends once nothing of the job runs any more. Dropping the future leaves a running
    /// activation alone.
    fn work(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work;

    /// Follows an order that was handed over to the activation program or to an external one, by this process or by one
    /// before it. `stop` is as in [`Engine::work`]; the activation program cannot be stopped.
    fn follow(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work {
        let _ = (order, steps, stop);
        let message = "this listener was not told how to take up what another one began";
        Box::pin(std::future::ready(Err(Failure::new(ErrorCode::Interrupted, message))))
    }

    /// Whether an order that had changed nothing yet may simply be done again.
    fn can_repeat(&self) -> bool {
        false
    }

    /// Which boot this is, where what a job began must be told apart by that.
    fn boot_id(&self) -> Option<String> {
        None
    }
}
