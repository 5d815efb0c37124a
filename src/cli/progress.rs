//! Live progress lines on a terminal, one per running task, with permanent lines above them.
//!
//! Not from a crate, because the common ones pull in libm, which costs half a MiB of memory in each idle listener.

use super::output::Output;
use super::render;
use crate::text::format;
use std::fmt::Write as _;
use std::io::{self, Write, stderr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The lines that are drawn on the terminal.
#[derive(Default)]
pub(super) struct Repaint {
    drawn: Vec<String>,
    /// Width of the terminal when they were drawn.
    columns: usize,
}

impl Repaint {
    /// Whether no lines are drawn.
    pub(super) fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }

    /// Replaces the drawn lines with these, if they differ. There must be fewer lines than rows of the terminal,
    /// because scrolled lines cannot be redrawn.
    pub(super) fn draw(&mut self, lines: &[String], terminal: &mut impl Write) -> io::Result<()> {
        let (columns, rows) = size();
        let lines: Vec<_> = lines.iter().map(|line| fit(line, columns)).collect();
        if lines == self.drawn && columns == self.columns {
            return Ok(());
        }
        let mut text = String::from("\r");
        match self.height(columns, rows) {
            0 => {}
            up => drop(write!(text, "\u{1b}[{up}A")),
        }
        for line in &lines {
            let _ = writeln!(text, "{line}\u{1b}[K");
        }
        text.push_str("\u{1b}[J");
        (self.drawn, self.columns) = (lines, columns);
        terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush())
    }

    /// Rows that the drawn lines occupy now. A terminal that became narrower wraps them.
    fn height(&self, columns: usize, rows: usize) -> usize {
        let broken = |line: &String| {
            line.chars().filter_map(char::width).sum::<usize>().div_ceil(columns.max(1)).max(1)
        };
        self.drawn.iter().map(broken).sum::<usize>().min(rows.saturating_sub(1))
    }
}

/// Columns and rows of the terminal, or 80x24 if unknown.
pub(super) fn size() -> (usize, usize) {
    match render::terminal_size() {
        Some((columns, rows @ 1..)) => (columns.into(), rows.into()),
        Some((columns, 0)) => (columns.into(), 24),
        None => (80, 24),
    }
}

/// Truncates a line to this number of columns.
fn fit(line: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    line.chars().take_while(fits).collect()
}

/// Redraw interval of spinners and elapsed times.
const TICK: Duration = Duration::from_millis(100);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// The live lines. Without a terminal there are none.
pub(super) struct ProgressLines {
    shared: Option<Arc<SharedProgress>>,
    ticker: Option<JoinHandle<()>>,
}

struct SharedProgress {
    lines: Mutex<ProgressState>,
    ended: Condvar,
}

impl SharedProgress {
    fn lock(&self) -> MutexGuard<'_, ProgressState> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct ProgressState {
    active: Vec<ProgressLine>,
    repaint: Repaint,
    ticks: usize,
    has_ended: bool,
}

/// A running task.
struct ProgressLine {
    name: String,
    text: String,
    since: Instant,
}

impl ProgressLines {
    pub(super) fn new(live: bool) -> Self {
        let shared =
            live.then(|| Arc::new(SharedProgress { lines: Mutex::default(), ended: Condvar::new() }));
        let ticker = shared.clone().map(|shared| std::thread::spawn(move || tick(&shared)));
        Self { shared, ticker }
    }

    /// Whether there are live lines.
    pub(super) fn is_live(&self) -> bool {
        self.shared.is_some()
    }

    /// Adds or updates the line of a task.
    pub(super) fn update(&mut self, name: &str, text: &str) {
        let Some(shared) = &self.shared else { return };
        let mut lines = shared.lock();
        match lines.active.iter_mut().find(|line| line.name == name) {
            Some(line) => text.clone_into(&mut line.text),
            None => {
                lines.active.push(ProgressLine {
                    name: name.to_owned(),
                    text: text.to_owned(),
                    since: Instant::now(),
                });
            }
        }
        lines.draw();
    }

    /// Removes the line of a task.
    pub(super) fn remove(&mut self, name: &str) {
        let Some(shared) = &self.shared else { return };
        let mut lines = shared.lock();
        lines.active.retain(|line| line.name != name);
        lines.draw();
    }

    /// Prints a permanent line above the live lines.
    pub(super) fn line(&self, text: &str, out: &mut Output) {
        let Some(shared) = &self.shared else { return out.line(text) };
        let mut lines = shared.lock();
        lines.clear();
        out.line(text);
        lines.draw();
    }
}

impl Drop for ProgressLines {
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

fn tick(shared: &SharedProgress) {
    let mut lines = shared.lock();
    while !lines.has_ended {
        lines = shared.ended.wait_timeout(lines, TICK).unwrap_or_else(PoisonError::into_inner).0;
        if !lines.has_ended {
            lines.ticks += 1;
            lines.draw();
        }
    }
}

impl ProgressState {
    fn draw(&mut self) {
        let (columns, rows) = size();
        let space = rows.saturating_sub(1).max(1);
        let mut shown: Vec<_> =
            self.active.iter().take(space).map(|line| line.line(self.ticks, columns)).collect();
        if self.active.len() > space {
            shown.pop();
            shown.push(format!("  and {} more", self.active.len() - (space - 1)));
        }
        // Errors are ignored because the terminal may be closed.
        let _ = self.repaint.draw(&shown, &mut stderr().lock());
    }

    fn clear(&mut self) {
        let _ = self.repaint.draw(&[], &mut stderr().lock());
    }
}

impl ProgressLine {
    /// Formats a line such as `⠋ web1  build 1/3 … 0:41`, with the time right-aligned.
    fn line(&self, ticks: usize, columns: usize) -> String {
        let time = format::elapsed(self.since.elapsed().as_millis().try_into().unwrap_or(u64::MAX));
        let space = columns.saturating_sub(time.len() + 4);
        let text = fit(&self.text, space);
        let gap = space - text.width();
        format!("{} {text}{:gap$} {time}", SPINNER[ticks % SPINNER.len()], "")
    }
}
