//! The build of one host, and what comes after it.

use super::engine::Engine;
use crate::nix::{BuildError, BuildOrder, LogTail, NixLine, post_build};
use crate::protocol::{ErrorCode, Name, fit_start};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// So many of the last lines of a log are told.
const LINES: usize = 20;
/// The most that is told of an error, in bytes.
const MAX_ERROR: usize = 2048;

/// One host to build.
pub(super) struct HostBuild {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) order: BuildOrder,
    /// Whether the flake calls the host so; else it may call it by a full domain name.
    pub(super) is_attr_known: bool,
    /// A program to call with the result; empty for none.
    pub(super) post_build: Vec<String>,
    /// Ends this host and all others.
    pub(super) stop: CancellationToken,
    /// Whether the others are built where this one fails.
    pub(super) keep_going: bool,
}

/// What became of a host.
pub(super) enum Outcome {
    Done(PathBuf),
    Failed(Failure),
    /// It was stopped.
    Stopped,
}

/// Why a host failed.
pub(super) struct Failure {
    pub(super) code: ErrorCode,
    pub(super) error: String,
    /// What was built all the same.
    pub(super) system: Option<PathBuf>,
    pub(super) log_tail: Option<String>,
    /// Whether the flake has no such host.
    pub(super) missing: bool,
}

/// A host that has ended.
pub(super) struct Ended {
    pub(super) host: Name,
    pub(super) outcome: Outcome,
}

impl HostBuild {
    pub(super) async fn run(self) -> Ended {
        let (host, stop, keep_going) = (self.order.host.clone(), self.stop.clone(), self.keep_going);
        let outcome = self.work().await;
        if !keep_going && matches!(outcome, Outcome::Failed(_)) {
            // Before another host can begin.
            stop.cancel();
        }
        Ended { host, outcome }
    }

    async fn build(&self, told: mpsc::Sender<NixLine>) -> Result<PathBuf, BuildError> {
        let order = self.order.clone();
        let built = self.engine.build(order.clone(), told.clone(), self.stop.clone()).await;
        if self.is_attr_known || !matches!(built, Err(BuildError::MissingHost { .. })) {
            return built;
        }
        let listing = self.engine.hosts(order.flake.clone(), order.locked.clone(), self.stop.clone());
        match listing.await?.names.remove(&order.host) {
            Some(attr) if attr != order.attr => {
                self.engine.build(BuildOrder { attr, ..order }, told, self.stop.clone()).await
            }
            _ => built,
        }
    }

    async fn work(self) -> Outcome {
        let (told, mut heard) = mpsc::channel(64);
        let mut log = LogTail::of(LINES);
        let listen = async {
            while let Some(line) = heard.recv().await {
                if let NixLine::Log(text) = line {
                    log.push(&text);
                }
            }
        };
        let (built, ()) = tokio::join!(self.build(told), listen);
        let system = match built {
            Ok(system) => system,
            Err(BuildError::Stopped { .. }) => return Outcome::Stopped,
            Err(error) => return Outcome::Failed(failure(&error, log.text())),
        };
        if self.post_build.is_empty() {
            return Outcome::Done(system);
        }
        let after = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Outcome::Stopped,
            after = post_build(&self.post_build, &system) => after,
        };
        match after {
            Ok(()) => Outcome::Done(system),
            Err(error) => Outcome::Failed(Failure {
                code: ErrorCode::BuildFailed,
                error: format!("it was built, but the post-build command failed: {error}"),
                system: Some(system),
                log_tail: None,
                missing: false,
            }),
        }
    }
}

fn failure(error: &BuildError, log: String) -> Failure {
    Failure {
        code: error.code(),
        error: fit_start(&error.in_short(), MAX_ERROR).to_owned(),
        system: None,
        log_tail: Some(log).filter(|log| !log.is_empty()),
        missing: matches!(error, BuildError::MissingHost { .. }),
    }
}
