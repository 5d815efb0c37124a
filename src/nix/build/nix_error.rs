//! Parses the errors in nix's message stream.

use super::message_format::{location, shorten_store_paths, starts_log};
use crate::nix::FlakeUrl;
use crate::nix::progress::store_name;
use crate::text::{fitting_prefix, printable};
use serde_json::Value;

/// Maximum length of a message, in bytes.
const MAX_MESSAGE: usize = 16 << 10;

/// Lower-case fragments of the messages that nix prints if it cannot fetch a flake or one of its inputs.
const FETCH_ERRORS: [&str; 9] = [
    "while fetching the input",
    "unable to download",
    "cannot find git revision",
    "getting git object",
    "failed to fetch git",
    "git' failed with exit code",
    "cannot fetch",
    "could not resolve host",
    "couldn't resolve host",
];

/// Lower-case fragments of build errors that name no derivation.
const BUILD_ERRORS: [&str; 3] = ["no space left on device", "disk is full", "no substituter"];

/// An error message of nix.
#[derive(Debug)]
pub(super) struct NixErrorMessage {
    /// The lines of the error itself, without its trace.
    pub(super) lines: Vec<String>,
    /// The error with its trace.
    pub(super) full_text: String,
    /// The location in the flake, as in `flake.nix:3:7`.
    pub(super) location: Option<String>,
}

impl NixErrorMessage {
    /// Parses a line of the stream and redacts the flake's credentials. `None` if the line is not an error.
    pub(super) fn parse(line: &str, flake: &FlakeUrl) -> Option<Self> {
        let json = line.strip_prefix("@nix ").filter(|json| json.contains("\"msg\""))?;
        let event: Value = serde_json::from_str(json).ok()?;
        let message = event["msg"].as_str().filter(|_| event["level"] == 0)?;
        // Redacted before it is cut, because half a secret would not be recognized.
        let kept = |text: &str| fitting_prefix(&flake.redact(text), MAX_MESSAGE).to_owned();
        let full_text = printable(&kept(message));
        let raw = match event["raw_msg"].as_str() {
            Some(raw) => kept(raw),
            None => full_text.trim().strip_prefix("error:")?.to_owned(),
        };
        let lines = raw.lines().map(|line| printable(line).trim().to_owned());
        Some(Self {
            lines: lines.filter(|line| !line.is_empty()).collect(),
            full_text,
            location: location(&event).map(|location| kept(&location)),
        })
    }

    /// Whether the error contains any of these lower-case words.
    pub(super) fn contains_any(&self, words: &[&str]) -> bool {
        let full_text = self.full_text.to_lowercase();
        words.iter().any(|word| full_text.contains(word))
    }

    /// Whether a flake, an input or something from a cache could not be fetched.
    pub(super) fn is_fetch_error(&self) -> bool {
        self.contains_any(&FETCH_ERRORS) && !self.contains_any(&["hash mismatch"])
    }

    /// Whether the error comes from building and not from evaluation.
    pub(super) fn is_build_error(&self) -> bool {
        self.contains_any(&BUILD_ERRORS)
            || (self.derivation().is_some() && !self.contains_any(&["during evaluation"]))
    }

    /// The error on one line, with shortened store paths.
    pub(super) fn describe(&self) -> String {
        let message = shorten_store_paths(&self.lines.join(" "));
        match &self.location {
            Some(location) => format!("{message} at {location}"),
            None => message,
        }
    }

    /// The name of the failed derivation, which is the first that the error mentions.
    pub(super) fn derivation(&self) -> Option<String> {
        let text = self.lines.join(" ");
        let named = |quoted: &&str| quoted.starts_with('/') && quoted.strip_suffix(".drv").is_some();
        text.split('\'').find(named).map(store_name)
    }

    /// Why a derivation did not build, and the log lines that a daemon includes in its message.
    pub(super) fn build_failure(&self) -> (String, Vec<String>) {
        let log = self.lines.iter().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned);
        let message: Vec<&str> =
            self.lines.iter().map(String::as_str).take_while(|line| !starts_log(line)).collect();
        let message = message.join(" ");
        let message = message.split_once("; last ").map_or(message.as_str(), |(message, _)| message);
        (shorten_store_paths(message.trim_end_matches([';', '.'])), log.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MESSAGE, NixErrorMessage};
    use serde_json::json;

    fn parse(line: &str) -> Option<NixErrorMessage> {
        NixErrorMessage::parse(line, &"git+https://me:s3cret@git.example/infra?token=t0ken".parse().unwrap())
    }

    fn error_message(raw: &str) -> NixErrorMessage {
        let event = json!({"action": "msg", "level": 0, "msg": format!("error: {raw}"), "raw_msg": raw});
        parse(&format!("@nix {event}")).unwrap()
    }

    #[test]
    fn a_failed_build_is_parsed_for_every_nix_version() {
        let path = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-linux-6.12.9.drv";
        let failed = "builder for 'linux-6.12.9' failed with exit code 2";
        for (raw, message, log) in [
            (
                format!("\u{1b}[35;1mbuilder for '\u{1b}[35;1m{path}\u{1b}[0m' failed with exit code 2"),
                failed,
                vec![],
            ),
            // With a daemon the message includes the log: nix 2.8, nix 2.26, nix 2.32.
            (
                format!(
                    "builder for '{path}' failed with exit code 2;\nlast 2 log lines:\n> a\n> b\nFor full logs, run 'nix log {path}'."
                ),
                failed,
                vec!["a", "b"],
            ),
            (
                format!(
                    "builder for '{path}' failed with exit code 2;\nlast 1 log lines:\n> a\nFor full logs, run:\n  nix log {path}"
                ),
                failed,
                vec!["a"],
            ),
            (
                format!(
                    "Cannot build '{path}'.\nReason: builder failed with exit code 2.\nOutput paths:\n  /nix/store/x\nLast 1 log lines:\n> a"
                ),
                "Cannot build 'linux-6.12.9'. Reason: builder failed with exit code 2",
                vec!["a"],
            ),
            (
                format!(
                    "hash mismatch in fixed-output derivation '{path}':\n  specified: sha256-a\n     got:    sha256-b"
                ),
                "hash mismatch in fixed-output derivation 'linux-6.12.9': specified: sha256-a got:    sha256-b",
                vec![],
            ),
        ] {
            let error_message = error_message(&raw);
            assert_eq!(error_message.derivation().as_deref(), Some("linux-6.12.9"));
            assert_eq!(
                error_message.build_failure(),
                (message.to_owned(), log.into_iter().map(str::to_owned).collect())
            );
        }
    }

    #[test]
    fn only_errors_of_nix_are_parsed() {
        for line in [
            "error: x",
            r#"@nix {"action":"msg","level":1,"msg":"warning: error: unable to download; retrying"}"#,
            r#"@nix {"action":"msg","level":0,"msg":"(use '--show-trace' to show detailed location information)"}"#,
            r#"@nix {"action":"result","fields":["error: \"msg\""],"id":1,"level":0,"type":101}"#,
        ] {
            assert!(parse(line).is_none(), "{line}");
        }
        let older = r#"@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m no raw\n message"}"#;
        assert_eq!(parse(older).unwrap().describe(), "no raw  message");
    }

    #[test]
    fn no_part_of_a_secret_is_left_by_a_cut() {
        let before = "x".repeat(MAX_MESSAGE - 3);
        assert_eq!(error_message(&format!("{before}s3cret")).describe(), format!("{before}***"));
    }
}
