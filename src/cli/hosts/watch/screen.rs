//! The table of the fleet on a terminal, drawn anew where it stands.

use super::super::super::out::Out;
use super::super::super::repaint::{Repaint, size};
use super::super::super::{render, replies};
use super::watched::Watched;
use std::io::Write as _;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The shortest time between two drawings.
const GAP: Duration = Duration::from_millis(250);

/// What was drawn, and when.
pub(super) struct Screen {
    repaint: Repaint,
    drawn_at: Instant,
    /// Whether it is to be drawn anew.
    touched: bool,
    /// What else there was to say last.
    remark: Option<String>,
}

impl Default for Screen {
    fn default() -> Self {
        Self { repaint: Repaint::default(), drawn_at: Instant::now(), touched: false, remark: None }
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
        if !self.repaint.is_empty() {
            sleep_until(self.drawn_at + GAP).await;
        }
    }

    /// Draws over what was drawn, where it is not the same.
    pub(super) fn draw(&mut self, watched: &Watched, out: &mut Out) {
        (self.touched, self.drawn_at) = (false, Instant::now());
        let lines = self.lines(watched);
        out.closed = self.repaint.draw(&lines, &mut std::io::stdout().lock()).is_err();
    }

    /// Leaves what is drawn; what was typed meanwhile goes.
    pub(super) fn end(&self) {
        if self.repaint.is_empty() {
            return;
        }
        let mut terminal = std::io::stdout().lock();
        // A terminal that is gone shows nothing more.
        let _ = terminal.write_all(b"\r\x1b[J").and_then(|()| terminal.flush());
    }

    /// All that is shown, no wider and no higher than the terminal: whatever has scrolled away could not be drawn over.
    fn lines(&self, watched: &Watched) -> Vec<String> {
        let (_, rows) = size();
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
        lines
    }
}
