//! Collects what explains the failure of a build and derives the error from it. Memory use is bounded.

use super::nix_error::NixErrorMessage;
use super::{BuildContext, BuildError};
use crate::git::{last_lines, read_advice};
use crate::nix::advice::{daemon_advice, sandbox_advice};
use crate::nix::fetch_cache::CacheDamage;
use crate::nix::{FlakeUrl, NixLine};
use crate::text::{fitting_prefix, fitting_suffix, last};
use std::collections::VecDeque;
use std::process::ExitStatus;

/// How many of the last log lines of all builds are kept.
const LOG_LINES: usize = 1000;
/// Maximum length of a kept log line, in bytes.
const LOG_LINE_BYTES: usize = 500;
/// How many log lines of the failed build an error quotes.
const SHOWN_LINES: usize = 5;
/// Maximum length of the quoted log, in bytes.
const SHOWN_BYTES: usize = 1024;
/// How many lines of other programs are kept.
const OTHER_LINES: usize = 20;
/// Maximum length of an error message, in bytes.
const MAX_SHOWN: usize = 1536;

/// What is known about the errors of a build so far.
#[derive(Debug, Default)]
pub(super) struct Diagnosis {
    /// The error of the first derivation that failed.
    failed: Option<NixErrorMessage>,
    last: Option<NixErrorMessage>,
    /// Lines of programs that nix runs, such as git, oldest first.
    other_lines: VecDeque<String>,
    /// The first damage found in nix's fetch cache.
    damage: Option<CacheDamage>,
    /// Log lines of all builds, each prefixed with the name of its derivation.
    log: VecDeque<String>,
}

impl Diagnosis {
    /// Records a line of the stream and its parsed `event`, which must not contain the flake's credentials.
    pub(super) fn record(&mut self, line: &str, event: Option<&NixLine>, flake: &FlakeUrl) {
        if let Some(error_message) = NixErrorMessage::parse(line, flake) {
            self.damage = self.damage.or_else(|| CacheDamage::detect(&error_message.full_text));
            if error_message.is_build_error() && self.failed.is_none() {
                self.failed = Some(error_message);
            } else {
                self.last = Some(error_message);
            }
        } else if let Some(NixLine::Log(text)) = event {
            let (list, most) = if line.starts_with("@nix ") {
                (&mut self.log, LOG_LINES)
            } else {
                self.damage = self.damage.or_else(|| CacheDamage::detect(text));
                (&mut self.other_lines, OTHER_LINES)
            };
            if list.len() == most {
                list.pop_front();
            }
            list.push_back(fitting_prefix(text, LOG_LINE_BYTES).to_owned());
        }
    }

    /// The damaged part of nix's fetch cache, if the messages show that one is damaged.
    pub(super) fn damage(&self) -> Option<CacheDamage> {
        // If a derivation failed to build, fetching worked.
        self.damage.filter(|_| self.failed.is_none())
    }

    /// The reason why nix ended without a result.
    pub(super) fn into_error(self, context: &BuildContext, status: ExitStatus) -> BuildError {
        let flake = context.flake.without_credentials();
        let host = context.host.clone();
        let short = |text: &str| fitting_prefix(text, MAX_SHOWN).to_owned();
        let is_not_cached = |error_message: &NixErrorMessage| {
            error_message.contains_any(&["unable to start any build", "max-jobs"])
        };
        if self.failed.iter().chain(&self.last).any(is_not_cached) {
            return BuildError::NotCached { host, flake };
        }
        if let Some(failed) = &self.failed {
            let (message, log) = failed.build_failure();
            let log = self.log_of(&failed.derivation().unwrap_or_default()).unwrap_or(log);
            return BuildError::Failed { host, message: short(&message), log: log_excerpt(&log) };
        }
        let other_lines = last_lines(&Vec::from(self.other_lines).join("\n"));
        let Some(last) = self.last else {
            let message = other_lines.map(|message| format!(": {message}")).unwrap_or_default();
            return BuildError::Exited { host, status, message: short(&message) };
        };
        let message = last.describe();
        let attribute =
            context.attr.as_ref().map_or("'nixosConfigurations'".to_owned(), |attr| format!("\"{attr}\""));
        if last.contains_any(&["does not provide attribute"]) && message.contains(&attribute) {
            let near = last.full_text.split_once("Did you mean ").and_then(|(_, near)| near.split_once('?'));
            let advice = match near {
                Some((near, _)) => format!("did you mean {}?", near.trim()),
                None => "list its hosts with `nix flake show`".to_owned(),
            };
            let attr = context.attr.as_ref().map_or(host, ToString::to_string);
            return BuildError::MissingHost { attr, flake, advice: short(&advice) };
        }
        if last.contains_any(&["cannot write modified lock file", "requires lock file changes"]) {
            return BuildError::NotLocked { flake };
        }
        // Checked before fetch errors because newer versions of nix mention the fetch in daemon errors too.
        if let Some(advice) = daemon_advice(&last.full_text) {
            return BuildError::NotSetUp { host, message: short(&message), advice };
        }
        let is_missing = context.flake.local_path().is_some_and(|path| !path.exists());
        if is_missing || last.is_fetch_error() {
            // nix 2.26 does not repeat git's message in its own error.
            let message = other_lines.unwrap_or(message);
            let error_message = format!("{message} {}", last.full_text);
            let advice = match sandbox_advice(&error_message) {
                _ if is_missing => "check the flake URL",
                Some(denied) if context.is_sandboxed => denied,
                _ => read_advice(&error_message, context.flake.is_hosted()),
            };
            return BuildError::Unreachable { flake, message: short(&message), advice };
        }
        let message = short(&message);
        BuildError::Evaluation {
            host,
            flake,
            message: with_advice(message, &last.full_text, context.is_sandboxed),
        }
    }

    /// The kept log lines of a derivation.
    fn log_of(&self, derivation: &str) -> Option<Vec<String>> {
        let prefix = format!("{derivation}> ");
        let lines = self.log.iter().filter_map(|line| line.strip_prefix(&prefix));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        (!lines.is_empty()).then_some(lines)
    }
}

fn with_advice(message: String, full_text: &str, is_sandboxed: bool) -> String {
    match sandbox_advice(full_text).filter(|_| is_sandboxed) {
        Some(advice) => format!("{message} ({advice})"),
        None => message,
    }
}

fn log_excerpt(log: &[String]) -> String {
    fitting_suffix(&last(log, SHOWN_LINES).join("; "), SHOWN_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{BuildContext, Diagnosis, LOG_LINES};
    use crate::nix::{BuildError, ProgressReader};
    use crate::protocol::ErrorCode;
    use serde_json::json;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    fn path(name: &str) -> String {
        format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{name}.drv")
    }

    fn error(text: &str) -> String {
        format!("@nix {}", json!({"action": "msg", "level": 0, "msg": text, "raw_msg": text}))
    }

    fn into_error(lines: &[String]) -> BuildError {
        let context = BuildContext {
            flake: "github:o/r".parse().unwrap(),
            host: "web".to_owned(),
            attr: None,
            is_sandboxed: false,
        };
        let (mut diagnosis, mut reader) = (Diagnosis::default(), ProgressReader::new());
        for line in lines {
            diagnosis.record(line, reader.line(line).as_ref(), &context.flake);
        }
        assert!(diagnosis.log.len() <= LOG_LINES);
        diagnosis.into_error(&context, ExitStatus::from_raw(256))
    }

    #[test]
    fn the_first_of_several_failures_is_reported_with_its_log() {
        let start = |id: u64, name: &str| {
            format!("@nix {}", json!({"action": "start", "id": id, "type": 105, "fields": [path(name)]}))
        };
        let log = |id: u64, text: &str| {
            format!("@nix {}", json!({"action": "result", "id": id, "type": 101, "fields": [text]}))
        };
        let mut lines = vec![start(1, "one"), start(2, "two")];
        lines.extend((0..2 * LOG_LINES).map(|line| log(2, &line.to_string())));
        lines.extend([log(1, "mine"), log(2, "yours")]);
        lines.push(error(&format!("builder for '{}' failed with exit code 1", path("one"))));
        lines.push(error(&format!("1 dependencies of derivation '{}' failed to build", path("system"))));
        assert_eq!(
            into_error(&lines).to_string(),
            "\"web\" did not build: builder for 'one' failed with exit code 1; its log ends: mine; look at the \
             job's log"
        );
    }

    #[test]
    fn each_error_has_its_code() {
        for (text, code) in [
            (format!("a 'riscv64-linux' is required to build '{}'", path("x")), ErrorCode::BuildFailed),
            (format!("cannot build '{}' during evaluation", path("x")), ErrorCode::EvaluationFailed),
            ("writing to file: No space left on device".to_owned(), ErrorCode::BuildFailed),
            (
                "path '/nix/store/x' is required, but there is no substituter that can build it".to_owned(),
                ErrorCode::BuildFailed,
            ),
            ("infinite recursion encountered".to_owned(), ErrorCode::EvaluationFailed),
            (
                "the group 'nixbld' specified in 'build-users-group' does not exist".to_owned(),
                ErrorCode::Unhealthy,
            ),
            ("the build users group 'nixbld' has no members".to_owned(), ErrorCode::Unhealthy),
            (
                "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused"
                    .to_owned(),
                ErrorCode::Unhealthy,
            ),
            (
                "while fetching the input 'git+file:///x': cannot open connection to remote store 'daemon': reading from file: \
                 Connection reset by peer"
                    .to_owned(),
                ErrorCode::Unhealthy,
            ),
            (
                "unable to download 'https://x.example': HTTP error 404".to_owned(),
                ErrorCode::SourceUnreachable,
            ),
            ("NAR hash mismatch in input 'github:o/x'".to_owned(), ErrorCode::EvaluationFailed),
            (
                "flake 'github:o/r' requires lock file changes but they're not allowed".to_owned(),
                ErrorCode::EvaluationFailed,
            ),
            ("cannot write modified lock file of flake 'github:o/r'".to_owned(), ErrorCode::EvaluationFailed),
        ] {
            assert_eq!(into_error(&[error(&text)]).code(), code, "{text}");
        }
    }
}
