//! Reads a file line by line from its end, in little memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much is read at once, in bytes. No line of ours is as long; a longer one is no line of ours.
const CHUNK: usize = 64 * 1024;

/// A file of which the end has been read.
pub(super) struct Backwards {
    file: File,
    /// Where that begins in the file.
    start: u64,
    /// What has been read and not given.
    rest: Vec<u8>,
}

impl Backwards {
    /// Opens a file; `None` where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let start = file.metadata()?.len();
        Ok(Some(Self { file, start, rest: Vec::new() }))
    }

    /// The line before the last that was given, without its end; `None` at the start of the file.
    pub(super) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
                let line = self.rest.split_off(end + 1);
                self.rest.pop();
                return Ok(Some(line));
            }
            if self.start == 0 {
                let line = std::mem::take(&mut self.rest);
                return Ok((!line.is_empty()).then_some(line));
            }
            self.read()?;
        }
    }

    /// Reads what lies before.
    fn read(&mut self) -> io::Result<()> {
        if self.rest.len() > CHUNK {
            // What is left of such a line makes no sense either.
            self.rest.clear();
        }
        let length = usize::try_from(self.start).unwrap_or(CHUNK).min(CHUNK);
        let mut before = vec![0; length];
        self.start -= length as u64;
        self.file.read_exact_at(&mut before, self.start)?;
        before.append(&mut self.rest);
        self.rest = before;
        Ok(())
    }
}
