//! What becomes of a request: a pure decision.

use super::config::Rules;
use super::inbox::Asked;
use crate::protocol::{BuildRequest, ErrorCode, Name, Revision};
use jiff::Timestamp;

/// Orders that may be open at a time; each costs a look at a remote, and reports.
pub(super) const MOST_OPEN: usize = 100;

/// Which repository and branch are built, or why nothing is.
pub(super) fn admit(
    asked: &Asked,
    rules: &Rules,
    open: usize,
    now: Timestamp,
) -> Result<(Name, Revision), (ErrorCode, String)> {
    let request = &asked.request;
    if let Some(expires_at) = request.expires_at.filter(|expires_at| *expires_at < now) {
        let late = now.duration_since(expires_at).as_secs();
        let message = format!("the request expired {late} s ago by the builder's clock, which says {now:.0}");
        return Err((ErrorCode::Expired, message));
    }
    let repo = repo_of(asked, rules)?;
    let Some(known) = rules.repos.get(repo) else {
        let message = format!("this builder has no repository \"{repo}\"; it has {}", rules.names());
        return Err((ErrorCode::UnknownRepo, message));
    };
    if open >= MOST_OPEN {
        let message = format!("{open} builds wait here already; ask again once some have ended");
        return Err((ErrorCode::AlreadyRunning, message));
    }
    Ok((repo.clone(), request.branch.clone().unwrap_or_else(|| known.branch.clone())))
}

fn repo_of<'a>(asked: &'a Asked, rules: &'a Rules) -> Result<&'a Name, (ErrorCode, String)> {
    let BuildRequest { repo: said, target, .. } = &asked.request;
    let Some(repo) = asked.repo.as_ref().or(rules.default.as_ref()) else {
        let names = rules.names();
        let message =
            format!("no repository here is the default: ask on build.<repo>.{target} for one of {names}");
        return Err((ErrorCode::UnknownRepo, message));
    };
    match said {
        // A repository that is not there is told as such, whatever the subject means.
        Some(said) if said != repo && rules.repos.contains_key(said.as_str()) => {
            let why = format!("bad field `repo`: it is \"{said}\", and the subject means \"{repo}\"");
            Err((ErrorCode::InvalidRequest, format!("{why}; ask on build.{said}.{target}")))
        }
        Some(said) => Ok(said),
        None => Ok(repo),
    }
}
