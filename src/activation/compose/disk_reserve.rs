//! Space that is reserved before the first change, so that the rollback and the result need none if a disk fills up later.

use super::deployment_state::DeploymentState;
use super::run::ComposeRun;
use crate::atomic_file::preallocate;
use crate::private_file;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

/// The name of the file in the clone, and of the container.
const NAME: &str = "homelab-deploy-reserve";
/// The size of the file, in bytes. Random bytes, because a file system may compress zeros. The container has a copy of it.
const BYTES: usize = 1 << 20;
/// What is reserved beyond the end of the file, in bytes.
const MORE_BYTES: u64 = 3 << 20;

impl ComposeRun {
    /// Reserves space for the result of the job and for the old work tree. The job also runs if there is none.
    pub(super) fn reserve_space(&self, state: &DeploymentState) {
        if let Err(error) = self.job.dir.reserve() {
            tracing::warn!(%error, "failed to reserve disk space for the result of a job");
        }
        if state.no_rollback || state.old_commit.is_none() {
            return;
        }
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(BYTES).collect();
        if let Ok(mut file) = private_file::open_options().truncate(true).open(self.reserve_file())
            && file.write_all(&bytes).is_ok()
        {
            preallocate(&file, MORE_BYTES);
        }
    }

    /// Reserves space on the disk of docker with a container that is never started: Compose creates the old container of a service
    /// before it removes the new one.
    pub(super) async fn reserve_container(&self, state: &DeploymentState) {
        let mut old = state.services.iter().flat_map(|service| &service.old);
        let Some(old) = old.next().filter(|_| !state.no_rollback) else { return };
        let docker = &self.engine.docker;
        // It exists if an earlier listener has created it.
        let reserved = match docker.create_container(NAME, &old.image).await {
            Ok(()) => docker.copy_into(NAME, &self.reserve_file()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = reserved {
            tracing::debug!(%error, "failed to reserve space for a container");
        }
    }

    /// Frees what is reserved for a rollback.
    pub(super) async fn release_space(&self, state: &DeploymentState) {
        // It is missing if nothing was reserved.
        let _ = fs::remove_file(self.reserve_file());
        if state.services.iter().any(|service| service.touched)
            && let Err(error) = self.engine.docker.remove_with_volumes(NAME).await
        {
            tracing::warn!(%error, "failed to remove the container {NAME}");
        }
    }

    fn reserve_file(&self) -> PathBuf {
        self.engine.repo_dir().join(".git").join(NAME)
    }
}
