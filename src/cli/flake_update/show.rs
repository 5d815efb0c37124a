//! Prints an update as it goes, and how it ended.

use super::super::exit::Exit;
use super::super::out::{Format, Out};
use super::super::render;
use crate::flake_update::{News, Outcome, State};
use crate::fleet::words;
use crate::protocol::{BuildHost, PhaseState, printable};
use serde_json::json;

/// Where it is printed.
pub(super) struct Show {
    out: Out,
    format: Format,
}

impl Show {
    pub(super) fn new(format: Format) -> Self {
        Self { out: Out::new(), format }
    }

    pub(super) fn news(&mut self, news: News) {
        match self.format {
            Format::Human => self.line(&news),
            Format::Json => self.event(news),
        }
    }

    fn event(&mut self, news: News) {
        let out = &mut self.out;
        match news {
            News::Fetched { base, commit } => out.event("fetched", json!({"branch": base, "commit": commit})),
            News::Updated { branch, commit, message } => {
                out.event("updated", json!({"branch": branch, "commit": commit, "message": message}));
            }
            News::Building { hosts, skipped } => {
                out.event("building", json!({"hosts": hosts, "skipped": skipped}));
            }
            News::Built(host) => out.event("built", *host),
            News::Moved { base } => out.event("moved", json!({"branch": base})),
            News::Pushed { branch, commit } => {
                out.event("pushed", json!({"branch": branch, "commit": commit}));
            }
            News::Note(note) => out.event("note", note),
        }
    }

    fn line(&mut self, news: &News) {
        let text = match news {
            News::Fetched { base, commit } => format!("{base} is at {}", words::short(commit)),
            News::Updated { branch, commit, message } => {
                let changes = message.lines().map(printable).filter(|line| !line.trim().is_empty());
                let head = format!("updated on {branch}: {}", words::short(commit));
                std::iter::once(head).chain(changes).collect::<Vec<_>>().join(
                    "
  ",
                )
            }
            News::Building { hosts, skipped } => {
                for name in skipped {
                    self.out.line(&format!("skipped {name:?}: it is no name of a host"));
                }
                format!("building {}", hosts.join(", "))
            }
            News::Built(host) => built(host),
            News::Moved { base } => format!("{base} has moved meanwhile; beginning again on its new tip"),
            News::Pushed { branch, commit } => format!("pushed {branch}: {}", words::short(commit)),
            News::Note(note) => printable(note),
        };
        self.out.line(&text);
    }

    pub(super) fn outcome(&mut self, exit: Exit, outcome: &Outcome) {
        match self.format {
            Format::Human => {
                let text = told(outcome);
                self.out.line(&text);
            }
            Format::Json => self.out.result(exit, outcome),
        }
    }
}

fn built(host: &BuildHost) -> String {
    let time = words::duration(host.elapsed_ms);
    match &host.error {
        None => format!("{}  built in {time}", host.hostname),
        Some(error) => {
            let tail = render::quoted(host.log_tail.as_deref().unwrap_or_default());
            format!("{}  failed after {time}: {}{tail}", host.hostname, printable(error))
        }
    }
}

fn told(outcome: &Outcome) -> String {
    let (base, branch) = (&outcome.base, &outcome.branch);
    let all = outcome.hosts.len();
    let failed: Vec<_> = outcome.hosts.iter().filter(|host| host.state != PhaseState::Done).collect();
    let commit = outcome.commit.as_deref().map(words::short).unwrap_or_default();
    match (outcome.state, outcome.dry_run) {
        (State::Current, _) => "nothing to update".to_owned(),
        (State::Updated, false) => format!("all {all} hosts build; {base} is at {commit}"),
        (State::Updated, true) => format!("all {all} hosts build; {base} would be moved on to {commit}"),
        (State::Failed, dry) => {
            let names: Vec<_> = failed.iter().map(|host| host.hostname.as_str()).collect();
            let what = if names.is_empty() {
                let why = outcome.unlisted.as_deref().map(printable).unwrap_or_default();
                format!("the hosts could not be listed: {why}")
            } else {
                format!("{} of {all} hosts do not build: {}", names.len(), names.join(", "))
            };
            let then = match (&outcome.pull_request, &outcome.left) {
                (Some(request), _) => {
                    let word = if request.existed { "changed" } else { "opened" };
                    format!("{word} the pull request {}", request.url)
                }
                _ if dry => format!("{branch} would be pushed and a pull request opened"),
                (None, Some(left)) => left.clone(),
                (None, None) => String::new(),
            };
            format!("{what}; {base} is as it was\n{then}")
        }
    }
}
