//! Joins pieces of a log into one text, whatever order they come in. Pure: no clock, no messages.

use std::collections::BTreeMap;

/// How much may wait for what comes before it, in bytes. What finds no room can be asked for again.
const MAX_AHEAD: usize = 1024 * 1024;
/// What a waiting piece needs beside its text, in bytes.
const PIECE_COST: usize = 64;

/// Puts pieces of a log in order, each byte once. Pieces may come repeated and overlap; offsets are in bytes.
#[derive(Debug, Clone)]
pub struct Joiner {
    /// In order and not taken yet.
    ready: String,
    /// The first byte that is missing: where `ready` ends.
    end: u64,
    /// Pieces that begin later, by offset.
    ahead: BTreeMap<u64, String>,
    /// What those need.
    held: usize,
    /// The end of the furthest piece that ever came.
    furthest: u64,
}

impl Joiner {
    /// A text that begins at `start`; what lies before it is dropped.
    pub fn new(start: u64) -> Self {
        Self { ready: String::new(), end: start, ahead: BTreeMap::new(), held: 0, furthest: start }
    }

    /// Adds a piece. Where it overlaps others within a character, the rest of that character stands as `?`, a byte
    /// each.
    pub fn add(&mut self, offset: u64, text: String) {
        let Some(end) = offset.checked_add(text.len() as u64) else { return };
        self.furthest = self.furthest.max(end);
        let longer = self.ahead.get(&offset).is_none_or(|known| known.len() < text.len());
        if end <= self.end || !longer {
            return;
        }
        self.held += text.len() + PIECE_COST;
        let shorter = self.ahead.insert(offset, text);
        self.held -= shorter.map_or(0, |shorter| shorter.len() + PIECE_COST);
        while let Some(first) = self.ahead.first_entry().filter(|first| *first.key() <= self.end) {
            let (offset, text) = first.remove_entry();
            self.held -= text.len() + PIECE_COST;
            self.append(offset, &text);
        }
        while self.held > MAX_AHEAD
            && let Some((_, text)) = self.ahead.pop_last()
        {
            self.held -= text.len() + PIECE_COST;
        }
    }

    /// Appends what is new of a piece that begins at the end or before it.
    fn append(&mut self, offset: u64, text: &str) {
        let known = usize::try_from(self.end - offset).unwrap_or(usize::MAX).min(text.len());
        let whole = text.ceil_char_boundary(known);
        self.ready.extend((known..whole).map(|_| '?'));
        self.ready.push_str(&text[whole..]);
        self.end += (text.len() - known) as u64;
    }

    /// All that is in order and was not taken yet, and where it begins. It begins where the text before has ended.
    pub fn take(&mut self) -> Option<(u64, String)> {
        let text = std::mem::take(&mut self.ready);
        (!text.is_empty()).then(|| (self.end - text.len() as u64, text))
    }

    /// Where the text that is in order ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Where to ask from, where later pieces have come and one before them is missing.
    pub fn gap(&self) -> Option<u64> {
        (self.furthest > self.end).then_some(self.end)
    }
}
