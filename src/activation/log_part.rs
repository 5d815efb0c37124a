//! A part of a log that was asked for, by the rules of live pieces: as long as in the file, and without secrets.

use super::job_log::{MAX_PIECE, same_length};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The longest part, in bytes: ordinary text then fits one message.
const MAX_PART: usize = 60 * 1024;
/// How much is looked at before and after a part, so that no secret is cut in two and told in halves.
const MARGIN: usize = MAX_PIECE;

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// The text, as many bytes long as in the file, at most 60 KiB.
    pub text: String,
    /// Whether there is no more to tell at present.
    pub eof: bool,
}

impl LogPart {
    /// Reads on from `offset`; where that lies past the end, gives the end and no text.
    ///
    /// Of a log that is `growing` the unfinished last line is left for later, as live pieces leave it: the rest of it
    /// may complete a character or a secret. Only its last 4 KiB are, where it is longer. `mask` blots out secrets and
    /// leaves the text as long as it was.
    pub fn read(path: &Path, offset: u64, growing: bool, mask: impl Fn(&str) -> String) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if offset > length {
            return Ok(Self { offset: length, text: String::new(), eof: true });
        }
        let before = usize::try_from(offset).map_or(MARGIN, |offset| offset.min(MARGIN));
        file.seek(SeekFrom::Start(offset - before as u64))?;
        let most = before + MAX_PART + MARGIN;
        let mut bytes = Vec::new();
        file.take(most as u64).read_to_end(&mut bytes)?;
        let all = if growing { held_back(&bytes) } else { bytes.len() };
        let eof = bytes.len() < most && all <= before + MAX_PART;
        let text = mask(&same_length(&bytes));
        Ok(Self { offset, text: cut(&text, before, all.min(before + MAX_PART)), eof })
    }
}

/// How much of these bytes, which more will follow, is settled.
fn held_back(bytes: &[u8]) -> usize {
    let line = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    line.max(bytes.len().saturating_sub(MAX_PIECE))
}

/// The text from `start` to `end`. What it begins within of a character stands as `?`, a character that it would end
/// within is left out.
fn cut(text: &str, start: usize, end: usize) -> String {
    let (first, last) = (text.ceil_char_boundary(start), text.floor_char_boundary(end));
    let whole = text.get(first..last);
    whole.map(|whole| "?".repeat(first - start) + whole).unwrap_or_default()
}
