//! Makes whole lines of a text that comes in pieces.

/// The longest line, in bytes; what is longer is broken, so that a program without line ends fills no memory.
const LONGEST: usize = 64 * 1024;

/// The line that has begun.
#[derive(Debug, Default)]
pub(super) struct Lines {
    offset: u64,
    text: String,
}

impl Lines {
    /// Adds a piece that begins at `offset`; gives the lines that it ends, without their ends, and where each begins.
    pub(super) fn add(&mut self, offset: u64, piece: &str) -> Vec<(u64, String)> {
        if self.text.is_empty() {
            self.offset = offset;
        }
        self.text.push_str(piece);
        let mut lines = Vec::new();
        loop {
            let (line, next) = match self.text.find('\n') {
                Some(end) if end <= LONGEST => (end, end + 1),
                None if self.text.len() <= LONGEST => return lines,
                _ => {
                    let end = self.text.floor_char_boundary(LONGEST);
                    (end, end)
                }
            };
            lines.push((self.offset, self.text[..line].to_owned()));
            self.text.drain(..next);
            self.offset += next as u64;
        }
    }

    /// A last line without an end.
    pub(super) fn rest(self) -> Option<(u64, String)> {
        (!self.text.is_empty()).then_some((self.offset, self.text))
    }
}
