//! The log of a job: one file, written by whoever works and read along while it grows.

use crate::private;
use crate::protocol::{fit_start, printable};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The longest piece; a longer line comes in several.
pub(super) const MAX_PIECE: usize = 4096;
/// How much is read at a time, so that a flood of output holds nobody up.
const MAX_READ: u64 = 64 * 1024;
/// How much of the end of a log is looked at for its last lines.
const MAX_END: u64 = 256 * 1024;

/// A piece of a log: a line with its end, or part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// The text, as many bytes long as in the file: each byte that is no UTF-8 stands as one `?`.
    pub text: String,
}

/// Appends lines to a log.
#[derive(Debug)]
pub struct JobLog {
    file: File,
    offset: u64,
}

impl JobLog {
    /// Opens a log for appending.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = private::options().append(true).open(path)?;
        let offset = file.metadata()?.len();
        Ok(Self { file, offset })
    }

    /// Appends one line and gives it as a piece.
    pub fn line(&mut self, line: &str) -> io::Result<LogPiece> {
        let text = format!("{line}\n");
        self.file.write_all(text.as_bytes())?;
        let offset = self.offset;
        self.offset += text.len() as u64;
        Ok(LogPiece { offset, text })
    }

    /// Appends whole lines at once and gives the last of them as a piece.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<Option<LogPiece>> {
        self.file.write_all(lines)?;
        let end = self.offset + lines.len() as u64;
        self.offset = end;
        let last = lines.split_inclusive(|byte| *byte == b'\n').next_back();
        Ok(last.map(|last| LogPiece { offset: end - last.len() as u64, text: same_length(last) }))
    }

    /// How long the log is, in bytes, as far as it was written here.
    pub fn length(&self) -> u64 {
        self.offset
    }
}

/// Reads a log that grows.
#[derive(Debug)]
pub struct JobLogTail {
    file: File,
    /// Where the next piece begins.
    offset: u64,
    /// Bytes read but not yet given: the start of a line.
    rest: Vec<u8>,
}

impl JobLogTail {
    /// Reads from the end as it stands now.
    pub fn at_end(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let offset = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, offset, rest: Vec::new() })
    }

    /// Reads from an offset in bytes.
    pub fn at(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, offset, rest: Vec::new() })
    }

    /// Where the next piece begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What has been written since, in whole lines; `last` gives an unfinished line as well. Empty once all is read.
    pub fn read(&mut self, last: bool) -> io::Result<Vec<LogPiece>> {
        self.read_masked(last, |_, text| text)
    }

    /// The same of a log that may hold secrets: `mask` gets what was read and its offset, and gives it back as long as it was,
    /// without secrets. None is cut in two before, if it is no longer than a piece.
    pub fn read_masked(
        &mut self,
        last: bool,
        mask: impl FnOnce(u64, String) -> String,
    ) -> io::Result<Vec<LogPiece>> {
        let read = (&mut self.file).take(MAX_READ).read_to_end(&mut self.rest)?;
        // Where that was not all, the rest of a line may follow.
        let last = last && (read as u64) < MAX_READ;
        let masked = mask(self.offset, same_length(&self.rest));
        let mut pieces = Vec::new();
        let mut start = 0;
        while start < masked.len() {
            let rest = &masked[start..];
            let end = match rest.bytes().take(MAX_PIECE).position(|byte| byte == b'\n') {
                Some(end) => end + 1,
                None if last || rest.len() > 2 * MAX_PIECE => rest.floor_char_boundary(MAX_PIECE),
                None => break,
            };
            pieces.push(LogPiece { offset: self.offset, text: rest[..end].to_owned() });
            self.offset += end as u64;
            start += end;
        }
        self.rest.drain(..start);
        Ok(pieces)
    }
}

/// The text of these bytes, as long as they are.
pub(super) fn same_length(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

/// The last `count` lines of a log, each made harmless; `None` where there are none.
pub fn last_lines(path: &Path, count: usize) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let from = length.saturating_sub(MAX_END);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(|line| printable(fit_start(line, MAX_PIECE))).collect();
    let last = lines[lines.len().saturating_sub(count)..].join("\n");
    (!last.is_empty()).then_some(last)
}
