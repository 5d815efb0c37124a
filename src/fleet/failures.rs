//! Failures of many hosts: those with the same cause together.

use crate::protocol::{DeployReport, ErrorCode, Name, Status, fit_start, printable};
use std::collections::HashMap;

/// What stands for texts in which hosts differ.
const DIFFERS: &str = "…";
/// What a number may be followed by.
const UNITS: [&str; 13] = ["", "s", "ms", "us", "min", "h", "d", "B", "KiB", "MiB", "GiB", "TiB", "Z"];
/// Within how many bytes a derivation is named, and what became of it.
const NAMED: usize = 400;
/// How many characters the hash of a store path has.
const HASH: usize = 32;

/// Hosts on which a deployment failed alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// Why, in words. Where hosts name themselves, times, numbers or hashes, and these differ, `…` stands for them.
    pub cause: String,
    /// The hosts, in the order they came.
    pub hosts: Vec<Name>,
}

/// The failures and refusals among some reports by their cause: first what has hit most hosts.
pub fn failure_groups<'a>(reports: impl IntoIterator<Item = &'a DeployReport>) -> Vec<FailureGroup> {
    let mut groups: Vec<(Vec<Piece>, Vec<Name>)> = Vec::new();
    let mut known = HashMap::new();
    for report in reports {
        if !matches!(report.status, Status::Failed | Status::Rejected) {
            continue;
        }
        let pieces = pieces(&cause(report), report.hostname.as_str());
        let key: String = pieces.iter().map(Piece::key).collect();
        let at = *known.entry(key).or_insert(groups.len());
        let Some((cause, hosts)) = groups.get_mut(at) else {
            groups.push((pieces, vec![report.hostname.clone()]));
            continue;
        };
        for (piece, other) in cause.iter_mut().zip(pieces) {
            if piece.text != other.text {
                DIFFERS.clone_into(&mut piece.text);
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

/// Why a job failed or was rejected, in a few words where its report allows: `build of linux-6.12.9 failed`.
pub fn cause(report: &DeployReport) -> String {
    let message = printable(&report.message);
    let code = report.error.as_ref().map(|error| printable(error.as_str()));
    if report.error == Some(ErrorCode::BuildFailed) {
        let said = [Some(report.message.as_str()), report.diagnostics.as_deref()];
        if let Some(cause) = said.into_iter().flatten().find_map(failed_build) {
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

/// What stands before the name of a derivation where nix, old or new, tells that it did not build: the surest first.
const BEFORE: [&str; 4] =
    ["hash mismatch in fixed-output derivation ", "builder for ", "annot build ", "build of "];

/// Which derivation did not build. Reads a long output but once.
fn failed_build(text: &str) -> Option<String> {
    let mut best = None;
    for (at, _) in text.match_indices('\'') {
        let before = &text[..at];
        let Some(kind) = BEFORE.iter().position(|words| before.ends_with(words)) else { continue };
        if best.as_ref().is_none_or(|(known, _)| kind < *known)
            && let Some(name) = named(kind, &text[at + 1..])
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

/// The name of a derivation that stands before a quote, where what follows says that it did not build.
fn named(kind: usize, rest: &str) -> Option<String> {
    // Colours stand only around the name.
    let rest = printable(fit_start(rest, NAMED));
    let (path, after) = rest.split_once('\'')?;
    let after = after.trim_start();
    let failed = match kind {
        0 => true,
        // What only waited for another one is not the cause.
        2 => !after.chars().take(60).collect::<String>().contains("dependenc"),
        _ => after.starts_with("failed"),
    };
    failed.then(|| store_name(path)).filter(|name| !name.is_empty())
}

/// `linux-6.12.9` of `/nix/store/HASH-linux-6.12.9.drv`.
fn store_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let file = file.strip_suffix(".drv").unwrap_or(file);
    file.get(HASH..).and_then(|rest| rest.strip_prefix('-')).unwrap_or(file).to_owned()
}

/// A piece of a sentence.
struct Piece {
    text: String,
    /// For what may differ between hosts: what kind of thing it is.
    kind: Option<&'static str>,
}

impl Piece {
    /// The same for pieces that mean the same. What is printable holds no NUL.
    fn key(&self) -> &str {
        self.kind.unwrap_or(&self.text)
    }
}

/// A sentence in pieces: what every host would say the same, and what is its own.
fn pieces(text: &str, host: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(host) {
        let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let end = at + host.len();
        if at >= from && is_end(text[..at].chars().next_back()) && is_end(text[end..].chars().next()) {
            split(&text[from..at], &mut pieces);
            push(&mut pieces, host, Some("\0host"));
            from = end;
        }
    }
    split(&text[from..], &mut pieces);
    pieces
}

/// Splits what holds no name of the host.
fn split(text: &str, pieces: &mut Vec<Piece>) {
    let inside = |c: char| c.is_alphanumeric() || "._-+".contains(c);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = inside(first);
        let end = rest.find(|c| inside(c) != is_word).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        let word = run.trim_matches(['.', '-', '+', '_']);
        // A full stop belongs to the sentence, not to its last word.
        let (before, behind) = run.split_once(word).filter(|_| !word.is_empty()).unwrap_or((run, ""));
        push(pieces, before, None);
        if word.is_empty() {
            continue;
        }
        if is_number(word) {
            push(pieces, word, Some("\0number"));
        } else if is_id(word) {
            push(pieces, word, Some("\0id"));
        } else if let Some((hash, name)) = hashed(word) {
            push(pieces, hash, Some("\0id"));
            push(pieces, name, None);
        } else {
            push(pieces, word, None);
        }
        push(pieces, behind, None);
    }
}

fn push(pieces: &mut Vec<Piece>, text: &str, kind: Option<&'static str>) {
    match pieces.last_mut() {
        Some(last) if kind.is_none() && last.kind.is_none() => last.text.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece { text: text.to_owned(), kind }),
    }
}

/// `60`, `1.5s`, `2026-11-21T12`.
fn is_number(word: &str) -> bool {
    let body = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    body.starts_with(|c: char| c.is_ascii_digit())
        && body.chars().all(|c| c.is_ascii_digit() || ".-+T".contains(c))
        && UNITS.contains(&&word[body.len()..])
}

/// A commit, or the id of a job.
fn is_id(word: &str) -> bool {
    word.len() >= HASH && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// The hash of a store path, and what follows.
fn hashed(word: &str) -> Option<(&str, &str)> {
    let (hash, name) = word.split_at_checked(HASH)?;
    let of_hash = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    (name.starts_with('-') && hash.bytes().all(of_hash)).then_some((hash, name))
}
