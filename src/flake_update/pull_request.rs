//! The text of a pull request: which hosts do not build, and how their logs end. Its size is bounded.

use crate::protocol::{BuildHost, PhaseState, fit_end, fit_start};
use std::fmt::Write;

/// GitHub takes 65,536 characters. So much is given to the logs in all, and to each message and the lists.
const LOGS: usize = 40 << 10;
const ERROR: usize = 2 << 10;
const LIST: usize = 4 << 10;
/// So many failed hosts get a section of their own.
const SECTIONS: usize = 10;

/// What a pull request is about.
pub(super) struct Text<'a> {
    pub(super) base: &'a str,
    pub(super) before: &'a str,
    pub(super) branch: &'a str,
    /// What nix says of the update.
    pub(super) message: &'a str,
    pub(super) hosts: &'a [BuildHost],
    /// Why the hosts could not even be listed.
    pub(super) unlisted: Option<&'a str>,
}

impl Text<'_> {
    /// One line.
    pub(super) fn title(&self) -> String {
        let failed = self.failed();
        match (&self.unlisted, &failed[..]) {
            (Some(_), _) => format!("{}: the flake does not evaluate", self.branch),
            (None, [one]) => format!("{}: {} does not build", self.branch, one.hostname),
            (None, failed) => {
                format!("{}: {} of {} hosts do not build", self.branch, failed.len(), self.hosts.len())
            }
        }
    }

    /// The whole text, in Markdown.
    pub(super) fn body(&self) -> String {
        let failed = self.failed();
        let mut text = format!(
            "With the updated inputs on top of `{}` at `{}` not everything builds. Nothing was merged: fix it on this \
             branch, or close this and wait for the next update.\n",
            self.base,
            self.before.get(..7).unwrap_or(self.before)
        );
        if let Some(why) = self.unlisted {
            let _ = write!(text, "\nThe hosts could not be listed:\n\n{}", fenced(fit_start(why, ERROR)));
        }
        let share = LOGS / failed.len().clamp(1, SECTIONS);
        for host in failed.iter().take(SECTIONS) {
            let error = fit_start(host.error.as_deref().unwrap_or("it failed"), ERROR);
            let _ = write!(text, "\n### {}\n\n{}", host.hostname, fenced(error));
            if let Some(tail) = &host.log_tail {
                let _ = write!(text, "\nIts log ends:\n\n{}", fenced(fit_end(tail, share)));
            }
        }
        let names = |hosts: &mut dyn Iterator<Item = &BuildHost>| {
            let names: Vec<_> = hosts.map(|host| format!("`{}`", host.hostname)).collect();
            fit_start(&names.join(", "), LIST).to_owned()
        };
        if failed.len() > SECTIONS {
            let rest = names(&mut failed.iter().copied().skip(SECTIONS));
            let _ = write!(text, "\nNor do these build: {rest}\n");
        }
        let good = names(&mut self.hosts.iter().filter(|host| host.state == PhaseState::Done));
        if !good.is_empty() {
            let _ = write!(text, "\nThese build: {good}\n");
        }
        if !self.message.is_empty() {
            let _ = write!(text, "\nThe update:\n\n{}", fenced(fit_start(self.message, LIST)));
        }
        text
    }

    fn failed(&self) -> Vec<&BuildHost> {
        self.hosts.iter().filter(|host| host.state != PhaseState::Done).collect()
    }
}

/// The text as it is: nothing in it is Markdown or calls anybody.
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
    use super::Text;
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
    fn the_text_stays_small_and_nothing_in_a_log_is_markdown() {
        let mut hosts: Vec<_> =
            (0..200).map(|n| host(&format!("web{n}"), Some("\u{1}```\n@all ".repeat(2000)))).collect();
        hosts.push(host("ns1", None));
        let text = Text {
            base: "master",
            before: "0123456789",
            branch: "flake-update/2026-11-25",
            message: &"m".repeat(100_000),
            hosts: &hosts,
            unlisted: None,
        };
        let body = text.body();
        assert!(body.len() < 65_000, "{}", body.len());
        assert!(
            body.contains("\n````\n")
                && body.contains("Nor do these build: `web10`, ")
                && body.contains("`ns1`")
        );
        assert_eq!(text.title(), "flake-update/2026-11-25: 200 of 201 hosts do not build");
    }
}
