//! Gathers from a build what tells its failure, and draws the conclusion. Its memory is bounded.

use super::complaint::Complaint;
use super::{About, BuildError};
use crate::nix::fetch_cache::Damage;
use crate::nix::remote::{advice_for, last_lines};
use crate::nix::{FlakeUrl, NixLine, daemon, sandbox};
use crate::protocol::{fit_end, fit_start};
use std::collections::VecDeque;
use std::process::ExitStatus;

/// So many of the last lines of all logs are kept, each up to so many bytes.
const LOG_LINES: usize = 1000;
const LOG_LINE_BYTES: usize = 500;
/// So many lines of the failed build are told, and so many bytes of them.
const TOLD_LINES: usize = 5;
const TOLD_BYTES: usize = 1024;
/// So many lines of other programs are kept.
const OTHER_LINES: usize = 20;
/// The most of an error that is told, in bytes.
const MAX_SAID: usize = 1536;

/// What a build has told so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The first derivation that failed.
    failed: Option<Complaint>,
    last: Option<Complaint>,
    /// Lines of programs that nix runs, such as git.
    others: VecDeque<String>,
    /// What nix's cache was found to be, first of all.
    damage: Option<Damage>,
    /// Lines of the builds, each after the name of its derivation.
    log: VecDeque<String>,
}

impl Findings {
    /// Takes a line of the stream and what it meant, the latter without the credentials of the flake.
    pub(super) fn hear(&mut self, line: &str, told: Option<&NixLine>, flake: &FlakeUrl) {
        if let Some(complaint) = Complaint::read(line, flake) {
            self.damage = self.damage.or_else(|| Damage::told_by(&complaint.whole));
            if complaint.is_of_building() && self.failed.is_none() {
                self.failed = Some(complaint);
            } else {
                self.last = Some(complaint);
            }
        } else if let Some(NixLine::Log(text)) = told {
            let (list, most) = if line.starts_with("@nix ") {
                (&mut self.log, LOG_LINES)
            } else {
                self.damage = self.damage.or_else(|| Damage::told_by(text));
                (&mut self.others, OTHER_LINES)
            };
            if list.len() == most {
                list.pop_front();
            }
            list.push_back(fit_start(text, LOG_LINE_BYTES).to_owned());
        }
    }

    /// What of nix's cache is damaged, by what was said.
    pub(super) fn damage(&self) -> Option<Damage> {
        // A derivation that did not build was fetched.
        self.damage.filter(|_| self.failed.is_none())
    }

    /// Why nix ended without a result.
    pub(super) fn conclude(self, about: &About, status: ExitStatus) -> BuildError {
        let flake = about.flake.without_credentials();
        let host = about.host.clone();
        let short = |text: &str| fit_start(text, MAX_SAID).to_owned();
        let said_so = |complaint: &Complaint| complaint.says(&["unable to start any build", "max-jobs"]);
        if self.failed.iter().chain(&self.last).any(said_so) {
            return BuildError::NotCached { host, flake };
        }
        if let Some(failed) = &self.failed {
            let (said, log) = failed.of_build();
            let log = self.log_of(&failed.derivation().unwrap_or_default()).unwrap_or(log);
            return BuildError::Failed { host, said: short(&said), log: last_of(&log) };
        }
        let others = last_lines(&Vec::from(self.others).join("\n"));
        let Some(last) = self.last else {
            let said = others.map(|said| format!(": {said}")).unwrap_or_default();
            return BuildError::Ended { host, status, said: short(&said) };
        };
        let said = last.told();
        let attribute =
            about.attr.as_ref().map_or("'nixosConfigurations'".to_owned(), |attr| format!("\"{attr}\""));
        if last.says(&["does not provide attribute"]) && said.contains(&attribute) {
            let near = last.whole.split_once("Did you mean ").and_then(|(_, near)| near.split_once('?'));
            let advice = match near {
                Some((near, _)) => format!("did you mean {}?", near.trim()),
                None => "look at `nix flake show` for the hosts it has".to_owned(),
            };
            let attr = about.attr.as_ref().map_or(host, ToString::to_string);
            return BuildError::MissingHost { attr, flake, advice: short(&advice) };
        }
        if last.says(&["cannot write modified lock file", "requires lock file changes"]) {
            return BuildError::NotLocked { flake };
        }
        // Before fetching: newer versions of nix say what they wanted of the daemon too.
        if let Some(advice) = daemon::advice(&last.whole) {
            return BuildError::NotSetUp { host, said: short(&said), advice };
        }
        let away = about.flake.local_path().is_some_and(|path| !path.exists());
        if away || last.is_of_fetching() {
            // nix 2.26 tells what git said by git's own lines only.
            let said = others.unwrap_or(said);
            let complaint = format!("{said} {}", last.whole);
            let advice = match sandbox::advice(&complaint) {
                _ if away => "check the flake URL",
                Some(denied) if about.is_sandboxed => denied,
                _ => advice_for(&about.flake, &complaint),
            };
            return BuildError::Unreachable { flake, said: short(&said), advice };
        }
        let said = short(&said);
        BuildError::Evaluation { host, flake, said: with_advice(said, &last.whole, about.is_sandboxed) }
    }

    /// The lines of a derivation's log that are still known.
    fn log_of(&self, derivation: &str) -> Option<Vec<String>> {
        let prefix = format!("{derivation}> ");
        let lines = self.log.iter().filter_map(|line| line.strip_prefix(&prefix));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        (!lines.is_empty()).then_some(lines)
    }
}

fn with_advice(said: String, whole: &str, is_sandboxed: bool) -> String {
    match sandbox::advice(whole).filter(|_| is_sandboxed) {
        Some(advice) => format!("{said} ({advice})"),
        None => said,
    }
}

fn last_of(log: &[String]) -> String {
    let told = &log[log.len().saturating_sub(TOLD_LINES)..];
    fit_end(&told.join("; "), TOLD_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{About, Findings, LOG_LINES};
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

    fn conclude(lines: &[String]) -> BuildError {
        let about = About {
            flake: "github:o/r".parse().unwrap(),
            host: "web".to_owned(),
            attr: None,
            is_sandboxed: false,
        };
        let (mut findings, mut reader) = (Findings::default(), ProgressReader::new());
        for line in lines {
            findings.hear(line, reader.line(line).as_ref(), &about.flake);
        }
        assert!(findings.log.len() <= LOG_LINES);
        findings.conclude(&about, ExitStatus::from_raw(256))
    }

    #[test]
    fn of_several_failures_the_first_is_told_with_its_own_log() {
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
            conclude(&lines).to_string(),
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
            assert_eq!(conclude(&[error(&text)]).code(), code, "{text}");
        }
    }
}
