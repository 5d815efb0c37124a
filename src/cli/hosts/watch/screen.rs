//! The table of the fleet on a terminal, drawn anew where it stands.

use super::super::super::out::Out;
use super::super::super::{render, replies};
use super::watched::Watched;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use unicode_width::UnicodeWidthChar;

/// The shortest time between two drawings.
const GAP: Duration = Duration::from_millis(250);

/// What was drawn, and when.
pub(super) struct Screen {
    drawn: Vec<String>,
    /// The columns it was drawn for.
    columns: usize,
    drawn_at: Instant,
    /// Whether it is to be drawn anew.
    touched: bool,
    /// What else there was to say last.
    remark: Option<String>,
}

impl Default for Screen {
    fn default() -> Self {
        Self { drawn: Vec::new(), columns: 0, drawn_at: Instant::now(), touched: false, remark: None }
    }
}

impl Screen {
    /// Something may look otherwise now.
    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    /// Something to be said below the table.
    pub(super) fn remark(&mut self, remark: String) {
        self.remark = Some(remark);
        self.touched = true;
    }

    /// When it may be drawn anew; never where nothing has changed.
    pub(super) async fn due(&self) {
        if !self.touched {
            return std::future::pending().await;
        }
        if !self.drawn.is_empty() {
            sleep_until(self.drawn_at + GAP).await;
        }
    }

    /// Draws over what was drawn, where it is not the same.
    pub(super) fn draw(&mut self, watched: &Watched, out: &mut Out) {
        (self.touched, self.drawn_at) = (false, Instant::now());
        let (columns, rows) = size();
        let lines = self.lines(watched, columns, rows);
        if lines == self.drawn && columns == self.columns {
            return;
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
        let mut terminal = std::io::stdout().lock();
        out.closed = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()).is_err();
        (self.drawn, self.columns) = (lines, columns);
    }

    /// Leaves what is drawn; what was typed meanwhile goes.
    pub(super) fn end(&self) {
        if self.drawn.is_empty() {
            return;
        }
        let mut terminal = std::io::stdout().lock();
        // A terminal that is gone shows nothing more.
        let _ = terminal.write_all(b"\r\x1b[J").and_then(|()| terminal.flush());
    }

    /// All that is shown, no wider and no higher than the terminal: whatever has scrolled away could not be drawn over.
    fn lines(&self, watched: &Watched, columns: usize, rows: usize) -> Vec<String> {
        let (hosts, now) = (watched.hosts(), watched.now());
        let mut lines: Vec<String> = if hosts.is_empty() {
            vec![replies::NOBODY.to_owned()]
        } else {
            render::fleet(&hosts, now).lines().map(str::to_owned).collect()
        };
        lines.extend(hosts.iter().flat_map(|host| render::notes(host)));
        let remarks = self.remark.clone().into_iter().chain(watched.trouble());
        let below: Vec<_> = remarks.map(|remark| format!("note: {remark}")).collect();
        let room = rows.saturating_sub(1 + below.len()).max(1);
        if lines.len() > room {
            let more = lines.len() - room + 1;
            lines.truncate(room - 1);
            lines.push(format!(
                "and {more} lines more: enlarge the terminal, or choose with --tier and --role"
            ));
        }
        lines.extend(below);
        lines.iter().map(|line| fit(line, columns)).collect()
    }

    /// How many lines of the terminal it takes by now: in a narrower one lines are broken.
    fn height(&self, columns: usize, rows: usize) -> usize {
        let broken = |line: &String| {
            line.chars().filter_map(char::width).sum::<usize>().div_ceil(columns.max(1)).max(1)
        };
        self.drawn.iter().map(broken).sum::<usize>().min(rows.saturating_sub(1))
    }
}

/// The columns and lines of the terminal, or as many as most have.
fn size() -> (usize, usize) {
    match render::terminal_size() {
        Some((columns, rows @ 1..)) => (columns.into(), rows.into()),
        Some((columns, 0)) => (columns.into(), 24),
        None => (80, 24),
    }
}

/// As much of a line as there are columns for.
fn fit(line: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    line.chars().take_while(fits).collect()
}
