//! The title and body of a pull request: the hosts that do not build, with the end of their logs. The size is bounded.

use crate::protocol::{BuildHost, PhaseState};
use crate::text::{fitting_prefix, fitting_suffix, format};
use std::fmt::Write;

/// Maximum length of all logs together, in bytes. GitHub limits the body to 65,536 characters.
const MAX_LOGS: usize = 40 << 10;
/// Maximum length of an error message, in bytes.
const MAX_ERROR: usize = 2 << 10;
/// Maximum length of a list, in bytes.
const MAX_LIST: usize = 4 << 10;
/// Maximum number of failed hosts that get a separate section.
const MAX_SECTIONS: usize = 10;

/// The contents of a pull request.
pub(super) struct PullRequestText<'a> {
    pub(super) base: &'a str,
    pub(super) before: &'a str,
    pub(super) branch: &'a str,
    /// nix's description of the updated inputs.
    pub(super) message: &'a str,
    pub(super) hosts: &'a [BuildHost],
    /// Why the hosts could not be listed.
    pub(super) list_error: Option<&'a str>,
}

impl PullRequestText<'_> {
    /// The title, on one line.
    pub(super) fn title(&self) -> String {
        let failed = self.failed();
        match (&self.list_error, &failed[..]) {
            (Some(_), _) => format!("{}: the flake does not evaluate", self.branch),
            (None, [one]) => format!("{}: {} does not build", self.branch, one.hostname),
            (None, failed) => {
                format!("{}: {} of {} hosts do not build", self.branch, failed.len(), self.hosts.len())
            }
        }
    }

    /// The body, in Markdown.
    pub(super) fn body(&self) -> String {
        let failed = self.failed();
        let mut text = format!(
            "Some hosts do not build with the updated inputs on top of `{}` at `{}`. Nothing was merged: fix them on this \
             branch, or close this pull request and wait for the next update.\n",
            self.base,
            format::short_commit(self.before)
        );
        if let Some(error) = self.list_error {
            let _ = write!(
                text,
                "\nThe hosts could not be listed:\n\n{}",
                fenced(fitting_prefix(error, MAX_ERROR))
            );
        }
        let max_log = MAX_LOGS / failed.len().clamp(1, MAX_SECTIONS);
        for host in failed.iter().take(MAX_SECTIONS) {
            let error = fitting_prefix(host.error.as_deref().unwrap_or("the build failed"), MAX_ERROR);
            let _ = write!(text, "\n### {}\n\n{}", host.hostname, fenced(error));
            if let Some(tail) = &host.log_tail {
                let _ = write!(text, "\nIts log ends:\n\n{}", fenced(fitting_suffix(tail, max_log)));
            }
        }
        let names = |hosts: &mut dyn Iterator<Item = &BuildHost>| {
            let names: Vec<_> = hosts.map(|host| format!("`{}`", host.hostname)).collect();
            fitting_prefix(&names.join(", "), MAX_LIST).to_owned()
        };
        if failed.len() > MAX_SECTIONS {
            let rest = names(&mut failed.iter().copied().skip(MAX_SECTIONS));
            let _ = write!(text, "\nThese hosts do not build either: {rest}\n");
        }
        let good = names(&mut self.hosts.iter().filter(|host| host.state == PhaseState::Done));
        if !good.is_empty() {
            let _ = write!(text, "\nThese hosts build: {good}\n");
        }
        if !self.message.is_empty() {
            let _ = write!(text, "\nThe update:\n\n{}", fenced(fitting_prefix(self.message, MAX_LIST)));
        }
        text
    }

    fn failed(&self) -> Vec<&BuildHost> {
        self.hosts.iter().filter(|host| host.state != PhaseState::Done).collect()
    }
}

/// Wraps text in a code fence, so that it is not rendered as Markdown and mentions notify no user.
fn fenced(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::PullRequestText;
    use crate::protocol::{BuildHost, Name, PhaseState};

    fn host(name: &str, log: Option<String>) -> BuildHost {
        let state = if log.is_some() { PhaseState::Failed } else { PhaseState::Done };
        let error = log.as_ref().map(|_| "x".repeat(10_000));
        BuildHost {
            hostname: Name::new(name).unwrap(),
            state,
            elapsed_ms: 1,
            system: None,
            error,
            log_tail: log,
        }
    }

    #[test]
    fn body_is_bounded_and_logs_are_not_rendered_as_markdown() {
        let mut hosts: Vec<_> =
            (0..200).map(|n| host(&format!("web{n}"), Some("\u{1}```\n@all ".repeat(2000)))).collect();
        hosts.push(host("ns1", None));
        let text = PullRequestText {
            base: "master",
            before: "0123456789",
            branch: "flake-update/2026-11-25",
            message: &"m".repeat(100_000),
            hosts: &hosts,
            list_error: None,
        };
        let body = text.body();
        assert!(body.len() < 65_000, "{}", body.len());
        assert!(
            body.contains("\n````\n")
                && body.contains("These hosts do not build either: `web10`, ")
                && body.contains("`ns1`")
        );
        assert_eq!(text.title(), "flake-update/2026-11-25: 200 of 201 hosts do not build");
    }
}
