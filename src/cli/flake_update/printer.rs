//! Prints the progress of an update and its result.

use super::super::exit::Exit;
use super::super::output::{Format, Output};
use super::super::render;
use crate::flake_update::{FlakeUpdateEvent, FlakeUpdateResult, FlakeUpdateState};
use crate::protocol::{BuildHost, PhaseState};
use crate::text::{format, printable};
use serde_json::json;

/// Prints update events in the chosen format.
pub(super) struct FlakeUpdatePrinter {
    out: Output,
    format: Format,
}

impl FlakeUpdatePrinter {
    pub(super) fn new(format: Format) -> Self {
        Self { out: Output::new(), format }
    }

    pub(super) fn print_event(&mut self, event: FlakeUpdateEvent) {
        match self.format {
            Format::Human => self.print_text(&event),
            Format::Json => self.print_json(event),
        }
    }

    fn print_json(&mut self, event: FlakeUpdateEvent) {
        let out = &mut self.out;
        match event {
            FlakeUpdateEvent::Fetched { base, commit } => {
                out.event("fetched", json!({"branch": base, "commit": commit}));
            }
            FlakeUpdateEvent::Updated { branch, commit, message } => {
                out.event("updated", json!({"branch": branch, "commit": commit, "message": message}));
            }
            FlakeUpdateEvent::Building { hosts, skipped } => {
                out.event("building", json!({"hosts": hosts, "skipped": skipped}));
            }
            FlakeUpdateEvent::Built(host) => out.event("built", *host),
            FlakeUpdateEvent::Moved { base } => out.event("moved", json!({"branch": base})),
            FlakeUpdateEvent::Pushed { branch, commit } => {
                out.event("pushed", json!({"branch": branch, "commit": commit}));
            }
            FlakeUpdateEvent::Note(note) => out.event("note", note),
        }
    }

    fn print_text(&mut self, event: &FlakeUpdateEvent) {
        let text = match event {
            FlakeUpdateEvent::Fetched { base, commit } => {
                format!("{base} is at {}", format::short_commit(commit))
            }
            FlakeUpdateEvent::Updated { branch, commit, message } => {
                let changes = message.lines().map(printable).filter(|line| !line.trim().is_empty());
                let head = format!("updated on {branch}: {}", format::short_commit(commit));
                std::iter::once(head).chain(changes).collect::<Vec<_>>().join(
                    "
  ",
                )
            }
            FlakeUpdateEvent::Building { hosts, skipped } => {
                for name in skipped {
                    self.out.line(&format!("skipped {name:?}: not a valid host name"));
                }
                format!("building {}", hosts.join(", "))
            }
            FlakeUpdateEvent::Built(host) => describe_built(host),
            FlakeUpdateEvent::Moved { base } => {
                format!("{base} has changed in the meantime; restarting from its new head")
            }
            FlakeUpdateEvent::Pushed { branch, commit } => {
                format!("pushed {branch}: {}", format::short_commit(commit))
            }
            FlakeUpdateEvent::Note(note) => printable(note),
        };
        self.out.line(&text);
    }

    pub(super) fn print_result(&mut self, exit: Exit, outcome: &FlakeUpdateResult) {
        match self.format {
            Format::Human => {
                let text = describe_result(outcome);
                self.out.line(&text);
            }
            Format::Json => self.out.result(exit, outcome),
        }
    }
}

fn describe_built(host: &BuildHost) -> String {
    let time = format::duration(host.elapsed_ms);
    match &host.error {
        None => format!("{}  built in {time}", host.hostname),
        Some(error) => {
            let tail = render::quoted(host.log_tail.as_deref().unwrap_or_default());
            format!("{}  failed after {time}: {}{tail}", host.hostname, printable(error))
        }
    }
}

fn describe_result(outcome: &FlakeUpdateResult) -> String {
    let (base, branch) = (&outcome.base, &outcome.branch);
    let all = outcome.hosts.len();
    let failed: Vec<_> = outcome.hosts.iter().filter(|host| host.state != PhaseState::Done).collect();
    let commit = outcome.commit.as_deref().map(format::short_commit).unwrap_or_default();
    match (outcome.state, outcome.dry_run) {
        (FlakeUpdateState::Current, _) => "nothing to update".to_owned(),
        (FlakeUpdateState::Updated, false) => format!("all {all} hosts build; {base} is at {commit}"),
        (FlakeUpdateState::Updated, true) => {
            format!("all {all} hosts build; {base} would advance to {commit}")
        }
        (FlakeUpdateState::Failed, dry) => {
            let names: Vec<_> = failed.iter().map(|host| host.hostname.as_str()).collect();
            let what = if names.is_empty() {
                let why = outcome.list_error.as_deref().map(printable).unwrap_or_default();
                format!("could not list the hosts: {why}")
            } else {
                format!("{} of {all} hosts do not build: {}", names.len(), names.join(", "))
            };
            let then = match (&outcome.pull_request, &outcome.no_pull_request_reason) {
                (Some(request), _) => {
                    let verb = if request.updated_existing { "updated" } else { "opened" };
                    format!("{verb} the pull request {}", request.url)
                }
                _ if dry => format!("{branch} would be pushed and a pull request opened"),
                (None, Some(reason)) => reason.clone(),
                (None, None) => String::new(),
            };
            format!("{what}; {base} is unchanged\n{then}")
        }
    }
}
