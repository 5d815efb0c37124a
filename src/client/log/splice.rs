//! Joins pieces of a log into one text, in any order of arrival. Pure: no clock, no messages.

use std::collections::BTreeMap;

/// Maximum size of the waiting pieces, in bytes. Dropped pieces can be queried again.
const MAX_AHEAD: usize = 1024 * 1024;
/// Memory overhead of a waiting piece, in bytes.
const PIECE_COST: usize = 64;

/// Puts pieces of a log in order, each byte once. Pieces may be repeated and overlap. Offsets are in bytes.
#[derive(Debug, Clone)]
pub struct LogSplicer {
    /// Text in order that was not taken yet.
    ready: String,
    /// The first missing byte: where `ready` ends.
    end: u64,
    /// Later pieces by offset.
    ahead: BTreeMap<u64, String>,
    /// Size of the later pieces, with overhead.
    ahead_size: usize,
    /// The end of the furthest piece received so far.
    furthest: u64,
}

impl LogSplicer {
    /// A splicer for text from `start`; earlier text is dropped.
    pub fn new(start: u64) -> Self {
        Self { ready: String::new(), end: start, ahead: BTreeMap::new(), ahead_size: 0, furthest: start }
    }

    /// Adds a piece. If it overlaps another piece within a character, each remaining byte of that character becomes
    /// `?`.
    pub fn add(&mut self, offset: u64, text: String) {
        let Some(end) = offset.checked_add(text.len() as u64) else { return };
        self.furthest = self.furthest.max(end);
        let longer = self.ahead.get(&offset).is_none_or(|known| known.len() < text.len());
        if end <= self.end || !longer {
            return;
        }
        self.ahead_size += text.len() + PIECE_COST;
        let shorter = self.ahead.insert(offset, text);
        self.ahead_size -= shorter.map_or(0, |shorter| shorter.len() + PIECE_COST);
        while let Some(first) = self.ahead.first_entry().filter(|first| *first.key() <= self.end) {
            let (offset, text) = first.remove_entry();
            self.ahead_size -= text.len() + PIECE_COST;
            self.append(offset, &text);
        }
        while self.ahead_size > MAX_AHEAD
            && let Some((_, text)) = self.ahead.pop_last()
        {
            self.ahead_size -= text.len() + PIECE_COST;
        }
    }

    /// Appends the new part of a piece that starts at or before the end.
    fn append(&mut self, offset: u64, text: &str) {
        let known = usize::try_from(self.end - offset).unwrap_or(usize::MAX).min(text.len());
        let whole = text.ceil_char_boundary(known);
        self.ready.extend((known..whole).map(|_| '?'));
        self.ready.push_str(&text[whole..]);
        self.end += (text.len() - known) as u64;
    }

    /// Takes all text that is in order, with its offset, which is where the previous text ended.
    pub fn take(&mut self) -> Option<(u64, String)> {
        let text = std::mem::take(&mut self.ready);
        (!text.is_empty()).then(|| (self.end - text.len() as u64, text))
    }

    /// Where the text that is in order ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Where to query from, if a piece before later ones is missing.
    pub fn gap(&self) -> Option<u64> {
        (self.furthest > self.end).then_some(self.end)
    }
}
