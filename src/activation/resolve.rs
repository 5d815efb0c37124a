//! The one commit that a request is, if this host deploys it.

use super::{Failure, Owner};
use crate::jobs::{BranchCommit, DeployedCommits};
use crate::nix::{CommitPolicy, Deployed, FlakeUrl, Locked};
use crate::protocol::{Action, DeployRequest, ErrorCode};

/// Pins the flake to the commit of a request. Dropping the future ends git.
pub(super) async fn resolve(
    policy: &CommitPolicy,
    flake: &FlakeUrl,
    owner: &Owner,
    request: &DeployRequest,
) -> Result<Locked, Failure> {
    let Some(revision) = &request.revision else {
        return Err(Failure::new(ErrorCode::InvalidRevision, "the request names no revision"));
    };
    let deployed = deployed(owner, request)?;
    policy
        .resolve(flake, revision, request.commit.as_deref(), &deployed)
        .await
        .map_err(|error| Failure::new(error.code(), error.to_string()))
}

/// Where the commit comes from, for the record.
pub(super) fn origin(locked: &Locked) -> Option<BranchCommit> {
    let (branch, commit) = locked.branch.clone().zip(locked.commit.clone())?;
    Some(BranchCommit { branch, commit })
}

/// What the commit must not be older than.
fn deployed(owner: &Owner, request: &DeployRequest) -> Result<Deployed, Failure> {
    let allow_older = request.allow_older == Some(true);
    if matches!(request.action, Action::Build | Action::DryActivate) {
        // It leaves the host as it is.
        return Ok(Deployed { allow_older: true, ..Deployed::default() });
    }
    match DeployedCommits::read(&owner.state_dir) {
        Ok(deployed) => Ok(Deployed { commits: deployed.commits(), allow_older }),
        Err(_) if allow_older => Ok(Deployed { allow_older, ..Deployed::default() }),
        Err(error) => {
            let message = format!(
                "the commits that were deployed here are not known: {error}; deploy the newest commit with `deploy --allow-older`, \
                 which replaces the file"
            );
            Err(Failure::new(ErrorCode::Unhealthy, message))
        }
    }
}
