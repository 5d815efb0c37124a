//! Each change of a host as a line or an object of its own, and none twice.

use super::super::super::out::Out;
use super::super::super::{render, replies};
use super::super::Shown;
use crate::fleet::{Host, Presence};
use crate::protocol::{DeployReport, HostAnswer, Name};
use jiff::{Timestamp, Zoned};
use std::collections::HashMap;

/// Lines for people.
#[derive(Default)]
pub(super) struct Lines {
    /// What was last said of each host.
    said: HashMap<Name, String>,
    /// Whether it was said that nobody is there.
    nobody: bool,
}

/// Objects for programs.
#[derive(Default)]
pub(super) struct Objects {
    told: HashMap<Name, Told>,
}

/// What an object tells of a host, without what changes all the time and means nothing by itself.
#[derive(PartialEq)]
struct Told {
    presence: Presence,
    two_of_one_name: bool,
    answer: Option<HostAnswer>,
    job: Option<DeployReport>,
    refusal: Option<DeployReport>,
}

/// A line with the time before it.
pub(super) fn line(text: &str) -> String {
    format!("{}  {text}", Zoned::now().strftime("%Y-%m-%d %H:%M:%S"))
}

impl Lines {
    /// Says how a host stands, where that is new.
    pub(super) fn tell(&mut self, host: &Host, now: Timestamp, out: &mut Out) {
        let text = render::host_line(host, now);
        if self.said.get(&host.name) != Some(&text) {
            out.line(&line(&text));
            self.said.insert(host.name.clone(), text);
        }
    }

    /// Says once that nobody is there.
    pub(super) fn nobody(&mut self, nobody: bool, out: &mut Out) {
        if nobody && !self.nobody {
            out.line(&line(replies::NOBODY));
        }
        self.nobody = nobody;
    }
}

impl Objects {
    /// Whether time alone has changed how a host stands, or nothing was told of it yet.
    pub(super) fn is_due(&self, host: &Host, now: Timestamp) -> bool {
        let two = host.claimants(now).len() > 1;
        self.told
            .get(&host.name)
            .is_none_or(|told| (told.presence, told.two_of_one_name) != (host.presence(now), two))
    }

    /// Tells of a host, where that is new.
    pub(super) fn tell(&mut self, host: &Host, now: Timestamp, out: &mut Out) {
        let told = Told::of(host, now);
        if self.told.get(&host.name) != Some(&told) {
            out.json(&Shown::new(host, now));
            self.told.insert(host.name.clone(), told);
        }
    }
}

impl Told {
    fn of(host: &Host, now: Timestamp) -> Self {
        let answer = host.answer.as_deref().map(|answer| HostAnswer {
            want: None,
            id: None,
            nix_free_bytes: None,
            boot_free_bytes: None,
            ..answer.clone()
        });
        Self {
            presence: host.presence(now),
            two_of_one_name: host.claimants(now).len() > 1,
            answer,
            job: host.job.as_deref().map(timeless),
            refusal: host.refusal.as_deref().map(timeless),
        }
    }
}

/// A report without its times: a heartbeat is no change.
fn timeless(report: &DeployReport) -> DeployReport {
    let mut report =
        DeployReport { seq: None, at: None, elapsed_ms: None, diagnostics: None, ..report.clone() };
    report.phases.0.iter_mut().for_each(|phase| phase.elapsed_ms = 0);
    if !report.status.is_final() {
        // As long as no phase has begun, these say no more than that it lives.
        report.status = crate::protocol::Status::Running;
        report.message.clear();
    }
    report
}
