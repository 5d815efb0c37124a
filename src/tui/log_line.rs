//! How a line of a log is shown: coloured by its level, and without the beginning of store paths.

use super::Tone;
use std::borrow::Cow;
use std::ops::Range;

/// The beginning of a store path, and the length of the hash after it.
const STORE: &str = "/nix/store/";
const HASH: usize = 32;
/// Words that start a failure or a warning, in lower case.
const FAILURES: [&str; 9] =
    ["error", "errors", "failed", "failure", "fatal", "panicked", "emerg", "crit", "segfault"];
const WARNINGS: [&str; 3] = ["warning", "warnings", "warn"];
/// Words that deny the next one, as in `0 failed`.
const DENIALS: [&str; 4] = ["0", "no", "not", "without"];

/// The tone of a line: failures, warnings, and the commands that a job runs.
pub(super) fn tone(line: &str) -> Tone {
    if line.starts_with("$ ") {
        return Tone::Title;
    }
    let mut found = Tone::Plain;
    let mut before = "";
    for word in line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let is = |words: &[&str]| words.iter().any(|other| word.eq_ignore_ascii_case(other));
        let is_denied = DENIALS.iter().any(|other| before.eq_ignore_ascii_case(other));
        if !is_denied && is(&FAILURES) {
            return Tone::Bad;
        }
        if !is_denied && is(&WARNINGS) {
            found = Tone::Warn;
        }
        before = word;
    }
    found
}

/// A line whose store paths begin with their names: `nixos-system-web1-26.05/bin/switch-to-configuration`.
#[derive(Debug)]
pub(super) struct ShownLine<'a> {
    /// The line.
    pub(super) text: Cow<'a, str>,
    /// What was removed from the original line, in bytes.
    removed: Vec<Range<usize>>,
}

impl<'a> ShownLine<'a> {
    /// The line as it is.
    pub(super) fn whole(text: Cow<'a, str>) -> Self {
        Self { text, removed: Vec::new() }
    }

    /// The line with shortened store paths.
    pub(super) fn short(line: Cow<'a, str>) -> Self {
        let is_hash = |hash: &str| hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let removed = line.match_indices(STORE).filter_map(|(at, _)| {
            let end = at + STORE.len() + HASH;
            let hash = line.get(at + STORE.len()..end)?;
            (is_hash(hash) && line[end..].starts_with('-')).then_some(at..end + 1)
        });
        let removed: Vec<_> = removed.collect();
        if removed.is_empty() {
            return Self::whole(line);
        }
        let (mut text, mut from) = (String::with_capacity(line.len()), 0);
        for range in &removed {
            text.push_str(&line[from..range.start]);
            from = range.end;
        }
        text.push_str(&line[from..]);
        Self { text: text.into(), removed }
    }

    /// Where this range of the original line is in the shown one. What was removed is empty.
    pub(super) fn map(&self, range: &Range<usize>) -> Range<usize> {
        self.place(range.start)..self.place(range.end)
    }

    fn place(&self, at: usize) -> usize {
        let before = |range: &Range<usize>| range.end.min(at).saturating_sub(range.start);
        at - self.removed.iter().map(before).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str =
        "/nix/store/gcdakmf77z04l41z9riy19c130j3qa7v-nixos-system-web1/bin/switch-to-configuration";

    #[test]
    fn a_line_is_coloured_by_its_level() {
        for (line, expected) in [
            ("nginx: [emerg] bind() to 0.0.0.0:9100 failed (98: Address already in use)", Tone::Bad),
            ("error: builder for 'x' failed", Tone::Bad),
            ("warning: Git tree is dirty", Tone::Warn),
            ("warning: the following units failed: nginx.service", Tone::Bad),
            ("switch done: 0 failed, no errors", Tone::Plain),
            ("terrors of failedness", Tone::Plain),
            ("$ /bin/true", Tone::Title),
            ("", Tone::Plain),
        ] {
            assert_eq!(tone(line), expected, "{line}");
        }
    }

    #[test]
    fn store_paths_begin_with_their_names() {
        let line = format!("$ {PATH} test {PATH}");
        let shown = ShownLine::short(line.as_str().into());
        let short = "nixos-system-web1/bin/switch-to-configuration";
        assert_eq!(shown.text, format!("$ {short} test {short}"));
        let at = line.rfind("switch").unwrap();
        assert_eq!(&shown.text[shown.map(&(at..at + 6))], "switch");
        let hash = line.find("gcd").unwrap();
        assert!(shown.map(&(hash..hash + 5)).is_empty());
        for whole in ["/nix/store/short-name", "/nix/store/", "no path"] {
            assert_eq!(ShownLine::short(whole.into()).text, whole);
        }
    }
}
