//! News of a deployment for people: live lines on a terminal, plain lines elsewhere.

use super::super::live::Live;
use super::super::out::Out;
use crate::deployer::{Follow, Update};
use crate::fleet::words;
use crate::protocol::{DeployReport, Name, printable};
use std::collections::HashMap;

/// Shows news as it comes.
pub(super) struct Progress {
    live: Live,
    /// What was last said of each host, so that heartbeats are not repeated.
    said: HashMap<Name, String>,
    width: usize,
}

impl Progress {
    pub(super) fn new(follow: &Follow, live: bool) -> Self {
        let width = follow.plan().hosts().keys().map(|host| host.as_str().len()).max().unwrap_or(0);
        Self { live: Live::new(live), said: HashMap::new(), width }
    }

    /// Shows one piece of news.
    pub(super) fn show(&mut self, update: &Update, out: &mut Out) {
        match update {
            Update::Note(note) | Update::Again { note, .. } => {
                self.live.line(&format!("note: {}", printable(note)), out);
            }
            Update::Wave(wave) => self.live.line(&wave.to_string(), out),
            Update::Report(report) => self.report(report, out),
        }
    }

    fn report(&mut self, report: &DeployReport, out: &mut Out) {
        let name = report.hostname.as_str();
        let text = format!("{name:width$}  {}", words::progress_of(report), width = self.width);
        if report.status.is_final() {
            self.live.idle(name);
            self.live.line(&text, out);
        } else if self.live.is_live() {
            self.live.busy(name, &text);
        } else {
            // Every phase once, not every step of a build.
            let phase = report.phases.running().map_or(report.status.as_str(), |phase| phase.name.as_str());
            let said = self.said.insert(report.hostname.clone(), phase.to_owned());
            if said.as_deref() != Some(phase) {
                self.live.line(&text, out);
            }
        }
    }
}
