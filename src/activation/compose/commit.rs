//! Chooses the commit to deploy. If the repository is unreachable, what is in the clone is deployed.

use super::deployed_tree::DeployedTree;
use super::generations::Generations;
use super::run::ComposeRun;
use crate::activation::JobFailure;
use crate::activation::resolve::{origin, resolve};
use crate::git::Remote;
use crate::jobs::{BranchCommit, DeployedBranches};
use crate::protocol::ErrorCode;
use crate::text::format::{long_duration, short_commit};
use std::time::SystemTime;

/// A commit that is in the clone.
pub(super) struct ChosenCommit {
    /// The full hash.
    pub(super) commit: String,
    /// The branch and commit, if it is on a branch.
    pub(super) origin: Option<BranchCommit>,
    /// A note for the report.
    pub(super) note: Option<String>,
}

impl ComposeRun {
    /// Resolves the revision of the request, and fetches its commit.
    pub(super) async fn choose_commit(
        &self,
        tree: &DeployedTree,
        remote: &Remote,
    ) -> Result<ChosenCommit, JobFailure> {
        let engine = &self.engine;
        let resolved = resolve(&engine.commits, &engine.repo, &engine.spawner, &self.job.request).await;
        let unreachable = match resolved {
            Ok(locked) => {
                let commit = locked.commit.clone().unwrap_or_default();
                if let Some(note) = &locked.note {
                    self.log(note).await;
                }
                match tree.fetch(remote).await {
                    _ if tree.has(&commit).await => {
                        return Ok(ChosenCommit { commit, origin: origin(&locked), note: None });
                    }
                    Ok(()) => {
                        let message = format!(
                            "commit {commit} is on no branch or tag of {}; push it, then deploy again",
                            remote.shown
                        );
                        return Err(JobFailure::new(ErrorCode::InvalidRevision, message));
                    }
                    Err(error) => {
                        let message = format!("could not fetch from {}: {error}", remote.shown);
                        JobFailure::new(ErrorCode::SourceUnreachable, message)
                    }
                }
            }
            Err(failure) => failure,
        };
        if unreachable.code != ErrorCode::SourceUnreachable {
            return Err(unreachable);
        }
        match self.commit_in_clone(tree).await {
            Ok((commit, branch)) => {
                let age = tree.fetched_at().and_then(|at| SystemTime::now().duration_since(at).ok());
                let age = age.map_or_else(String::new, |age| format!(", fetched {} ago", long_duration(age)));
                let note = format!(
                    "the repository is unreachable: deployed commit {} from the clone{age}",
                    short_commit(&commit)
                );
                self.log(&format!(
                    "{}; continuing with commit {commit} from the clone{age}",
                    unreachable.message
                ))
                .await;
                let origin = branch.map(|branch| BranchCommit { branch, commit: commit.clone() });
                Ok(ChosenCommit { commit, origin, note: Some(note) })
            }
            Err(reason) => {
                let message = format!("{}; {reason}; nothing was changed", unreachable.message);
                Err(JobFailure::new(ErrorCode::SourceUnreachable, message))
            }
        }
    }

    /// The requested commit, or with `--offline-ok` the last known one of the branch, if the clone has it and this host may deploy
    /// it. `Err` is the reason why not.
    async fn commit_in_clone(&self, tree: &DeployedTree) -> Result<(String, Option<String>), String> {
        let request = &self.job.request;
        let Some(revision) = &request.revision else { return Err("the request has no revision".to_owned()) };
        let named = request.commit.clone().or_else(|| revision.is_commit().then(|| revision.to_string()));
        let tip = tree.known_tip(revision.as_str()).await;
        let commit = match (named, tip.clone()) {
            (Some(commit), _) if tree.has(&commit).await => commit,
            (Some(commit), _) => return Err(format!("commit {} is not in the clone", short_commit(&commit))),
            (None, Some(tip)) if self.engine.offline_ok => tip,
            (None, Some(_)) => {
                return Err("to deploy the last known commit of the branch, start the listener with --offline-ok, or \
                            name the commit"
                    .to_owned());
            }
            (None, None) => return Err(format!("{revision} is not in the clone")),
        };
        let was_deployed = Generations::read(&self.engine.state_dir()).has_commit(&commit);
        if self.engine.commits.signers.is_some() && !was_deployed {
            return Err(
                "the signature of a commit is verified only while the repository is reachable".to_owned()
            );
        }
        let allowed = &self.engine.commits.allowed_branches;
        let is_on_branch = match &tip {
            Some(tip) => tree.is_ancestor(&commit, tip).await,
            None => false,
        };
        let is_allowed = allowed.is_empty() || (allowed.contains(revision) && is_on_branch);
        if !is_allowed && !was_deployed {
            return Err(
                "the branch of the commit can be checked only while the repository is reachable".to_owned()
            );
        }
        let branch = (is_on_branch && !revision.is_commit()).then(|| revision.to_string());
        if request.allow_older != Some(true) && request.action.changes_system() {
            let deployed =
                DeployedBranches::read(&self.engine.spawner.state_dir).map_err(|error| error.to_string())?;
            let deployed = deployed.commits();
            let older_than = match &branch {
                Some(branch) => match deployed.get(branch) {
                    Some(last) if *last != commit && !tree.is_ancestor(last, &commit).await => Some(last),
                    _ => None,
                },
                None => newer_deployed(tree, &commit, deployed.values()).await,
            };
            if let Some(last) = older_than {
                return Err(format!(
                    "commit {} is older than {}, which this host deployed last; to go back, use `rollback`, or `deploy \
                     --allow-older` for exactly this commit",
                    short_commit(&commit),
                    short_commit(last)
                ));
            }
        }
        Ok((commit, branch))
    }
}

/// The last deployed commit of a branch that comes after this commit; `None` if one of them is this commit or comes before it.
async fn newer_deployed<'a>(
    tree: &DeployedTree,
    commit: &str,
    deployed: impl Iterator<Item = &'a String>,
) -> Option<&'a String> {
    let mut newer = None;
    for last in deployed {
        if last == commit || tree.is_ancestor(last, commit).await {
            return None;
        }
        if tree.is_ancestor(commit, last).await {
            newer = Some(last);
        }
    }
    newer
}
