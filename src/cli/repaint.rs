//! Lines on a terminal that are drawn anew where they stand.

use super::render;
use std::fmt::Write as _;
use std::io::{self, Write};
use unicode_width::UnicodeWidthChar;

/// What stands on the terminal.
#[derive(Default)]
pub(super) struct Repaint {
    drawn: Vec<String>,
    /// The columns it was drawn for.
    columns: usize,
}

impl Repaint {
    /// Whether nothing is drawn.
    pub(super) fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }

    /// Draws these lines over what was drawn, if they are not the same. They must not be higher than the terminal: what has
    /// scrolled away cannot be drawn over.
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

    /// How many lines of the terminal it takes by now: in a narrower one lines are broken.
    fn height(&self, columns: usize, rows: usize) -> usize {
        let broken = |line: &String| {
            line.chars().filter_map(char::width).sum::<usize>().div_ceil(columns.max(1)).max(1)
        };
        self.drawn.iter().map(broken).sum::<usize>().min(rows.saturating_sub(1))
    }
}

/// The columns and lines of the terminal, or as many as most have.
pub(super) fn size() -> (usize, usize) {
    match render::terminal_size() {
        Some((columns, rows @ 1..)) => (columns.into(), rows.into()),
        Some((columns, 0)) => (columns.into(), 24),
        None => (80, 24),
    }
}

/// As much of a line as there are columns for.
pub(super) fn fit(line: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    line.chars().take_while(fits).collect()
}
