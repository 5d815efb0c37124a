//! The files below the Compose root for people and scripts: copies of the job's state, its log and its diagnostics. Errors are
//! ignored, because the job's record is the truth.

use super::generations::ComposeGeneration;
use crate::jobs::JobDir;
use jiff::tz::TimeZone;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The stages, in their order.
const STAGES: [&str; 6] = ["prepare", "validate", "deploy", "verify", "diagnose", "complete"];

/// The directories `state/deploy` and `logs/deploy`.
#[derive(Debug, Clone)]
pub(super) struct StageFiles {
    state: PathBuf,
    logs: PathBuf,
}

impl StageFiles {
    pub(super) fn new(root: &Path) -> Self {
        Self { state: root.join("state/deploy"), logs: root.join("logs/deploy") }
    }

    /// Clears the marks of an earlier job, and links the log and the diagnostics of this one.
    pub(super) fn start(&self, job: &JobDir) {
        let _ = fs::create_dir_all(&self.state);
        let _ = fs::create_dir_all(&self.logs);
        for stage in STAGES {
            let _ = fs::remove_file(self.mark(stage));
        }
        let _ = fs::remove_file(self.state.join("last_service"));
        let time = crate::clock::now().to_zoned(TimeZone::system()).strftime("%Y%m%d_%H%M%S").to_string();
        // Links of jobs that have been removed.
        for entry in fs::read_dir(&self.logs).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_log = path.is_symlink() && !path.exists();
            let is_old =
                fs::read_link(&path).is_ok_and(|target| target.parent().is_none_or(|dir| !dir.exists()));
            if is_log && is_old {
                let _ = fs::remove_file(path);
            }
        }
        let _ = symlink(job.log(), self.logs.join(format!("deploy_{time}.log")));
        let _ =
            symlink(job.path().join("diagnostics.txt"), self.logs.join(format!("diagnostics_{time}.txt")));
    }

    /// Writes the current stage.
    pub(super) fn enter(&self, stage: &str) {
        let _ = fs::write(self.state.join("current_stage"), format!("{stage}\n"));
    }

    /// Marks a stage as complete.
    pub(super) fn complete(&self, stage: &str) {
        let _ = fs::write(self.mark(stage), format!("{}\n", crate::clock::now()));
    }

    /// Writes the service that was deployed last.
    pub(super) fn last_service(&self, service: &str) {
        let _ = fs::write(self.state.join("last_service"), format!("{service}\n"));
    }

    /// Writes the current generation.
    pub(super) fn generation(&self, generation: &ComposeGeneration) {
        let json = serde_json::to_string_pretty(generation).unwrap_or_default();
        let _ = fs::write(self.state.join("generation.json"), format!("{json}\n"));
    }

    fn mark(&self, stage: &str) -> PathBuf {
        self.state.join(format!("stage_{stage}_complete"))
    }
}
