//! The engine: whatever carries out an order on this host.

use super::{Facts, LogPiece};
use crate::protocol::{Action, DeployRequest, ErrorCode, PhaseName, Progress};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What a job is to do, checked and accepted.
#[derive(Debug, Clone)]
pub struct Order {
    /// The request.
    pub request: DeployRequest,
    /// The folder of the job.
    pub folder: PathBuf,
    /// The file that takes the job's whole output.
    pub log: PathBuf,
    /// How long prepare, build and check may take together.
    pub timeout: Duration,
}

/// What an engine tells while it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A phase begins.
    Enter(PhaseName),
    /// How far the build is.
    Progress(Progress),
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
    /// A piece of output, already in the log.
    Log(LogPiece),
}

/// Where an engine tells its steps. Bounded: an engine waits for its job, never the reverse.
pub type Steps = mpsc::Sender<Step>;

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error of the report.
    pub code: ErrorCode,
    /// One sentence.
    pub message: String,
    /// Whether the host went back to what ran before, where anything had changed.
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

    /// Carries out an order. `stop` asks it to end what has not begun to activate: it says [`Step::Stopping`] if it
    /// does, and the future ends once nothing of the job runs any more. Dropping the future leaves a running
    /// activation alone.
    fn work(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work;
}
