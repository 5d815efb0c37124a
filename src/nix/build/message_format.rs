//! Shortens the error messages of nix.

use crate::nix::progress::store_name;
use crate::text::printable;
use serde_json::Value;

/// Whether a line ends the message and starts the log: `last 10 log lines:`, or the equivalents of newer versions of nix.
pub(super) fn starts_log(line: &str) -> bool {
    let line = line.to_lowercase();
    line.starts_with("last ") || line.starts_with("output paths") || line.starts_with("for full logs")
}

/// The location of an error in a file, as in `flake.nix:3:7`.
pub(super) fn location(event: &Value) -> Option<String> {
    let (file, line, column) = (event["file"].as_str()?, event["line"].as_u64()?, event["column"].as_u64()?);
    let location = format!(":{line}:{column}");
    // nix 2.26 includes line and column in the file name.
    let file = printable(file.strip_suffix(&location).unwrap_or(file));
    // The flake's store path ends in `-source`.
    let file = file.split_once("-source/").map_or(file.as_str(), |(_, file)| file);
    Some(format!("{file}{location}"))
}

/// Shortens `'/nix/store/HASH-linux-6.12.9.drv'` to `'linux-6.12.9'`.
pub(super) fn shorten_store_paths(text: &str) -> String {
    let shorten = |quoted: &str| {
        let file = quoted.rsplit('/').next().unwrap_or_default();
        let is_store_path = quoted.starts_with('/') && file.as_bytes().get(32) == Some(&b'-');
        if is_store_path { store_name(quoted) } else { quoted.to_owned() }
    };
    text.split('\'').map(shorten).collect::<Vec<_>>().join("'")
}
