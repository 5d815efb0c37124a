//! Makes what nix says of an error short enough to read.

use crate::nix::progress::store_name;
use crate::protocol::printable;
use serde_json::Value;

/// `last 10 log lines:` and what newer versions of nix say.
pub(super) fn begins_log(line: &str) -> bool {
    let line = line.to_lowercase();
    line.starts_with("last ") || line.starts_with("output paths") || line.starts_with("for full logs")
}

/// `flake.nix:3:7`, where the error has a place in a file.
pub(super) fn place(event: &Value) -> Option<String> {
    let (file, line, column) = (event["file"].as_str()?, event["line"].as_u64()?, event["column"].as_u64()?);
    let place = format!(":{line}:{column}");
    // nix 2.26 has the place in the file already.
    let file = printable(file.strip_suffix(&place).unwrap_or(file));
    // The flake lies in the store as `HASH-source`.
    let file = file.split_once("-source/").map_or(file.as_str(), |(_, file)| file);
    Some(format!("{file}{place}"))
}

/// `'/nix/store/HASH-linux-6.12.9.drv'` as `'linux-6.12.9'`.
pub(super) fn names_for_paths(text: &str) -> String {
    let shorter = |quoted: &str| {
        let file = quoted.rsplit('/').next().unwrap_or_default();
        let hashed = quoted.starts_with('/') && file.as_bytes().get(32) == Some(&b'-');
        if hashed { store_name(quoted) } else { quoted.to_owned() }
    };
    text.split('\'').map(shorter).collect::<Vec<_>>().join("'")
}
