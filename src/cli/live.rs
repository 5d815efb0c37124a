//! Live lines on a terminal, one for each thing that is under way, and plain lines above them.
//!
//! Not a crate: those for it calculate with libm, which is half a MiB in the memory of each idle listener.

use super::out::Out;
use super::repaint::{Repaint, fit, size};
use crate::fleet::words;
use std::io::stderr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr;

/// How often they are drawn, so that time is seen to pass.
const TICK: Duration = Duration::from_millis(100);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// The live lines; none where there is no terminal.
pub(super) struct Live {
    shared: Option<Arc<Shared>>,
    ticker: Option<JoinHandle<()>>,
}

struct Shared {
    lines: Mutex<Lines>,
    ended: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Lines {
    busy: Vec<Busy>,
    repaint: Repaint,
    ticks: usize,
    has_ended: bool,
}

/// A thing that is under way.
struct Busy {
    name: String,
    text: String,
    since: Instant,
}

impl Live {
    pub(super) fn new(live: bool) -> Self {
        let shared = live.then(|| Arc::new(Shared { lines: Mutex::default(), ended: Condvar::new() }));
        let ticker = shared.clone().map(|shared| std::thread::spawn(move || tick(&shared)));
        Self { shared, ticker }
    }

    /// Whether there are live lines.
    pub(super) fn is_live(&self) -> bool {
        self.shared.is_some()
    }

    /// Shows how a thing stands that is under way.
    pub(super) fn busy(&mut self, name: &str, text: &str) {
        let Some(shared) = &self.shared else { return };
        let mut lines = shared.lock();
        match lines.busy.iter_mut().find(|busy| busy.name == name) {
            Some(busy) => text.clone_into(&mut busy.text),
            None => {
                lines.busy.push(Busy { name: name.to_owned(), text: text.to_owned(), since: Instant::now() });
            }
        }
        lines.draw();
    }

    /// Takes its line away.
    pub(super) fn idle(&mut self, name: &str) {
        let Some(shared) = &self.shared else { return };
        let mut lines = shared.lock();
        lines.busy.retain(|busy| busy.name != name);
        lines.draw();
    }

    /// Prints a line that stays.
    pub(super) fn line(&self, text: &str, out: &mut Out) {
        let Some(shared) = &self.shared else { return out.line(text) };
        let mut lines = shared.lock();
        lines.clear();
        out.line(text);
        lines.draw();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            let mut lines = shared.lock();
            lines.has_ended = true;
            lines.clear();
            shared.ended.notify_all();
        }
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
    }
}

fn tick(shared: &Shared) {
    let mut lines = shared.lock();
    while !lines.has_ended {
        lines = shared.ended.wait_timeout(lines, TICK).unwrap_or_else(PoisonError::into_inner).0;
        if !lines.has_ended {
            lines.ticks += 1;
            lines.draw();
        }
    }
}

impl Lines {
    fn draw(&mut self) {
        let (columns, rows) = size();
        let room = rows.saturating_sub(1).max(1);
        let mut shown: Vec<_> =
            self.busy.iter().take(room).map(|busy| busy.line(self.ticks, columns)).collect();
        if self.busy.len() > room {
            shown.pop();
            shown.push(format!("  and {} more", self.busy.len() - (room - 1)));
        }
        // A terminal that is gone shows nothing more.
        let _ = self.repaint.draw(&shown, &mut stderr().lock());
    }

    fn clear(&mut self) {
        let _ = self.repaint.draw(&[], &mut stderr().lock());
    }
}

impl Busy {
    /// `⠋ web1  build 1/3 … 0:41`, the time at the right end.
    fn line(&self, ticks: usize, columns: usize) -> String {
        let time = words::so_far(self.since.elapsed().as_millis().try_into().unwrap_or(u64::MAX));
        let room = columns.saturating_sub(time.len() + 4);
        let text = fit(&self.text, room);
        let gap = room - text.width();
        format!("{} {text}{:gap$} {time}", SPINNER[ticks % SPINNER.len()], "")
    }
}
