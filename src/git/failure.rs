//! Describes failures of git and ssh: the lines with the reason, and what to do.

use crate::text::{fitting_prefix, fitting_suffix, printable};

/// How many of the last lines an error quotes.
const SHOWN_LINES: usize = 3;
/// Maximum length of the quoted lines, in bytes.
const SHOWN_BYTES: usize = 1024;
/// Maximum length of the line with the reason, in bytes. Enough for the longest path.
const REASON_BYTES: usize = 4096 + 256;

/// The last lines of a program's stderr on one line, starting with the line that has the reason. `None` if there are none.
pub fn last_lines(stderr: &str) -> Option<String> {
    let message = |line: &&str| {
        // Boilerplate after every ssh failure, which the advice already covers.
        !line.trim().is_empty()
            && !line.starts_with("Please make sure you have the correct access rights")
            && !line.starts_with("and the repository exists.")
            && !line.starts_with("hint:")
            // The advice is more specific.
            && !line.starts_with("To add an exception for this directory")
            && !line.contains("--add safe.directory")
    };
    let lines: Vec<String> = stderr.lines().filter(message).map(printable).collect();
    let last = lines.len().saturating_sub(SHOWN_LINES);
    let reason = lines.iter().position(|line| is_reason(line));
    let shown = match reason {
        Some(at) if at < last => [&lines[at..=at], &lines[last + 1..]].concat(),
        _ => lines[last..].to_vec(),
    };
    let text = shown.join("; ");
    let text = match reason {
        // If the lines are too long, keep the reason and drop what follows it.
        Some(at) if text.len() > SHOWN_BYTES => fitting_prefix(&lines[at], REASON_BYTES).to_owned(),
        _ => fitting_suffix(&text, SHOWN_BYTES).to_owned(),
    };
    (!text.is_empty()).then_some(text)
}

/// Whether a line of git or ssh has the reason of a failure, and not a consequence or advice.
fn is_reason(line: &str) -> bool {
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

/// Whether a program failed because access was denied.
pub fn is_denied(stderr: &str) -> bool {
    let stderr = stderr.to_lowercase();
    let words =
        ["permission denied", "host key verification failed", "authentication failed", "access denied"];
    words
        .iter()
        .chain(&["could not read username", "error: 401", "error: 403", "error: 404"])
        .any(|word| stderr.contains(word))
}

/// What to do if a repository cannot be read. nix's configuration may have a token for one `on_forge`.
pub fn read_advice(stderr: &str, on_forge: bool) -> &'static str {
    let lower = stderr.to_lowercase();
    let contains_any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let missing = ["not found", "not exist", "not appear to be a git repository", "no such repository"];
    let is_denied = is_denied(stderr) || contains_any(&["not found", "error 401", "error 403", "error 404"]);
    if on_forge && is_denied {
        "check that it exists; if it is private, give this host a token with read access: `access-tokens = HOST=TOKEN` in the \
         configuration of nix, or a line for the host in the file of --flake-credentials"
    } else if let Some(advice) = access_advice(stderr) {
        advice
    } else if contains_any(&missing) {
        "check the flake URL"
    } else {
        "check the flake URL and this host's connection to the server, then deploy again"
    }
}

/// What to do if access is denied, by the server or by this machine; `None` for other errors.
pub fn access_advice(stderr: &str) -> Option<&'static str> {
    let stderr = stderr.to_lowercase();
    let contains_any = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    let advice = if contains_any(&["dubious ownership", "unsafe repository"]) {
        "the repository belongs to another user: make the user that runs this its owner, or let that user's git trust it with \
         `git config --global --add safe.directory PATH` (on NixOS `programs.git.config.safe.directory`)"
    } else if contains_any(&["remote host identification has changed"])
        || contains_any(&["host key for "]) && contains_any(&["has changed"])
    {
        "the server's ssh host key differs from this user's known_hosts: if it was changed on purpose, replace it there \
         (`ssh-keygen -R HOST` removes the old one), otherwise another machine may impersonate the server"
    } else if contains_any(&["host key verification failed"]) {
        "add the server's key to this user's known_hosts"
    } else if contains_any(&["permission denied ("]) && contains_any(&["publickey"]) {
        "give this user an ssh key with read access, such as a deploy key, and check that the repository exists; a key with a \
         passphrase works only through an ssh agent"
    } else if contains_any(&["authentication failed", "could not read username", "could not read password"])
        || contains_any(&["permission denied", "access denied", "error: 401", "error: 403"])
    {
        "give this host a deploy key or credentials with read access, and check that the repository exists"
    } else {
        return None;
    };
    Some(advice)
}
