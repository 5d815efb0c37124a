//! What a child process prints, on its way into the job's log: of any amount, a bounded part is kept.
//!
//! The child writes into a pipe, so a full disk does not reach it either.

use super::bounded_log::BoundedLog;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;
use tokio::task::coop::consume_budget;

/// How much is read at a time.
const CHUNK: usize = 16 << 10;
/// The longest line; a longer one comes in parts.
const MAX_LINE: usize = 64 << 10;
/// How much is read after the end of a child. What others still write, whom it has left behind, does not count.
const LAST: usize = 4 << 20;

/// The output of a child.
#[derive(Debug)]
pub(super) struct ChildOutput {
    pipe: Receiver,
    is_closed: bool,
    /// The beginning of a line.
    partial: Vec<u8>,
    /// None if nothing can be kept.
    log: Option<BoundedLog>,
    /// Why a part of it is not in the log.
    unwritten: Option<(usize, io::Error)>,
}

impl ChildOutput {
    /// Takes both outputs of a command that is not started yet, in their order. The command must be dropped once it is.
    pub(super) fn of(command: &mut Command, log: Option<BoundedLog>) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(Stdio::from(writer));
        let pipe = Receiver::from_owned_fd(OwnedFd::from(reader))?;
        Ok(Self { pipe, is_closed: false, partial: Vec::new(), log, unwritten: None })
    }

    /// Takes in what is printed next; never ends once no process can print any more. `matters` looks at each line and decides
    /// whether it is kept whatever the amount. Cancel safe.
    pub(super) async fn take_next(&mut self, matters: &mut impl FnMut(&str) -> bool) {
        // A child that prints faster than this reads would else hold up whoever limits its time.
        consume_budget().await;
        loop {
            if self.is_closed || self.pipe.readable().await.is_err() {
                return pending().await;
            }
            let mut chunk = [0; CHUNK];
            let read = self.pipe.try_read(&mut chunk);
            if self.take(read, &chunk, matters) > 0 {
                return;
            }
        }
    }

    /// Takes in all that is there by now.
    pub(super) fn catch_up(&mut self, matters: &mut impl FnMut(&str) -> bool) {
        let mut left = LAST;
        while left > 0 && !self.is_closed {
            let mut chunk = [0; CHUNK];
            // The runtime may not have noticed yet that there is something to read.
            let read = rustix::io::read(&self.pipe, &mut chunk).map_err(io::Error::from);
            match self.take(read, &chunk, matters) {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
    }

    /// Takes in the rest, once the child has ended.
    pub(super) fn finish(&mut self, matters: &mut impl FnMut(&str) -> bool) {
        self.catch_up(matters);
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.line(&line, matters);
        }
        let Some(mut log) = self.log.take() else { return };
        if let Some((bytes, error)) = self.unwritten.take() {
            // It is written if there is room again.
            let note =
                format!("[homelab-deploy: {bytes} bytes of its output could not be written: {error}]\n");
            let _ = log.take(note.as_bytes(), true);
        }
        let _ = log.end();
    }

    /// Reads until no process can write any more, and keeps nothing of it: a process that the child has left behind would
    /// die of a broken pipe.
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

    /// Takes in what was read, and gives how much that is.
    fn take(
        &mut self,
        read: io::Result<usize>,
        chunk: &[u8],
        matters: &mut impl FnMut(&str) -> bool,
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
            self.line(&line, matters);
            rest = others;
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() >= MAX_LINE {
            let line = std::mem::take(&mut self.partial);
            self.line(&line, matters);
        }
        read
    }

    fn line(&mut self, line: &[u8], matters: &mut impl FnMut(&str) -> bool) {
        let matters = matters(String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']));
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.take(line, matters) {
            let bytes = self.unwritten.take().map_or(0, |(bytes, _)| bytes);
            self.unwritten = Some((bytes + line.len(), error));
        }
    }
}
