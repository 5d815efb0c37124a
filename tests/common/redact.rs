//! What differs from run to run, made the same for snapshots.

use super::Host;

/// The text with every duration as `0 s` and the folder of the host as `$DIR`.
pub fn redacted(text: &str, host: &Host) -> String {
    let text = text.replace(host.folder().to_str().unwrap(), "$DIR");
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        // A number before ` s` and a word's end, with or without a fraction.
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
