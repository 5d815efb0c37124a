//! Replaces the parts of an output that differ from run to run, for snapshots.

use super::Host;

/// Replaces each duration with `0 s` and the directory of the host with `$DIR`.
pub fn redacted(text: &str, host: &Host) -> String {
    let text = text.replace(host.dir().to_str().unwrap(), "$DIR");
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        // A duration is a number, with an optional fraction, before ` s` and the end of a word.
        while let Some(at) = rest.find(" s") {
            let (before, after) = rest.split_at(at);
            let number = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
            let whole = !after[2..].starts_with(|c: char| c.is_alphanumeric());
            out.push_str(if whole && number.len() < before.len() { number } else { before });
            out.push_str(if whole && number.len() < before.len() { "0 s" } else { " s" });
            rest = &after[2..];
        }
        out.push_str(rest);
    }
    out
}
