//! A part of a log for a reply to a query. As for live pieces, it is as long as in the file and without secrets.

use super::job_log::{MAX_PIECE, same_length};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The longest chunk in bytes; ordinary text of this length fits into one message.
const MAX_CHUNK: usize = 60 * 1024;
/// How many bytes before and after a chunk are masked with it, so that a secret at its border is recognized.
const CONTEXT: usize = MAX_PIECE;

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// The text, as long in bytes as in the file, at most 60 KiB.
    pub text: String,
    /// Whether this chunk ends at the present end of the log.
    pub eof: bool,
}

impl LogChunk {
    /// Reads a chunk at `offset`. If that is past the end, the chunk is empty and its offset is the end.
    ///
    /// If the log is `growing`, the unfinished last line is left for later, as in live pieces: its rest may complete a
    /// character or a secret. If that line is longer than 4 KiB, only its last 4 KiB are left. `mask` redacts secrets
    /// without changing the length of the text.
    pub fn read(path: &Path, offset: u64, growing: bool, mask: impl Fn(&str) -> String) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if offset > length {
            return Ok(Self { offset: length, text: String::new(), eof: true });
        }
        let before = usize::try_from(offset).map_or(CONTEXT, |offset| offset.min(CONTEXT));
        file.seek(SeekFrom::Start(offset - before as u64))?;
        let limit = before + MAX_CHUNK + CONTEXT;
        let mut bytes = Vec::new();
        file.take(limit as u64).read_to_end(&mut bytes)?;
        let settled = if growing { settled_len(&bytes) } else { bytes.len() };
        let eof = bytes.len() < limit && settled <= before + MAX_CHUNK;
        let text = mask(&same_length(&bytes));
        Ok(Self { offset, text: cut(&text, before, settled.min(before + MAX_CHUNK)), eof })
    }
}

/// Returns how many of these bytes cannot change their meaning when more bytes follow.
fn settled_len(bytes: &[u8]) -> usize {
    let line = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    line.max(bytes.len().saturating_sub(MAX_PIECE))
}

/// Returns the text from `start` to `end`. If `start` is within a character, the rest of that character becomes `?`; a
/// character that `end` would split is left out.
fn cut(text: &str, start: usize, end: usize) -> String {
    let (first, last) = (text.ceil_char_boundary(start), text.floor_char_boundary(end));
    let whole = text.get(first..last);
    whole.map(|whole| "?".repeat(first - start) + whole).unwrap_or_default()
}
