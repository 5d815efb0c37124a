//! Reads the lines of a pipe with bounded memory.

use crate::text::fitting_prefix;
use std::collections::VecDeque;
use std::io;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Maximum length of a line, in bytes. Error messages with traces are much shorter.
const MAX_LINE: usize = 256 << 10;

/// Reads a pipe line by line.
pub(in crate::nix) struct LineReader<R> {
    pipe: BufReader<R>,
    line: Vec<u8>,
    /// Whether the current line exceeded [`MAX_LINE`] and was cut.
    cut: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(in crate::nix) fn new(pipe: R) -> Self {
        Self { pipe: BufReader::new(pipe), line: Vec::new(), cut: false }
    }

    /// The next line; `None` at the end. Cancel safe.
    pub(in crate::nix) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let chunk = self.pipe.fill_buf().await?;
            if chunk.is_empty() {
                let rest = !self.line.is_empty();
                return Ok(rest.then(|| self.take()));
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let kept = part.len().min(MAX_LINE - self.line.len());
            self.line.extend_from_slice(&part[..kept]);
            self.cut |= kept < part.len();
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.pipe.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    /// Reads and discards everything, so that the writer never blocks on a full pipe. Never returns.
    pub(super) async fn drain(&mut self) {
        while let Ok(Some(_)) = self.next().await {}
        std::future::pending::<()>().await;
    }

    fn take(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        // A truncated JSON message cannot be parsed.
        if std::mem::take(&mut self.cut) && line.starts_with("@nix ") {
            return format!("(a nix message over {} KiB was omitted)", MAX_LINE >> 10);
        }
        line
    }
}

/// Maximum length of a line in a [`LogTail`], in bytes.
const LINE_BYTES: usize = 400;

/// The last lines of a log. Long lines are cut.
#[derive(Debug)]
pub struct LogTail {
    most: usize,
    lines: VecDeque<String>,
}

impl LogTail {
    /// Keeps the last `most` lines.
    pub fn of(most: usize) -> Self {
        Self { most, lines: VecDeque::new() }
    }

    /// Appends a line, and drops the oldest one if there are too many.
    pub fn push(&mut self, line: &str) {
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(fitting_prefix(line, LINE_BYTES).to_owned());
    }

    /// The kept lines, joined with line breaks.
    pub fn text(self) -> String {
        Vec::from(self.lines).join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::{LineReader, MAX_LINE};

    #[tokio::test]
    async fn endless_line_uses_bounded_memory() {
        let long = "x".repeat(3 * MAX_LINE);
        let text = format!("one\n\n{long}\n@nix {long}\nrest");
        let mut lines = LineReader::new(text.as_bytes());
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(line);
        }
        let omitted = "(a nix message over 256 KiB was omitted)";
        assert_eq!(read, ["one", "", &long[..MAX_LINE], omitted, "rest"]);
        assert!(lines.line.capacity() <= 2 * MAX_LINE);
    }
}
