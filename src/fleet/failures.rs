//! The cause of a failure in a few words.

use crate::protocol::{DeployReport, ErrorCode};
use crate::text::{fitting_prefix, printable};

/// The maximum distance in bytes between a quote and the text that says what happened to the derivation.
const MAX_QUOTED: usize = 400;
/// The length of a store path hash, in characters.
pub(super) const HASH_LEN: usize = 32;

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
