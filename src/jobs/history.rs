//! The history: one line in `history.jsonl` for each job that has ended, kept long after the job's directory is removed.

use crate::atomic_file::{self, WriteError};
use crate::protocol::{HistoryEntry, Id, MAX_MESSAGE};
use crate::text::fitting_prefix;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// File size at which a new file is started, in bytes. One older file is kept.
const MAX_FILE: u64 = 10 << 20;
/// Maximum encoded size of each string in an entry, in bytes: some of them come from the request.
const MAX_FIELD: usize = 512;
/// Maximum number of phases in an entry. A job has at most seven.
const MAX_PHASES: usize = 16;
/// Maximum number of components in an entry.
const MAX_COMPONENTS: usize = 64;
/// Maximum encoded size of the name of a component, in bytes.
const MAX_COMPONENT: usize = 64;
/// Maximum number of entries that wait in memory while the disk cannot be written; the next start adds the others.
const MAX_PENDING: usize = 100;
/// Maximum encoded size of the entries of one page, in bytes, so that they fit into a message.
const MAX_PAGE: usize = MAX_MESSAGE - 1024;
/// Bytes per read. Entries are always shorter; a longer line is not an entry.
const CHUNK: usize = 64 * 1024;

/// The history of one host.
#[derive(Debug)]
pub struct History {
    file: PathBuf,
    older: PathBuf,
    /// Entries that are not written yet. The lock also covers the rotation, so that a reader sees no entry twice.
    pending: Mutex<Vec<HistoryEntry>>,
}

/// A page of entries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPage {
    /// The entries, newest first.
    pub entries: Vec<HistoryEntry>,
    /// Id to pass as `before` for the next page; `None` if there are no older entries.
    pub next: Option<Id>,
}

impl History {
    /// The history in a state directory.
    pub fn new(state_dir: &Path) -> Self {
        let file = |name: &str| state_dir.join(name);
        Self { file: file("history.jsonl"), older: file("history.1.jsonl"), pending: Mutex::default() }
    }

    /// Appends entries durably, oldest first, after those that could not be written earlier.
    pub fn append(&self, entries: &[HistoryEntry]) -> Result<(), WriteError> {
        let mut pending = self.lock();
        pending.extend(entries.iter().map(truncated));
        let mut lines = Vec::new();
        for entry in &*pending {
            // Our own plain struct always has a JSON form.
            lines.extend(serde_json::to_vec(entry).unwrap_or_default());
            lines.push(b'\n');
        }
        let written = self.write(&lines);
        let retained = if written.is_ok() { 0 } else { pending.len().min(MAX_PENDING) };
        let done = pending.len() - retained;
        pending.drain(..done);
        written
    }

    fn write(&self, lines: &[u8]) -> Result<(), WriteError> {
        let length = fs::metadata(&self.file).map_or(0, |file| file.len());
        if length + lines.len() as u64 > MAX_FILE && length > 0 {
            fs::rename(&self.file, &self.older)
                .map_err(|source| WriteError { path: self.older.clone(), source })?;
        }
        atomic_file::append(&self.file, lines).map(drop)
    }

    /// The newest entries, or those older than `before`: at most `limit`, and only as many as fit into a message. Empty
    /// if `before` is unknown.
    pub fn page(&self, before: Option<&Id>, limit: usize) -> io::Result<HistoryPage> {
        let _guard = self.lock();
        let mut all = self.newest_first()?;
        let mut page = HistoryPage::default();
        if let Some(before) = before {
            loop {
                match all.next()? {
                    Some(entry) if entry.id == *before => break,
                    Some(_) => {}
                    None => return Ok(page),
                }
            }
        }
        let mut remaining = MAX_PAGE;
        while let Some(entry) = all.next()? {
            let size = serde_json::to_vec(&entry).unwrap_or_default().len() + 1;
            if let Some(last) = page.entries.last()
                && (page.entries.len() >= limit || size > remaining)
            {
                page.next = Some(last.id.clone());
                break;
            }
            remaining = remaining.saturating_sub(size);
            page.entries.push(entry);
        }
        Ok(page)
    }

    /// Those of `ids` that have no entry.
    pub fn missing(&self, mut ids: HashSet<Id>) -> io::Result<HashSet<Id>> {
        let _guard = self.lock();
        let mut all = self.newest_first()?;
        while !ids.is_empty()
            && let Some(entry) = all.next()?
        {
            ids.remove(&entry.id);
        }
        Ok(ids)
    }

    fn newest_first(&self) -> io::Result<NewestFirst> {
        // `next` takes files from the end of this list.
        let mut files = Vec::new();
        for path in [&self.older, &self.file] {
            files.extend(RevLines::open(path)?);
        }
        Ok(NewestFirst { files })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HistoryEntry>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All readable entries. Lines that a power failure has truncated are skipped.
struct NewestFirst {
    files: Vec<RevLines>,
}

impl NewestFirst {
    fn next(&mut self) -> io::Result<Option<HistoryEntry>> {
        while let Some(file) = self.files.last_mut() {
            match file.next_line()? {
                Some(line) => {
                    if let Ok(entry) = serde_json::from_slice(&line) {
                        return Ok(Some(entry));
                    }
                }
                None => drop(self.files.pop()),
            }
        }
        Ok(None)
    }
}

fn truncated(entry: &HistoryEntry) -> HistoryEntry {
    let mut entry = entry.clone();
    let fields =
        [&mut entry.issuer, &mut entry.key, &mut entry.revision, &mut entry.commit, &mut entry.reason];
    for field in fields.into_iter().flatten() {
        field.truncate(fitting_prefix(field, MAX_FIELD).len());
    }
    entry.phases.0.truncate(MAX_PHASES);
    entry.components.truncate(MAX_COMPONENTS);
    for name in &mut entry.components {
        name.truncate(fitting_prefix(name, MAX_COMPONENT).len());
    }
    entry
}

/// A file whose end has been read.
struct RevLines {
    file: File,
    /// Offset in the file of the first byte that has been read.
    start: u64,
    /// Bytes that have been read but not returned.
    buffer: Vec<u8>,
}

impl RevLines {
    /// Opens a file; `None` if it does not exist.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match atomic_file::check_regular(path).and_then(|_| File::open(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let start = file.metadata()?.len();
        Ok(Some(Self { file, start, buffer: Vec::new() }))
    }

    /// The line before the one returned last, without its line break; `None` at the start of the file.
    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.buffer.iter().rposition(|byte| *byte == b'\n') {
                let line = self.buffer.split_off(end + 1);
                self.buffer.pop();
                return Ok(Some(line));
            }
            if self.start == 0 {
                let line = std::mem::take(&mut self.buffer);
                return Ok((!line.is_empty()).then_some(line));
            }
            self.read_chunk()?;
        }
    }

    /// Reads the chunk before the buffer.
    fn read_chunk(&mut self) -> io::Result<()> {
        if self.buffer.len() > CHUNK {
            // The line is too long to be an entry, so its rest is skipped too.
            self.buffer.clear();
        }
        let length = usize::try_from(self.start).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; length];
        self.start -= length as u64;
        self.file.read_exact_at(&mut chunk, self.start)?;
        chunk.append(&mut self.buffer);
        self.buffer = chunk;
        Ok(())
    }
}
