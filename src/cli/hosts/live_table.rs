//! Table of the fleet on a terminal, redrawn in place.

use super::watch::WatchState;
use crate::cli::output::Output;
use crate::cli::progress::{Repaint, size};
use crate::cli::{render, replies};
use std::io::Write as _;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Minimum time between two redraws.
const MIN_INTERVAL: Duration = Duration::from_millis(250);

/// The drawn table and the time of the last redraw.
pub(super) struct LiveTable {
    repaint: Repaint,
    drawn_at: Instant,
    /// Whether it must be redrawn.
    is_stale: bool,
    /// The last note, shown below the table.
    note: Option<String>,
}

impl Default for LiveTable {
    fn default() -> Self {
        Self { repaint: Repaint::default(), drawn_at: Instant::now(), is_stale: false, note: None }
    }
}

impl LiveTable {
    /// Requests a redraw.
    pub(super) fn invalidate(&mut self) {
        self.is_stale = true;
    }

    /// Shows a note below the table.
    pub(super) fn set_note(&mut self, note: String) {
        self.note = Some(note);
        self.is_stale = true;
    }

    /// Waits until the table can be redrawn. Never returns if nothing changed.
    pub(super) async fn wait_until_due(&self) {
        if !self.is_stale {
            return std::future::pending().await;
        }
        if !self.repaint.is_empty() {
            sleep_until(self.drawn_at + MIN_INTERVAL).await;
        }
    }

    /// Redraws what changed.
    pub(super) fn draw(&mut self, state: &WatchState, out: &mut Output) {
        (self.is_stale, self.drawn_at) = (false, Instant::now());
        let lines = self.lines(state);
        out.closed = self.repaint.draw(&lines, &mut std::io::stdout().lock()).is_err();
    }

    /// Leaves the table on the terminal and clears what was typed below it.
    pub(super) fn end(&self) {
        if self.repaint.is_empty() {
            return;
        }
        let mut terminal = std::io::stdout().lock();
        // Errors are ignored because the terminal may be closed.
        let _ = terminal.write_all(b"\r\x1b[J").and_then(|()| terminal.flush());
    }

    /// The lines to show. Limited to the height of the terminal, because scrolled lines cannot be redrawn.
    fn lines(&self, state: &WatchState) -> Vec<String> {
        let (_, rows) = size();
        let (hosts, now) = (state.hosts(), state.now());
        let mut lines: Vec<String> = if hosts.is_empty() {
            vec![replies::NO_HOSTS.to_owned()]
        } else {
            render::fleet(&hosts, now).lines().map(str::to_owned).collect()
        };
        lines.extend(hosts.iter().flat_map(|host| render::notes(host)));
        let notes = self.note.clone().into_iter().chain(state.connection_error());
        let below: Vec<_> = notes.map(|note| format!("note: {note}")).collect();
        let space = rows.saturating_sub(1 + below.len()).max(1);
        if lines.len() > space {
            let more = lines.len() - space + 1;
            lines.truncate(space - 1);
            lines.push(format!(
                "and {more} more lines: enlarge the terminal, or filter with --tier and --role"
            ));
        }
        lines.extend(below);
        lines
    }
}
