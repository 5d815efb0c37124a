//! Resolves the revision of a request to one commit, if this host may deploy it.

use super::{JobFailure, WorkerSpawner};
use crate::git::{CommitPolicy, PreviousCommits};
use crate::jobs::{BranchCommit, DeployedBranches};
use crate::nix::{FlakeUrl, LockedFlake, resolve_allowed};
use crate::protocol::{Action, DeployRequest, ErrorCode};

/// Pins the flake to the commit of a request. Dropping the future stops git.
pub(super) async fn resolve(
    policy: &CommitPolicy,
    flake: &FlakeUrl,
    spawner: &WorkerSpawner,
    request: &DeployRequest,
) -> Result<LockedFlake, JobFailure> {
    let Some(revision) = &request.revision else {
        return Err(JobFailure::new(ErrorCode::InvalidRevision, "the request has no revision"));
    };
    let deployed = deployed(spawner, request)?;
    let locked = resolve_allowed(flake, revision, request.commit.as_deref(), policy, &deployed).await;
    locked.map_err(|error| JobFailure::new(error.code(), error.to_string()))
}

/// Returns the branch and commit for the record.
pub(super) fn origin(locked: &LockedFlake) -> Option<BranchCommit> {
    let (branch, commit) = locked.branch.clone().zip(locked.commit.clone())?;
    Some(BranchCommit { branch, commit })
}

/// Returns the deployed commits; the new commit must not be older than these.
fn deployed(spawner: &WorkerSpawner, request: &DeployRequest) -> Result<PreviousCommits, JobFailure> {
    let allow_older = request.allow_older == Some(true);
    if matches!(request.action, Action::Build | Action::DryActivate) {
        // These actions leave the host unchanged.
        return Ok(PreviousCommits { allow_older: true, ..PreviousCommits::default() });
    }
    match DeployedBranches::read(&spawner.state_dir) {
        Ok(deployed) => Ok(PreviousCommits { commits: deployed.commits(), allow_older }),
        Err(_) if allow_older => Ok(PreviousCommits { allow_older, ..PreviousCommits::default() }),
        Err(error) => {
            let message = format!(
                "could not read which commits were deployed on this host: {error}; deploy the newest commit \
                 with `deploy --allow-older`, which replaces the file"
            );
            Err(JobFailure::new(ErrorCode::Unhealthy, message))
        }
    }
}
