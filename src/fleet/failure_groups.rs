//! Groups the failures of many hosts by cause.

use super::failures::{HASH_LEN, failure_cause};
use super::name_order::NaturalName;
use crate::protocol::{DeployReport, Name, Status};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Replaces the parts of a message that differ between hosts.
const PLACEHOLDER: &str = "…";
/// The units that may follow a number.
const UNITS: [&str; 13] = ["", "s", "ms", "us", "min", "h", "d", "B", "KiB", "MiB", "GiB", "TiB", "Z"];

/// The hosts on which a deployment failed with the same cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    /// The cause. Host names, times, numbers and hashes that differ between the hosts are replaced with `…`.
    pub cause: String,
    /// The hosts, in natural order.
    pub hosts: Vec<Name>,
}

/// The failures of many hosts by cause. Reports are added and removed without looking at the others.
#[derive(Debug, Clone, Default)]
pub struct FailureGroups {
    /// The groups by what is equal in their messages.
    groups: HashMap<String, SameCause>,
    changes: u64,
}

/// Failures whose messages differ only in host names, times, numbers and hashes.
#[derive(Debug, Clone, PartialEq)]
struct SameCause {
    parts: Vec<CausePart>,
    /// The hosts, each with its number of reports.
    hosts: BTreeMap<NaturalName, usize>,
}

/// A part of the message of a group.
#[derive(Debug, Clone, PartialEq)]
enum CausePart {
    /// It is equal on all hosts.
    Equal(String),
    /// It may differ: what the hosts reported, each with its number of reports.
    Reported(HashMap<String, usize>),
}

/// Groups the failed and rejected reports by cause, largest group first. A cancelled job has not failed.
pub fn failure_groups<'a>(reports: impl IntoIterator<Item = &'a DeployReport>) -> Vec<FailureGroup> {
    let mut groups = FailureGroups::default();
    reports.into_iter().for_each(|report| groups.add(report));
    groups.all()
}

impl FailureGroups {
    /// A number that changes with the groups.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Adds a report if it is a failure or a rejection.
    pub fn add(&mut self, report: &DeployReport) {
        let Some((key, tokens)) = tokens_of(report) else { return };
        self.changes += 1;
        let group = self.groups.entry(key).or_insert_with(|| SameCause::of(&tokens));
        *group.hosts.entry(NaturalName(report.hostname.clone())).or_default() += 1;
        for (reported, token) in group.reported(tokens) {
            *reported.entry(token.text).or_default() += 1;
        }
    }

    /// Removes a report that was added.
    pub fn remove(&mut self, report: &DeployReport) {
        let Some((key, tokens)) = tokens_of(report) else { return };
        let Some(group) = self.groups.get_mut(&key) else { return };
        self.changes += 1;
        let host = NaturalName(report.hostname.clone());
        if let Some(count) = group.hosts.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                group.hosts.remove(&host);
            }
        }
        for (reported, token) in group.reported(tokens) {
            if let Some(count) = reported.get_mut(&token.text) {
                *count -= 1;
                if *count == 0 {
                    reported.remove(&token.text);
                }
            }
        }
        if group.hosts.is_empty() {
            self.groups.remove(&key);
        }
    }

    /// The groups, the largest first.
    pub fn all(&self) -> Vec<FailureGroup> {
        let mut groups: Vec<_> = self.groups.values().collect();
        groups.sort_unstable_by_key(|group| {
            (Reverse(group.hosts.len()), group.hosts.first_key_value().map(|(name, _)| name), group.cause())
        });
        let group = |group: &SameCause| FailureGroup {
            cause: group.cause(),
            hosts: group.hosts.keys().map(|name| name.0.clone()).collect(),
        };
        groups.into_iter().map(group).collect()
    }

    /// The hosts that failed with the cause of this report, in natural order.
    pub fn hosts_like(&self, report: &DeployReport) -> impl Iterator<Item = &Name> {
        let group = tokens_of(report).and_then(|(key, _)| self.groups.get(&key));
        group.into_iter().flat_map(|group| group.hosts.keys().map(|name| &name.0))
    }
}

/// Equal failures in any order are equal.
impl PartialEq for FailureGroups {
    fn eq(&self, other: &Self) -> bool {
        self.groups == other.groups
    }
}

impl SameCause {
    fn of(tokens: &[CauseToken]) -> Self {
        let part = |token: &CauseToken| match token.kind {
            None => CausePart::Equal(token.text.clone()),
            Some(_) => CausePart::Reported(HashMap::new()),
        };
        Self { parts: tokens.iter().map(part).collect(), hosts: BTreeMap::new() }
    }

    /// The parts that may differ, each with that of one message.
    fn reported(
        &mut self,
        tokens: Vec<CauseToken>,
    ) -> impl Iterator<Item = (&mut HashMap<String, usize>, CauseToken)> {
        self.parts.iter_mut().zip(tokens).filter_map(|(part, token)| match part {
            CausePart::Equal(_) => None,
            CausePart::Reported(reported) => Some((reported, token)),
        })
    }

    fn cause(&self) -> String {
        let text = |part: &CausePart| match part {
            CausePart::Equal(text) => text.clone(),
            CausePart::Reported(reported) => match reported.keys().next() {
                Some(text) if reported.len() == 1 => text.clone(),
                _ => PLACEHOLDER.to_owned(),
            },
        };
        self.parts.iter().map(text).collect()
    }
}

/// The parts of the message of a failure, and what is equal in all messages of its group.
fn tokens_of(report: &DeployReport) -> Option<(String, Vec<CauseToken>)> {
    if !matches!(report.status, Status::Failed | Status::Rejected) || report.is_cancelled() {
        return None;
    }
    let tokens = tokenize(&failure_cause(report), report.hostname.as_str());
    Some((tokens.iter().map(CauseToken::key).collect(), tokens))
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
