//! Which pieces of a growing log are published: so many that a fleet in a flood of output does not drown its server.
//!
//! Each piece says where it begins, so whoever hears the next one sees that others were left out, and asks for them: the log
//! on disk has all.

use crate::activation::LogPiece;
use std::time::Duration;
use tokio::time::Instant;

/// So many pieces may go out at once.
const BURST: u32 = 500;
/// The pause after which one more may.
const PAUSE: Duration = Duration::from_millis(10);

/// The pieces of one log on their way.
#[derive(Debug)]
pub(super) struct LiveLog {
    /// When all pieces that went out would have gone out with pauses between them.
    paced: Instant,
    /// The last piece that was left out, if none went out after it.
    last: Option<LogPiece>,
    /// How many pieces were left out.
    left_out: u64,
}

impl LiveLog {
    pub(super) fn new() -> Self {
        Self { paced: Instant::now(), last: None, left_out: 0 }
    }

    /// Takes a piece, and gives it back if it may go out now.
    pub(super) fn take(&mut self, piece: LogPiece) -> Option<LogPiece> {
        if self.allowed_at() <= Instant::now() {
            self.count();
            self.last = None;
            return Some(piece);
        }
        self.left_out += 1;
        self.last = Some(piece);
        None
    }

    /// When the last piece that was left out may go out after all, so that nobody waits for the next one to see a gap.
    pub(super) fn due(&self) -> Option<Instant> {
        self.last.as_ref().map(|_| self.allowed_at())
    }

    /// That piece.
    pub(super) fn take_last(&mut self) -> Option<LogPiece> {
        let last = self.last.take()?;
        self.left_out -= 1;
        self.count();
        Some(last)
    }

    /// How many pieces were left out so far.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn allowed_at(&self) -> Instant {
        self.paced.checked_sub(PAUSE * BURST).unwrap_or(self.paced)
    }

    fn count(&mut self) {
        self.paced = self.paced.max(Instant::now()) + PAUSE;
    }
}
