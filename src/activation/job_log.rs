//! The log of a job: one file that several processes append to, and that is read while it grows.

use crate::private_file;
use crate::text::{fitting_prefix, last, printable};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The longest piece in bytes; a longer line is split.
pub(super) const MAX_PIECE: usize = 4096;
/// How many bytes are read at a time, so that a flood of output does not block the reader.
const MAX_READ: u64 = 64 * 1024;
/// How many bytes at the end of a log are searched for its last lines.
const MAX_LAST_LINES: u64 = 256 * 1024;

/// A piece of a log: a line with its line end, or a part of a long line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// The text. It is as long in bytes as the piece in the file: each byte that is not UTF-8 is replaced by one `?`.
    pub text: String,
}

/// Appends lines to a log.
#[derive(Debug)]
pub struct JobLog {
    file: File,
    offset: u64,
}

impl JobLog {
    /// Opens a log for appending. Creates it if it does not exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = private_file::open_options().append(true).open(path)?;
        let offset = file.metadata()?.len();
        Ok(Self { file, offset })
    }

    /// Appends one line and returns it as a piece.
    pub fn line(&mut self, line: &str) -> io::Result<LogPiece> {
        let text = format!("{line}\n");
        self.file.write_all(text.as_bytes())?;
        let offset = self.offset;
        self.offset += text.len() as u64;
        Ok(LogPiece { offset, text })
    }

    /// Appends complete lines in one write and returns the last of them as a piece.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<Option<LogPiece>> {
        self.file.write_all(lines)?;
        let end = self.offset + lines.len() as u64;
        self.offset = end;
        let last = lines.split_inclusive(|byte| *byte == b'\n').next_back();
        Ok(last.map(|last| LogPiece { offset: end - last.len() as u64, text: same_length(last) }))
    }

    /// Length of the log in bytes, without what other processes have appended since it was opened.
    pub fn length(&self) -> u64 {
        self.offset
    }
}

/// Reads a log while it grows.
#[derive(Debug)]
pub struct JobLogTail {
    file: File,
    /// Offset of the next piece.
    offset: u64,
    /// The start of an unfinished line: bytes that were read and not yet returned.
    rest: Vec<u8>,
}

impl JobLogTail {
    /// Starts at the current end of the log.
    pub fn at_end(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let offset = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, offset, rest: Vec::new() })
    }

    /// Starts at an offset in bytes.
    pub fn at(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, offset, rest: Vec::new() })
    }

    /// Offset of the next piece in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the lines that were appended since the last call. With `last`, an unfinished line is returned too. The
    /// result is empty at the end of the log.
    pub fn read(&mut self, last: bool) -> io::Result<Vec<LogPiece>> {
        self.read_masked(last, |_, text| text)
    }

    /// Like [`Self::read`], for a log that may hold secrets. `mask` receives the text and its offset, and returns a
    /// text of the same length without secrets. A secret that is not longer than a piece is never split.
    pub fn read_masked(
        &mut self,
        last: bool,
        mask: impl FnOnce(u64, String) -> String,
    ) -> io::Result<Vec<LogPiece>> {
        let read = (&mut self.file).take(MAX_READ).read_to_end(&mut self.rest)?;
        // If more bytes follow, the line may be complete in the next read.
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

/// Decodes bytes to a text of the same length.
pub(super) fn same_length(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

/// Returns the last `count` lines of a log without control characters; `None` if the log is empty or unreadable.
pub fn last_lines(path: &Path, count: usize) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let from = length.saturating_sub(MAX_LAST_LINES);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(|line| printable(fitting_prefix(line, MAX_PIECE))).collect();
    let last = last(&lines, count).join("\n");
    (!last.is_empty()).then_some(last)
}
