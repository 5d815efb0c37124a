//! The lines of a pipe, of which none can fill the memory.

use std::io;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// The longest line that is kept, in bytes. Error messages with their traces are well below.
const MAX_LINE: usize = 256 << 10;

/// Reads a pipe line by line.
pub(in crate::nix) struct Lines<R> {
    pipe: BufReader<R>,
    line: Vec<u8>,
    /// Whether the line is longer than what is kept.
    cut: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(in crate::nix) fn new(pipe: R) -> Self {
        Self { pipe: BufReader::new(pipe), line: Vec::new(), cut: false }
    }

    /// The next line; nothing at the end. Nothing is lost where the future is dropped.
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

    /// Reads on to the end and keeps nothing, so that nobody waits for room in the pipe; then rests.
    pub(super) async fn drain(&mut self) {
        while let Ok(Some(_)) = self.next().await {}
        std::future::pending::<()>().await;
    }

    fn take(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        // Half a message of nix cannot be read.
        if std::mem::take(&mut self.cut) && line.starts_with("@nix ") {
            return format!("(a message of nix over {} KiB is left out)", MAX_LINE >> 10);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, MAX_LINE};

    #[tokio::test]
    async fn a_line_without_end_stays_bounded() {
        let long = "x".repeat(3 * MAX_LINE);
        let text = format!("one\n\n{long}\n@nix {long}\nrest");
        let mut lines = Lines::new(text.as_bytes());
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(line);
        }
        let left_out = "(a message of nix over 256 KiB is left out)";
        assert_eq!(read, ["one", "", &long[..MAX_LINE], left_out, "rest"]);
        assert!(lines.line.capacity() <= 2 * MAX_LINE);
    }
}
