//! Runs `git ls-remote`: the one question to the remote that no cache answers.

use super::process::{self, Ended, Limits};
use super::refs::{HEAD, Refs};
use super::{FlakeUrl, ResolveError, access_tokens, ssh};
use crate::protocol::{Revision, fit_end, fit_start, printable};
use std::io;

/// The most of a listing that is read, in bytes; about a hundred thousand refs.
const MAX_LISTING: u64 = 8 << 20;
/// The most memory that git may take for it, in bytes of addresses.
const MAX_MEMORY: u64 = 1 << 30;
/// The last lines that are told, and their bytes.
const TOLD_LINES: usize = 3;
const TOLD_BYTES: usize = 1024;
/// The most of the line that tells the reason, in bytes: room for the longest path.
const REASON_BYTES: usize = 4096 + 256;

/// Asks the remote for its refs. Dropping the future kills git and all that it started.
pub(super) async fn refs(flake: &FlakeUrl, remote: &str, revision: &Revision) -> Result<Refs, ResolveError> {
    let failed = |source: io::Error| failed(flake, revision, source);
    let names = [remote, HEAD, "refs/heads/*", "refs/tags/*"];
    let limits = Limits { output: MAX_LISTING, memory: Some(MAX_MEMORY) };
    let mut ended = list(flake, &names, limits).await.map_err(failed)?;
    let lent = access_tokens::lacking(flake, &ended).await;
    if let Some(lent) = &lent {
        ended = list(lent, &names, limits).await.map_err(failed)?;
    }
    let flake = lent.as_ref().unwrap_or(flake);
    if ended.stdout.len() as u64 >= MAX_LISTING {
        return Err(ResolveError::Unreachable {
            revision: revision.to_string(),
            flake: flake.without_credentials(),
            said: format!("its list of branches and tags is longer than {} MiB", MAX_LISTING >> 20),
            advice: "remove branches and tags that are not needed",
        });
    }
    if ended.status.success() {
        return Ok(Refs::parse(&ended.stdout));
    }
    Err(unreachable(flake, revision, &ended))
}

/// Runs `git ls-remote` with the credentials of the flake; `names` are the remote and the refs.
pub(super) async fn list(flake: &FlakeUrl, names: &[&str], limits: Limits) -> io::Result<Ended> {
    let mut command = process::command("git");
    command.args(["ls-remote", "--symref", "--"]).args(names);
    flake.give_credentials(&mut command);
    if names.first().is_some_and(|remote| remote.starts_with("ssh://")) {
        ssh::quiet_ssh(&mut command).await?;
    }
    process::run_within(command, limits).await
}

/// Why a git that was to reach the remote did not.
pub(super) fn unreachable(flake: &FlakeUrl, revision: &Revision, ended: &Ended) -> ResolveError {
    let complaint = flake.scrub(&ended.stderr);
    ResolveError::Unreachable {
        revision: revision.to_string(),
        flake: flake.without_credentials(),
        said: last_lines(&complaint).unwrap_or_else(|| format!("git ended with {}", ended.status)),
        advice: advice_for(flake, &complaint),
    }
}

/// Why git could not be run.
pub(super) fn failed(flake: &FlakeUrl, revision: &Revision, source: io::Error) -> ResolveError {
    let (revision, flake) = (revision.to_string(), flake.without_credentials());
    if source.kind() == io::ErrorKind::NotFound {
        ResolveError::NoGit { revision, flake }
    } else {
        ResolveError::Git { revision, flake, source }
    }
}

/// What a program said last, on one line, and before that the line that tells the reason if it stands further up; nothing
/// where it said nothing.
pub(super) fn last_lines(complaint: &str) -> Option<String> {
    let said = |line: &&str| {
        // The end of every failure over ssh; it says nothing that the advice does not.
        !line.trim().is_empty()
            && !line.starts_with("Please make sure you have the correct access rights")
            && !line.starts_with("and the repository exists.")
            && !line.starts_with("hint:")
            // The advice says it better.
            && !line.starts_with("To add an exception for this directory")
            && !line.contains("--add safe.directory")
    };
    let lines: Vec<String> = complaint.lines().filter(said).map(printable).collect();
    let last = lines.len().saturating_sub(TOLD_LINES);
    let reason = lines.iter().position(|line| tells_reason(line));
    let told = match reason {
        Some(at) if at < last => [&lines[at..=at], &lines[last + 1..]].concat(),
        _ => lines[last..].to_vec(),
    };
    let text = told.join("; ");
    let text = match reason {
        // Without what follows rather than without its beginning.
        Some(at) if text.len() > TOLD_BYTES => fit_start(&lines[at], REASON_BYTES).to_owned(),
        _ => fit_end(&text, TOLD_BYTES).to_owned(),
    };
    (!text.is_empty()).then_some(text)
}

/// Whether a line of git or ssh is the reason of a failure, and not a consequence or advice.
fn tells_reason(line: &str) -> bool {
    let consequences = [
        "fatal: Could not read from remote repository",
        "fatal: the remote end hung up",
        "fatal: early EOF",
        "fatal: fetch-pack:",
        "fatal: index-pack failed",
        "error: failed to push some refs",
    ];
    let starts = ["fatal: ", "error: ", "ssh: ", "Host key for "];
    (starts.iter().any(|start| line.starts_with(start)) || line.contains(" host key is known for "))
        && !consequences.iter().any(|start| line.starts_with(start))
}

/// Whether a program was denied something that it asked for.
pub(super) fn is_denied(complaint: &str) -> bool {
    let complaint = complaint.to_lowercase();
    let words =
        ["permission denied", "host key verification failed", "authentication failed", "access denied"];
    words
        .iter()
        .chain(&["could not read username", "error: 401", "error: 403", "error: 404"])
        .any(|word| complaint.contains(word))
}

/// What to do about the repository of a flake that did not give what was asked.
pub(super) fn advice_for(flake: &FlakeUrl, complaint: &str) -> &'static str {
    let lower = complaint.to_lowercase();
    let is_denied = is_denied(complaint)
        || ["not found", "error 401", "error 403", "error 404"].iter().any(|word| lower.contains(word));
    if flake.forge().is_some() && is_denied {
        "check that it exists; if it is private, give this host a token that may read it: `access-tokens = HOST=TOKEN` in the \
         configuration of nix, or a line for the host in the file of --flake-credentials"
    } else {
        advice(complaint)
    }
}

/// What to do about a remote that did not give what was asked.
pub(super) fn advice(complaint: &str) -> &'static str {
    let not_there = ["not found", "not exist", "not appear to be a git repository", "no such repository"];
    access_advice(complaint).unwrap_or_else(|| {
        let complaint = complaint.to_lowercase();
        if not_there.iter().any(|word| complaint.contains(word)) {
            "check the flake URL"
        } else {
            "check the flake URL and this host's way to the server, then deploy again"
        }
    })
}

/// What to do where access is refused, on either side.
pub fn access_advice(complaint: &str) -> Option<&'static str> {
    let complaint = complaint.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    let advice = if says(&["dubious ownership", "unsafe repository"]) {
        "the repository belongs to another user: give it to the user that runs this, or let that user's git trust it with \
         `git config --global --add safe.directory PATH` (on NixOS `programs.git.config.safe.directory`)"
    } else if says(&["remote host identification has changed"])
        || says(&["host key for "]) && says(&["has changed"])
    {
        "the server has another ssh host key than this user's known_hosts: if it was changed on purpose, replace it there \
         (`ssh-keygen -R HOST` removes the old one), else another machine answers in its place"
    } else if says(&["host key verification failed"]) {
        "add the server's key to this user's known_hosts"
    } else if says(&["permission denied ("]) && says(&["publickey"]) {
        "give this user an ssh key that may read the repository, such as a deploy key, and check that it exists; a key with a \
         passphrase works only through an ssh agent"
    } else if says(&["authentication failed", "could not read username", "could not read password"])
        || says(&["permission denied", "access denied", "error: 401", "error: 403"])
    {
        "give this host a deploy key or credentials that may read the repository, and check that it exists"
    } else {
        return None;
    };
    Some(advice)
}
