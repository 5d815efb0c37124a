//! Groups the failures of many hosts by cause.

use crate::protocol::{DeployReport, ErrorCode, Name, Status};
use crate::text::{fitting_prefix, printable};
use std::collections::HashMap;

/// Replaces the parts of a message that differ between hosts.
const PLACEHOLDER: &str = "…";
/// The units that may follow a number.
const UNITS: [&str; 13] = ["", "s", "ms", "us", "min", "h", "d", "B", "KiB", "MiB", "GiB", "TiB", "Z"];
/// The maximum distance in bytes between a quote and the text that says what happened to the derivation.
const MAX_QUOTED: usize = 400;
/// The length of a store path hash, in characters.
const HASH_LEN: usize = 32;

/// The hosts on which a deployment failed with the same cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// The cause. Host names, times, numbers and hashes that differ between the hosts are replaced with `…`.
    pub cause: String,
    /// The hosts, in the order of their reports.
    pub hosts: Vec<Name>,
}

/// Groups the failed and rejected reports by cause, largest group first. A cancelled job has not failed.
pub fn failure_groups<'a>(reports: impl IntoIterator<Item = &'a DeployReport>) -> Vec<FailureGroup> {
    let mut groups: Vec<(Vec<CauseToken>, Vec<Name>)> = Vec::new();
    let mut known = HashMap::new();
    for report in reports {
        if !matches!(report.status, Status::Failed | Status::Rejected) || report.is_cancelled() {
            continue;
        }
        let pieces = tokenize(&failure_cause(report), report.hostname.as_str());
        let key: String = pieces.iter().map(CauseToken::key).collect();
        let at = *known.entry(key).or_insert(groups.len());
        let Some((cause, hosts)) = groups.get_mut(at) else {
            groups.push((pieces, vec![report.hostname.clone()]));
            continue;
        };
        for (piece, other) in cause.iter_mut().zip(pieces) {
            if piece.text != other.text {
                PLACEHOLDER.clone_into(&mut piece.text);
            }
        }
        hosts.push(report.hostname.clone());
    }
    let groups = groups.into_iter().map(|(cause, hosts)| {
        let cause = cause.into_iter().map(|piece| piece.text).collect();
        FailureGroup { cause, hosts }
    });
    let mut groups: Vec<_> = groups.collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.hosts.len()));
    groups
}

/// The cause of a failure or rejection; short if the report allows it: `build of linux-6.12.9 failed`.
pub fn failure_cause(report: &DeployReport) -> String {
    let message = printable(&report.message);
    let code = report.error.as_ref().map(ErrorCode::words);
    if report.error == Some(ErrorCode::BuildFailed) {
        let texts = [Some(report.message.as_str()), report.diagnostics.as_deref()];
        if let Some(cause) = texts.into_iter().flatten().find_map(failed_build) {
            return cause;
        }
    }
    match code {
        Some(code) if message.is_empty() => code,
        Some(code) => format!("{code}: {message}"),
        None if message.is_empty() => report.status.to_string(),
        None => message,
    }
}

/// The cause of a failure in words, without the error code.
pub fn failure_reason(report: &DeployReport) -> String {
    let is_short = report.error == Some(ErrorCode::BuildFailed) || report.message.is_empty();
    if is_short { failure_cause(report) } else { printable(&report.message) }
}

/// The text that precedes a failed derivation's name in the output of old and new nix versions, most reliable first.
const FAILURE_PREFIXES: [&str; 4] =
    ["hash mismatch in fixed-output derivation ", "builder for ", "annot build ", "build of "];

/// Finds the derivation that failed to build, in one pass over the output.
fn failed_build(text: &str) -> Option<String> {
    let mut best = None;
    for (at, _) in text.match_indices('\'') {
        let before = &text[..at];
        let Some(kind) = FAILURE_PREFIXES.iter().position(|words| before.ends_with(words)) else { continue };
        if best.as_ref().is_none_or(|(known, _)| kind < *known)
            && let Some(name) = failed_derivation(kind, &text[at + 1..])
        {
            best = Some((kind, name));
        }
    }
    best.map(
        |(kind, name)| {
            if kind == 0 { format!("hash mismatch in {name}") } else { format!("build of {name} failed") }
        },
    )
}

/// The name of the derivation before the closing quote, if the text after it says that the build failed.
fn failed_derivation(kind: usize, rest: &str) -> Option<String> {
    // Nix colours only the name.
    let rest = printable(fitting_prefix(rest, MAX_QUOTED));
    let (path, after) = rest.split_once('\'')?;
    let after = after.trim_start();
    let failed = match kind {
        0 => true,
        // A derivation that only waited for a failed dependency is not the cause.
        2 => !after.chars().take(60).collect::<String>().contains("dependenc"),
        _ => after.starts_with("failed"),
    };
    failed.then(|| store_name(path)).filter(|name| !name.is_empty())
}

/// Returns `linux-6.12.9` for `/nix/store/HASH-linux-6.12.9.drv`.
fn store_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let file = file.strip_suffix(".drv").unwrap_or(file);
    file.get(HASH_LEN..).and_then(|rest| rest.strip_prefix('-')).unwrap_or(file).to_owned()
}

/// A part of a message.
struct CauseToken {
    text: String,
    /// The kind of a part that may differ between hosts.
    kind: Option<&'static str>,
}

impl CauseToken {
    /// A key that is equal for parts with the same meaning. It cannot collide with printable text, which contains no
    /// NUL.
    fn key(&self) -> &str {
        self.kind.unwrap_or(&self.text)
    }
}

/// Splits a message into the parts that are equal on every host and the parts that differ.
fn tokenize(text: &str, host: &str) -> Vec<CauseToken> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(host) {
        let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let end = at + host.len();
        if at >= from && is_end(text[..at].chars().next_back()) && is_end(text[end..].chars().next()) {
            split_words(&text[from..at], &mut pieces);
            push_token(&mut pieces, host, Some("\0host"));
            from = end;
        }
    }
    split_words(&text[from..], &mut pieces);
    pieces
}

/// Splits text that does not contain the host name.
fn split_words(text: &str, pieces: &mut Vec<CauseToken>) {
    let inside = |c: char| c.is_alphanumeric() || "._-+".contains(c);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = inside(first);
        let end = rest.find(|c| inside(c) != is_word).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        let word = run.trim_matches(['.', '-', '+', '_']);
        // A trailing full stop belongs to the sentence, not to the word.
        let (before, behind) = run.split_once(word).filter(|_| !word.is_empty()).unwrap_or((run, ""));
        push_token(pieces, before, None);
        if word.is_empty() {
            continue;
        }
        if is_number(word) {
            push_token(pieces, word, Some("\0number"));
        } else if is_id(word) {
            push_token(pieces, word, Some("\0id"));
        } else if let Some((hash, name)) = split_store_hash(word) {
            push_token(pieces, hash, Some("\0id"));
            push_token(pieces, name, None);
        } else {
            push_token(pieces, word, None);
        }
        push_token(pieces, behind, None);
    }
}

fn push_token(pieces: &mut Vec<CauseToken>, text: &str, kind: Option<&'static str>) {
    match pieces.last_mut() {
        Some(last) if kind.is_none() && last.kind.is_none() => last.text.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(CauseToken { text: text.to_owned(), kind }),
    }
}

/// Matches `60`, `1.5s`, `2026-11-21T12`.
fn is_number(word: &str) -> bool {
    let body = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    body.starts_with(|c: char| c.is_ascii_digit())
        && body.chars().all(|c| c.is_ascii_digit() || ".-+T".contains(c))
        && UNITS.contains(&&word[body.len()..])
}

/// Matches a commit or a job id.
fn is_id(word: &str) -> bool {
    word.len() >= HASH_LEN && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Splits a store path name into its hash and the rest.
fn split_store_hash(word: &str) -> Option<(&str, &str)> {
    let (hash, name) = word.split_at_checked(HASH_LEN)?;
    let of_hash = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    (name.starts_with('-') && hash.bytes().all(of_hash)).then_some((hash, name))
}
