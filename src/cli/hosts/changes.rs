//! Prints each change of a host once, as a line or a JSON object.

use super::HostJson;
use crate::cli::output::Output;
use crate::cli::{render, replies};
use crate::fleet::{DiskPlace, Host, Reachability};
use crate::protocol::{DeployReport, Name, Presence};
use jiff::{Timestamp, Zoned};
use std::collections::HashMap;

/// Prints changes as human-readable lines.
#[derive(Default)]
pub(super) struct LineDiff {
    /// The last printed line of each host.
    last_printed: HashMap<Name, String>,
    /// Whether the absence of hosts was printed.
    has_no_hosts: bool,
}

/// Prints changes as JSON objects.
#[derive(Default)]
pub(super) struct JsonDiff {
    last_printed: HashMap<Name, DisplayedHost>,
}

/// The part of a host whose change is printed, without values that change all the time.
#[derive(PartialEq)]
struct DisplayedHost {
    presence: Reachability,
    name_conflict: bool,
    /// The file system that is nearly full.
    low_disk: Option<DiskPlace>,
    answer: Option<Presence>,
    job: Option<DeployReport>,
    last_change: Option<DeployReport>,
    refusal: Option<DeployReport>,
}

/// Prefixes a line with the local time.
pub(super) fn timestamped(text: &str) -> String {
    format!("{}  {text}", Zoned::now().strftime("%Y-%m-%d %H:%M:%S"))
}

impl LineDiff {
    /// Prints the status of a host if it changed.
    pub(super) fn print(&mut self, host: &Host, now: Timestamp, out: &mut Output) {
        let text = render::host_line(host, now);
        if self.last_printed.get(&host.name) != Some(&text) {
            out.line(&timestamped(&text));
            self.last_printed.insert(host.name.clone(), text);
        }
    }

    /// Prints once that there are no hosts.
    pub(super) fn print_no_hosts(&mut self, is_empty: bool, out: &mut Output) {
        if is_empty && !self.has_no_hosts {
            out.line(&timestamped(replies::NO_HOSTS));
        }
        self.has_no_hosts = is_empty;
    }
}

impl JsonDiff {
    /// Whether the status of a host changed with time alone, or the host was not printed yet.
    pub(super) fn is_due(&self, host: &Host, now: Timestamp) -> bool {
        let two = host.has_name_conflict(now);
        self.last_printed.get(&host.name).is_none_or(|snapshot| {
            (snapshot.presence, snapshot.name_conflict) != (host.reachability(now), two)
        })
    }

    /// Prints a host if it changed.
    pub(super) fn print(&mut self, host: &Host, now: Timestamp, out: &mut Output) {
        let snapshot = DisplayedHost::of(host, now);
        if self.last_printed.get(&host.name) != Some(&snapshot) {
            out.json(&HostJson::new(host, now));
            self.last_printed.insert(host.name.clone(), snapshot);
        }
    }
}

impl DisplayedHost {
    fn of(host: &Host, now: Timestamp) -> Self {
        let answer = host.answer.as_deref().map(|answer| Presence {
            query: None,
            id: None,
            nix_free_bytes: None,
            boot_free_bytes: None,
            state_free_bytes: None,
            ..answer.clone()
        });
        Self {
            presence: host.reachability(now),
            name_conflict: host.has_name_conflict(now),
            low_disk: host.low_disk().map(|low| low.place),
            answer,
            job: host.job.as_deref().map(without_times),
            last_change: host.last_change.as_deref().map(without_times),
            refusal: host.refusal.as_deref().map(without_times),
        }
    }
}

/// A report without its times, because a heartbeat is not a change.
fn without_times(report: &DeployReport) -> DeployReport {
    let mut report =
        DeployReport { seq: None, at: None, elapsed_ms: None, diagnostics: None, ..report.clone() };
    report.phases.0.iter_mut().for_each(|phase| phase.elapsed_ms = 0);
    if !report.status.is_final() {
        // Before the first phase, these only show that the job is alive.
        report.status = crate::protocol::Status::Running;
        report.message.clear();
    }
    report
}
