//! One build of the builder as an operator sees it.

use super::Fleet;
use crate::protocol::{BuildHost, BuildReport, Id, PhaseState};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::sync::Arc;

/// How many builds are remembered.
const KEPT: usize = 100;
/// How long a builder that counts its reports may say nothing: it reports every 15 s.
const SILENT: SignedDuration = SignedDuration::from_secs(45);

/// One build.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Build {
    /// Its id.
    pub id: Id,
    /// Its latest report.
    pub report: Arc<BuildReport>,
    /// When it was first heard of.
    pub since: Timestamp,
    /// When it was last heard of.
    pub heard: Timestamp,
}

impl Build {
    /// Whether it has its verdict.
    pub fn is_over(&self) -> bool {
        self.report.status.is_final()
    }

    /// Whether the builder has fallen silent in the middle of it. A base builder is always silent while it builds.
    pub fn is_silent(&self, now: Timestamp) -> bool {
        !self.is_over() && self.report.seq.is_some() && now.duration_since(self.heard) > SILENT
    }

    /// How many of its hosts are in this state.
    pub fn count(&self, state: &PhaseState) -> usize {
        self.report.hosts.iter().filter(|host| host.state == *state).count()
    }

    /// The hosts in the order in which they are looked at: what failed, what runs, what is done, and the others.
    pub fn hosts(&self) -> Vec<&BuildHost> {
        let rank = |host: &&BuildHost| match host.state {
            PhaseState::Failed => 0,
            PhaseState::Running => 1,
            PhaseState::Done => 3,
            _ => 2,
        };
        let mut hosts: Vec<_> = self.report.hosts.iter().collect();
        hosts.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| super::natural(&a.hostname, &b.hostname)));
        hosts
    }
}

impl Fleet {
    /// Folds a report of a build; gives whether anything is different from before. A verdict stands, and of others the one
    /// with the higher number.
    pub fn apply_build(&mut self, id: &Id, report: Arc<BuildReport>, now: Timestamp) -> bool {
        let Some(at) = self.builds.iter().position(|build| build.id == *id) else {
            if self.builds.len() >= KEPT {
                let ended = self.builds.iter().position(Build::is_over).unwrap_or(0);
                self.builds.remove(ended);
            }
            self.builds.push_back(Build { id: id.clone(), report, since: now, heard: now });
            return true;
        };
        let build = &mut self.builds[at];
        build.heard = now;
        let newer = match (build.report.seq, report.seq) {
            (Some(before), Some(after)) => after > before,
            _ => *build.report != *report,
        };
        let changed = !build.is_over() && (newer || report.status.is_final());
        if changed {
            build.report = report;
        }
        changed
    }

    /// What is known of a build.
    pub fn build(&self, id: &Id) -> Option<&Build> {
        self.builds.iter().find(|build| build.id == *id)
    }
}
