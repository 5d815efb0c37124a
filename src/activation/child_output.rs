//! Copies the output of a child process to the job's log, within limits.
//!
//! The child writes into a pipe, so it never sees an error of a full disk.

use super::bounded_log::BoundedLog;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;
use tokio::task::coop::consume_budget;

/// How many bytes are read at a time.
const CHUNK: usize = 16 << 10;
/// The longest line in bytes; a longer line is processed in parts.
const MAX_LINE: usize = 64 << 10;
/// How many bytes are read after the child has ended. Processes that it left behind may write without end.
const MAX_FINAL_READ: usize = 4 << 20;

/// The output of a child.
#[derive(Debug)]
pub(super) struct ChildOutput {
    pipe: Receiver,
    is_closed: bool,
    /// The beginning of a line whose end was not read yet.
    partial: Vec<u8>,
    /// `None` if the log could not be opened.
    log: Option<BoundedLog>,
    /// How many bytes are missing from the log, and why.
    unwritten: Option<(usize, io::Error)>,
}

impl ChildOutput {
    /// Redirects stdout and stderr of a command that is not started yet, in their order. Drop the command after
    /// starting it, because it holds the write end of the pipe.
    pub(super) fn capture(command: &mut Command, log: Option<BoundedLog>) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(Stdio::from(writer));
        let pipe = Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok(Self { pipe, is_closed: false, partial: Vec::new(), log, unwritten: None })
    }

    /// Reads the next output. Never returns after the last writer has closed the pipe. Each line is passed to
    /// `is_important`, which decides whether the line is logged regardless of the limits. Cancel safe.
    pub(super) async fn read_next(&mut self, is_important: &mut impl FnMut(&str) -> bool) {
        // A child that prints faster than this function reads would otherwise starve the timeout of the caller.
        consume_budget().await;
        loop {
            if self.is_closed || self.pipe.readable().await.is_err() {
                return pending().await;
            }
            let mut chunk = [0; CHUNK];
            let read = self.pipe.try_read(&mut chunk);
            if self.take(read, &chunk, is_important) > 0 {
                return;
            }
        }
    }

    /// Reads all output that is available now, without waiting.
    pub(super) fn catch_up(&mut self, is_important: &mut impl FnMut(&str) -> bool) {
        let mut left = MAX_FINAL_READ;
        while left > 0 && !self.is_closed {
            let mut chunk = [0; CHUNK];
            // Reads directly, because the runtime may not have noticed yet that the pipe is readable.
            let read = rustix::io::read(&self.pipe, &mut chunk).map_err(io::Error::from);
            match self.take(read, &chunk, is_important) {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
    }

    /// Reads the remaining output after the child has ended, and finishes the log.
    pub(super) fn finish(&mut self, is_important: &mut impl FnMut(&str) -> bool) {
        self.catch_up(is_important);
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.line(&line, is_important);
        }
        let Some(mut log) = self.log.take() else { return };
        if let Some((bytes, error)) = self.unwritten.take() {
            // This succeeds only if the disk has space again.
            let note = format!("[homelab-deploy: failed to write {bytes} bytes of output: {error}]\n");
            let _ = log.write(note.as_bytes(), true);
        }
        let _ = log.finish();
    }

    /// Reads and drops output until the last writer has closed the pipe. Without a reader, a process that the child
    /// left behind would die of SIGPIPE.
    pub(super) async fn discard(self) {
        let mut chunk = vec![0; CHUNK];
        while self.pipe.readable().await.is_ok() {
            consume_budget().await;
            match self.pipe.try_read(&mut chunk) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }

    /// Processes the result of a read, and returns the number of bytes.
    fn take(
        &mut self,
        read: io::Result<usize>,
        chunk: &[u8],
        is_important: &mut impl FnMut(&str) -> bool,
    ) -> usize {
        let read = match read {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
            Err(_) => 0,
        };
        self.is_closed = read == 0;
        let mut rest = &chunk[..read];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (last, others) = rest.split_at(end + 1);
            let line = [std::mem::take(&mut self.partial).as_slice(), last].concat();
            self.line(&line, is_important);
            rest = others;
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() >= MAX_LINE {
            let line = std::mem::take(&mut self.partial);
            self.line(&line, is_important);
        }
        read
    }

    fn line(&mut self, line: &[u8], is_important: &mut impl FnMut(&str) -> bool) {
        let is_important = is_important(String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']));
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.write(line, is_important) {
            let bytes = self.unwritten.take().map_or(0, |(bytes, _)| bytes);
            self.unwritten = Some((bytes + line.len(), error));
        }
    }
}
