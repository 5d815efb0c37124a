//! What nix gives as the reason of its failure, in its stream of messages.

use super::said::{begins_log, names_for_paths, place};
use crate::nix::FlakeUrl;
use crate::nix::progress::store_name;
use crate::protocol::{fit_start, printable};
use serde_json::Value;

/// The most of one message that is kept, in bytes.
const MAX_MESSAGE: usize = 16 << 10;

/// What nix says when it could not fetch a flake or one of its inputs, in lower case.
const FETCHING: [&str; 9] = [
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

/// What nix says of its own work on a build, in lower case, where it names no derivation.
const BUILDING: [&str; 3] = ["no space left on device", "disk is full", "no substituter"];

/// An error of nix.
#[derive(Debug)]
pub(super) struct Complaint {
    /// The error itself: its lines without those around it.
    pub(super) lines: Vec<String>,
    /// The error with what led to it.
    pub(super) whole: String,
    /// Where in the flake.
    pub(super) at: Option<String>,
}

impl Complaint {
    /// Reads a line of the stream, without the credentials of the flake; nothing where it is no error.
    pub(super) fn read(line: &str, flake: &FlakeUrl) -> Option<Self> {
        let json = line.strip_prefix("@nix ").filter(|json| json.contains("\"msg\""))?;
        let event: Value = serde_json::from_str(json).ok()?;
        let message = event["msg"].as_str().filter(|_| event["level"] == 0)?;
        // Cut only then: half a secret would not be found.
        let kept = |text: &str| fit_start(&flake.scrub(text), MAX_MESSAGE).to_owned();
        let whole = printable(&kept(message));
        let raw = match event["raw_msg"].as_str() {
            Some(raw) => kept(raw),
            None => whole.trim().strip_prefix("error:")?.to_owned(),
        };
        let lines = raw.lines().map(|line| printable(line).trim().to_owned());
        Some(Self {
            lines: lines.filter(|line| !line.is_empty()).collect(),
            whole,
            at: place(&event).map(|at| kept(&at)),
        })
    }

    /// Whether the error has any of these words.
    pub(super) fn says(&self, words: &[&str]) -> bool {
        let whole = self.whole.to_lowercase();
        words.iter().any(|word| whole.contains(word))
    }

    /// Whether a flake, an input or something from a cache could not be fetched.
    pub(super) fn is_of_fetching(&self) -> bool {
        self.says(&FETCHING) && !self.says(&["hash mismatch"])
    }

    /// Whether it comes from building, not from evaluating.
    pub(super) fn is_of_building(&self) -> bool {
        self.says(&BUILDING) || (self.derivation().is_some() && !self.says(&["during evaluation"]))
    }

    /// The error on one line, with store paths as their names.
    pub(super) fn told(&self) -> String {
        let said = names_for_paths(&self.lines.join(" "));
        match &self.at {
            Some(at) => format!("{said} at {at}"),
            None => said,
        }
    }

    /// The derivation that the error is about: the first it names.
    pub(super) fn derivation(&self) -> Option<String> {
        let text = self.lines.join(" ");
        let named = |quoted: &&str| quoted.starts_with('/') && quoted.strip_suffix(".drv").is_some();
        text.split('\'').find(named).map(store_name)
    }

    /// Why a derivation did not build, and the lines of its log, which a daemon puts into its message.
    pub(super) fn of_build(&self) -> (String, Vec<String>) {
        let log = self.lines.iter().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned);
        let said: Vec<&str> =
            self.lines.iter().map(String::as_str).take_while(|line| !begins_log(line)).collect();
        let said = said.join(" ");
        let said = said.split_once("; last ").map_or(said.as_str(), |(said, _)| said);
        (names_for_paths(said.trim_end_matches([';', '.'])), log.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Complaint, MAX_MESSAGE};
    use serde_json::json;

    fn read(line: &str) -> Option<Complaint> {
        Complaint::read(line, &"git+https://me:s3cret@git.example/infra?token=t0ken".parse().unwrap())
    }

    fn complaint(raw: &str) -> Complaint {
        let event = json!({"action": "msg", "level": 0, "msg": format!("error: {raw}"), "raw_msg": raw});
        read(&format!("@nix {event}")).unwrap()
    }

    #[test]
    fn a_failed_build_is_read_in_the_words_of_every_version() {
        let path = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-linux-6.12.9.drv";
        let failed = "builder for 'linux-6.12.9' failed with exit code 2";
        for (raw, said, log) in [
            (
                format!("\u{1b}[35;1mbuilder for '\u{1b}[35;1m{path}\u{1b}[0m' failed with exit code 2"),
                failed,
                vec![],
            ),
            // A daemon adds the log: nix 2.8, nix 2.26, nix 2.32.
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
            let complaint = complaint(&raw);
            assert_eq!(complaint.derivation().as_deref(), Some("linux-6.12.9"));
            assert_eq!(complaint.of_build(), (said.to_owned(), log.into_iter().map(str::to_owned).collect()));
        }
    }

    #[test]
    fn only_errors_of_nix_are_complaints() {
        for line in [
            "error: x",
            r#"@nix {"action":"msg","level":1,"msg":"warning: error: unable to download; retrying"}"#,
            r#"@nix {"action":"msg","level":0,"msg":"(use '--show-trace' to show detailed location information)"}"#,
            r#"@nix {"action":"result","fields":["error: \"msg\""],"id":1,"level":0,"type":101}"#,
        ] {
            assert!(read(line).is_none(), "{line}");
        }
        let older = r#"@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m no raw\n message"}"#;
        assert_eq!(read(older).unwrap().told(), "no raw  message");
    }

    #[test]
    fn no_part_of_a_secret_is_left_by_a_cut() {
        let before = "x".repeat(MAX_MESSAGE - 3);
        assert_eq!(complaint(&format!("{before}s3cret")).told(), format!("{before}***"));
    }
}
