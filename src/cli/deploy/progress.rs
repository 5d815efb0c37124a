//! News of a deployment for people: live lines on a terminal, plain lines elsewhere.

use super::super::out::Out;
use crate::deployer::{Follow, Update};
use crate::fleet::words;
use crate::protocol::{DeployReport, Name, printable};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::time::Duration;

/// Shows news as it comes.
pub(super) struct Progress {
    live: Option<MultiProgress>,
    bars: HashMap<Name, ProgressBar>,
    /// What was last said of each host, so that heartbeats are not repeated.
    said: HashMap<Name, String>,
    width: usize,
}

impl Progress {
    pub(super) fn new(follow: &Follow, live: bool) -> Self {
        let width = follow.plan().hosts().keys().map(|host| host.as_str().len()).max().unwrap_or(0);
        Self { live: live.then(MultiProgress::new), bars: HashMap::new(), said: HashMap::new(), width }
    }

    /// Shows one piece of news.
    pub(super) fn show(&mut self, update: &Update, out: &mut Out) {
        match update {
            Update::Note(note) | Update::Again { note, .. } => {
                self.line(&format!("note: {}", printable(note)), out);
            }
            Update::Wave(wave) => self.line(&wave.to_string(), out),
            Update::Report(report) => self.report(report, out),
        }
    }

    fn report(&mut self, report: &DeployReport, out: &mut Out) {
        let text = format!("{:width$}  {}", report.hostname, words::progress_of(report), width = self.width);
        if report.status.is_final() {
            if let Some(bar) = self.bars.remove(&report.hostname) {
                bar.finish_and_clear();
            }
            self.line(&text, out);
        } else if let Some(live) = &self.live {
            let bar = self.bars.entry(report.hostname.clone()).or_insert_with(|| spinner(live));
            bar.set_message(text);
        } else {
            // Every phase once, not every step of a build.
            let phase = report.phases.running().map_or(report.status.as_str(), |phase| phase.name.as_str());
            let said = self.said.insert(report.hostname.clone(), phase.to_owned());
            if said.as_deref() != Some(phase) {
                self.line(&text, out);
            }
        }
    }

    fn line(&self, text: &str, out: &mut Out) {
        match &self.live {
            Some(live) => live.suspend(|| out.line(text)),
            None => out.line(text),
        }
    }
}

fn spinner(live: &MultiProgress) -> ProgressBar {
    let bar = live.add(ProgressBar::new_spinner());
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>4}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl Drop for Progress {
    fn drop(&mut self) {
        for bar in self.bars.values() {
            bar.finish_and_clear();
        }
    }
}
