//! Asks a remote for one branch or tag, with narrow limits: the URL may be one that a host has made up.

use super::process::Limits;
use super::refs::{HEAD, Refs};
use super::remote::{advice_for, last_lines, list};
use super::{FlakeUrl, ResolveError, access_tokens};
use crate::protocol::{Revision, is_commit};
use std::io;

/// The most of an answer that is read, in bytes: one name needs some hundred.
const MAX_ANSWER: u64 = 1 << 20;
/// The most memory that git may take, in bytes of addresses. It keeps every ref that a server lists.
const MAX_MEMORY: u64 = 1 << 30;

/// The commit that a branch, else a tag, of this name is at; nothing for a `path:`, which has none. A revision that is a commit
/// is its own head. Takes as long as the remote does; dropping the future kills git and all that it started.
pub async fn head(flake: &FlakeUrl, revision: &Revision) -> Result<Option<String>, ResolveError> {
    let Some(remote) = flake.remote() else { return Ok(None) };
    if revision.is_commit() {
        return Ok(Some(revision.to_string()));
    }
    let (name, shown) = (revision.to_string(), flake.without_credentials());
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ResolveError::NoGit { revision: name.clone(), flake: shown.clone() },
        _ => ResolveError::Git { revision: name.clone(), flake: shown.clone(), source },
    };
    let refs = ["refs/heads/", "refs/tags/"].map(|kind| format!("{kind}{name}"));
    let marked = format!("{}^{{}}", refs[1]);
    // What HEAD names is asked for too: it may be what is meant, or what should have been.
    let names = [remote.as_str(), HEAD, &refs[0], &refs[1], &marked];
    let limits = Limits { output: MAX_ANSWER, memory: Some(MAX_MEMORY) };
    let mut ended = list(flake, &names, limits).await.map_err(failed)?;
    let lent = access_tokens::lacking(flake, &ended).await;
    if let Some(lent) = &lent {
        ended = list(lent, &names, limits).await.map_err(failed)?;
    }
    let flake = lent.as_ref().unwrap_or(flake);
    let unreachable = |said: Option<String>, complaint: &str| ResolveError::Unreachable {
        revision: name.clone(),
        flake: shown.clone(),
        said: said.unwrap_or_else(|| format!("git ended with {}", ended.status)),
        advice: advice_for(flake, complaint),
    };
    if ended.stdout.len() as u64 >= MAX_ANSWER {
        return Err(unreachable(Some("its answer to one name is longer than 1 MiB".to_owned()), ""));
    }
    if !ended.status.success() {
        let complaint = flake.scrub(&ended.stderr);
        return Err(unreachable(last_lines(&complaint), &complaint));
    }
    let mut answer = Refs::parse(&ended.stdout);
    if let Some(default) = answer.default.clone().filter(|_| name == HEAD) {
        // Of HEAD itself the listing has the commit.
        answer.branches.extend(at_head(&ended.stdout).map(|commit| (default, commit)));
    }
    let found = answer.branch(&name).map(|(_, commit)| commit).or(answer.tags.get(&name).map(String::as_str));
    match found {
        Some(commit) => Ok(Some(commit.to_owned())),
        None => {
            let advice = answer.advice(&name);
            Err(ResolveError::UnknownRevision { revision: name, flake: shown, advice })
        }
    }
}

/// The commit of HEAD in a listing.
fn at_head(listing: &str) -> Option<String> {
    let mut pairs = listing.lines().filter_map(|line| line.split_once('\t'));
    pairs.find(|(object, name)| *name == HEAD && is_commit(object)).map(|(commit, _)| commit.to_owned())
}
