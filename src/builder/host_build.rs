//! Builds one host and runs the post-build command.

use super::engine::BuildEngine;
use crate::nix::{BuildError, HostBuildSpec, LogTail, NixLine, run_post_build};
use crate::protocol::{ErrorCode, Name};
use crate::text::fitting_prefix;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Maximum number of log lines in a report.
const MAX_LOG_LINES: usize = 20;
/// Maximum length of an error in a report, in bytes.
const MAX_ERROR: usize = 2048;

/// One host to build.
pub(super) struct HostBuild {
    pub(super) engine: Arc<dyn BuildEngine>,
    pub(super) spec: HostBuildSpec,
    /// Whether `spec.attr` is known to exist. If not, the flake may use the fully qualified domain name instead.
    pub(super) is_attr_known: bool,
    /// Program and arguments to call with the store path; empty for none.
    pub(super) post_build: Vec<String>,
    /// Stops this host and all others.
    pub(super) stop: CancellationToken,
    /// Whether the other hosts continue if this one fails.
    pub(super) keep_going: bool,
}

/// How the build of a host ended.
pub(super) enum HostBuildResult {
    Done(PathBuf),
    Failed(HostFailure),
    /// The build was stopped from outside.
    Stopped,
}

/// Why a host failed.
pub(super) struct HostFailure {
    pub(super) code: ErrorCode,
    pub(super) error: String,
    /// The store path, if the host was built before the failure.
    pub(super) system: Option<PathBuf>,
    pub(super) log_tail: Option<String>,
    /// Whether the flake does not have this host.
    pub(super) missing: bool,
}

/// A host whose build has ended.
pub(super) struct FinishedHost {
    pub(super) host: Name,
    pub(super) result: HostBuildResult,
}

impl HostBuild {
    pub(super) async fn run(self) -> FinishedHost {
        let (host, stop, keep_going) = (self.spec.host.clone(), self.stop.clone(), self.keep_going);
        let result = self.build_and_post_process().await;
        if !keep_going && matches!(result, HostBuildResult::Failed(_)) {
            // Cancelled here, so that no other host can start first.
            stop.cancel();
        }
        FinishedHost { host, result }
    }

    async fn build(&self, output: mpsc::Sender<NixLine>) -> Result<PathBuf, BuildError> {
        let spec = self.spec.clone();
        let build_result = self.engine.build(spec.clone(), output.clone(), self.stop.clone()).await;
        if self.is_attr_known || !matches!(build_result, Err(BuildError::MissingHost { .. })) {
            return build_result;
        }
        let listing = self.engine.hosts(spec.flake.clone(), spec.locked.clone(), self.stop.clone());
        match listing.await?.names.remove(&spec.host) {
            Some(attr) if attr != spec.attr => {
                self.engine.build(HostBuildSpec { attr, ..spec }, output, self.stop.clone()).await
            }
            _ => build_result,
        }
    }

    async fn build_and_post_process(self) -> HostBuildResult {
        let (output, mut lines) = mpsc::channel(64);
        let mut log = LogTail::of(MAX_LOG_LINES);
        let collect_log = async {
            while let Some(line) = lines.recv().await {
                if let NixLine::Log(text) = line {
                    log.push(&text);
                }
            }
        };
        let (build_result, ()) = tokio::join!(self.build(output), collect_log);
        let system = match build_result {
            Ok(system) => system,
            Err(BuildError::Stopped { .. }) => return HostBuildResult::Stopped,
            Err(error) => return HostBuildResult::Failed(host_failure(&error, log.text())),
        };
        if self.post_build.is_empty() {
            return HostBuildResult::Done(system);
        }
        let post_build_result = tokio::select! {
            biased;
            () = self.stop.cancelled() => return HostBuildResult::Stopped,
            post_build_result = run_post_build(&self.post_build, &system) => post_build_result,
        };
        match post_build_result {
            Ok(()) => HostBuildResult::Done(system),
            Err(error) => HostBuildResult::Failed(HostFailure {
                code: ErrorCode::BuildFailed,
                error: format!("the host was built, but the post-build command failed: {error}"),
                system: Some(system),
                log_tail: None,
                missing: false,
            }),
        }
    }
}

fn host_failure(error: &BuildError, log: String) -> HostFailure {
    HostFailure {
        code: error.code(),
        error: fitting_prefix(&error.summary(), MAX_ERROR).to_owned(),
        system: None,
        log_tail: Some(log).filter(|log| !log.is_empty()),
        missing: matches!(error, BuildError::MissingHost { .. }),
    }
}
