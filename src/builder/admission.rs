//! Decides whether a build request is accepted. Pure: no clock, no I/O.

use super::config::BuildRules;
use super::subscriptions::ReceivedBuildRequest;
use crate::clock::expired;
use crate::protocol::{BuildRequest, ErrorCode, Name, Revision};
use jiff::Timestamp;

/// Maximum number of open jobs. Each one costs a remote lookup and sends reports.
pub(super) const MAX_OPEN: usize = 100;

/// Returns the repository and branch to build, or why the request is rejected.
pub(super) fn admit(
    received: &ReceivedBuildRequest,
    rules: &BuildRules,
    open: usize,
    now: Timestamp,
) -> Result<(Name, Revision), (ErrorCode, String)> {
    let request = &received.request;
    if let Some(message) = expired(request.expires_at, now) {
        return Err((ErrorCode::Expired, message));
    }
    let repo = repo_of(received, rules)?;
    let Some(known) = rules.repos.get(repo) else {
        let message = format!("this builder has no repository \"{repo}\"; it has {}", rules.names());
        return Err((ErrorCode::UnknownRepo, message));
    };
    if open >= MAX_OPEN {
        let message = format!("{open} builds are already queued; try again when some have finished");
        return Err((ErrorCode::AlreadyRunning, message));
    }
    Ok((repo.clone(), request.branch.clone().unwrap_or_else(|| known.branch.clone())))
}

fn repo_of<'a>(
    received: &'a ReceivedBuildRequest,
    rules: &'a BuildRules,
) -> Result<&'a Name, (ErrorCode, String)> {
    let BuildRequest { repo: requested, target, .. } = &received.request;
    let Some(repo) = received.repo.as_ref().or(rules.default.as_ref()) else {
        let names = rules.names();
        let message =
            format!("this builder has no default repository: use build.<repo>.{target} with one of {names}");
        return Err((ErrorCode::UnknownRepo, message));
    };
    match requested {
        // An unknown repository is accepted here, so that the caller reports it as unknown.
        Some(requested) if requested != repo && rules.repos.contains_key(requested.as_str()) => {
            let why = format!("bad field `repo`: got \"{requested}\", but the subject means \"{repo}\"");
            Err((ErrorCode::InvalidRequest, format!("{why}; use build.{requested}.{target}")))
        }
        Some(requested) => Ok(requested),
        None => Ok(repo),
    }
}
