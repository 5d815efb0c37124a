//! News of builds for people: a live line for each host that is built on a terminal, a line for each change elsewhere.

use super::super::live::Live;
use super::super::out::Out;
use crate::deployer::BuildUpdate;
use crate::fleet::words;
use crate::protocol::{BuildReport, PhaseState, printable};
use std::collections::HashMap;

/// Shows news as it comes.
pub(super) struct Progress {
    live: Live,
    /// What was last said of each host and each build.
    said: HashMap<String, String>,
}

impl Progress {
    pub(super) fn new(live: bool) -> Self {
        Self { live: Live::new(live), said: HashMap::new() }
    }

    /// Shows one piece of news.
    pub(super) fn show(&mut self, update: &BuildUpdate, out: &mut Out) {
        match update {
            BuildUpdate::Note(note) => self.live.line(&format!("note: {}", printable(note)), out),
            BuildUpdate::Report(report) => self.report(report, out),
        }
    }

    fn report(&mut self, report: &BuildReport, out: &mut Out) {
        let width = report.hosts.iter().map(|host| host.hostname.as_str().len()).max().unwrap_or(0);
        for host in &report.hosts {
            let name = host.hostname.as_str();
            let text = format!("{name:width$}  {}", words::built_host(host));
            if host.state == PhaseState::Running {
                self.live.busy(name, &text);
            } else {
                self.live.idle(name);
            }
            let news = host.state != PhaseState::Pending;
            if self.is_new(name, host.state.as_str())
                && news
                && !(self.live.is_live() && host.state == PhaseState::Running)
            {
                self.live.line(&text, out);
            }
        }
        let target = printable(&report.target);
        if report.hosts.is_empty() && self.is_new(&format!("build {target}"), &report.message) {
            let message = printable(&report.message);
            let text = if report.status.is_final() || message.is_empty() {
                format!("{target}  {}: {message}", report.status)
            } else {
                format!("{target}  {message}")
            };
            self.live.line(&text, out);
        }
    }

    fn is_new(&mut self, of: &str, what: &str) -> bool {
        self.said.insert(of.to_owned(), what.to_owned()).as_deref() != Some(what)
    }
}
