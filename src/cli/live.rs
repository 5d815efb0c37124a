//! Live lines on a terminal, one for each thing that is under way, and plain lines above them.

use super::out::Out;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::time::Duration;

/// The live lines; none where there is no terminal.
pub(super) struct Live {
    bars: Option<MultiProgress>,
    lines: HashMap<String, ProgressBar>,
}

impl Live {
    pub(super) fn new(live: bool) -> Self {
        Self { bars: live.then(MultiProgress::new), lines: HashMap::new() }
    }

    /// Whether there are live lines.
    pub(super) fn is_live(&self) -> bool {
        self.bars.is_some()
    }

    /// Shows how a thing stands that is under way.
    pub(super) fn busy(&mut self, name: &str, text: &str) {
        if let Some(bars) = &self.bars {
            let bar = self.lines.entry(name.to_owned()).or_insert_with(|| spinner(bars));
            bar.set_message(text.to_owned());
        }
    }

    /// Takes its line away.
    pub(super) fn idle(&mut self, name: &str) {
        if let Some(bar) = self.lines.remove(name) {
            bar.finish_and_clear();
        }
    }

    /// Prints a line that stays.
    pub(super) fn line(&self, text: &str, out: &mut Out) {
        match &self.bars {
            Some(bars) => bars.suspend(|| out.line(text)),
            None => out.line(text),
        }
    }
}

fn spinner(bars: &MultiProgress) -> ProgressBar {
    let bar = bars.add(ProgressBar::new_spinner());
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed:>4}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl Drop for Live {
    fn drop(&mut self) {
        for bar in self.lines.values() {
            bar.finish_and_clear();
        }
    }
}
