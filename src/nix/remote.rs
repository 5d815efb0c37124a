//! Runs `git ls-remote`: the one question to the remote that no cache answers.

use super::refs::Refs;
use super::{FlakeUrl, ResolveError, process};
use crate::protocol::{Revision, fit_end, printable};
use std::io;

/// The most of a listing that is read, in bytes; some hundred thousand refs.
const MAX_LISTING: u64 = 64 << 20;
/// The last lines that are told, and their bytes.
const TOLD_LINES: usize = 3;
const TOLD_BYTES: usize = 1024;

/// Asks the remote for its refs. Dropping the future kills git and all that it started.
pub(super) async fn refs(flake: &FlakeUrl, remote: &str, revision: &Revision) -> Result<Refs, ResolveError> {
    let failed = |source: io::Error| {
        let (revision, flake) = (revision.to_string(), flake.without_credentials());
        if source.kind() == io::ErrorKind::NotFound {
            ResolveError::NoGit { revision, flake }
        } else {
            ResolveError::Git { revision, flake, source }
        }
    };
    let mut command = process::command("git");
    command.args(["ls-remote", "--symref", "--", remote, "HEAD", "refs/heads/*", "refs/tags/*"]);
    if remote.starts_with("ssh://") {
        process::quiet_ssh(&mut command).await.map_err(failed)?;
    }
    let ended = process::run(command, MAX_LISTING).await.map_err(failed)?;
    if ended.status.success() {
        return Ok(Refs::parse(&ended.stdout));
    }
    let complaint = flake.scrub(&ended.stderr);
    Err(ResolveError::Unreachable {
        revision: revision.to_string(),
        flake: flake.without_credentials(),
        said: last_lines(&complaint).unwrap_or_else(|| format!("git ended with {}", ended.status)),
        advice: advice(&complaint),
    })
}

/// What a program said last, on one line; nothing where it said nothing.
pub(super) fn last_lines(complaint: &str) -> Option<String> {
    let said = |line: &&str| {
        // The end of every failure over ssh; it says nothing that the advice does not.
        !line.trim().is_empty()
            && !line.starts_with("Please make sure you have the correct access rights")
            && !line.starts_with("and the repository exists.")
            // The advice says it better.
            && !line.starts_with("To add an exception for this directory")
            && !line.contains("--add safe.directory")
    };
    let mut lines: Vec<String> =
        complaint.lines().rev().filter(said).take(TOLD_LINES).map(printable).collect();
    lines.reverse();
    (!lines.is_empty()).then(|| fit_end(&lines.join("; "), TOLD_BYTES).to_owned())
}

/// What to do about a remote that did not give what was asked.
pub(super) fn advice(complaint: &str) -> &'static str {
    let complaint = complaint.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    if says(&["dubious ownership", "unsafe repository"]) {
        "the repository belongs to another user: give it to the user that runs this, or let that user's git trust it with \
         `git config --global --add safe.directory PATH` (on NixOS `programs.git.config.safe.directory`)"
    } else if says(&["host key verification failed"]) {
        "add the server's key to this user's known_hosts"
    } else if says(&["authentication failed", "could not read username", "could not read password"])
        || says(&["permission denied", "access denied", "error: 401", "error: 403"])
    {
        "give this host a deploy key or credentials that may read the repository, and check that it exists"
    } else if says(&["not found", "not exist", "not appear to be a git repository", "no such repository"]) {
        "check the flake URL"
    } else {
        "check the flake URL and this host's way to the server, then deploy again"
    }
}
