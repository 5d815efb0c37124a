//! Past jobs: a line in `history.jsonl` for each that has ended, long after its folder is gone.

mod backwards;

use crate::durable::{self, WriteError};
use crate::protocol::{HistoryEntry, Id, MAX_MESSAGE, fit_start};
use backwards::Backwards;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

/// When a new file is begun, in bytes. One older file is kept.
const MAX_FILE: u64 = 10 << 20;
/// The most that each text of an entry may take, in bytes as encoded: whoever asks for a job chooses some of them.
const MAX_TEXT: usize = 512;
/// How many entries wait for a disk that takes none; the next start catches up on others.
const MAX_WAITING: usize = 100;
/// What the entries of one page may take, so that they fit into a message.
const MAX_PAGE: usize = MAX_MESSAGE - 1024;

/// The history of one host.
#[derive(Debug)]
pub struct History {
    file: PathBuf,
    older: PathBuf,
    /// What could not be written yet. Locked while a new file is begun, so that nobody reads one twice.
    waiting: Mutex<Vec<HistoryEntry>>,
}

/// Some entries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries.
    pub entries: Vec<HistoryEntry>,
    /// Before which entry to read on; `None` where there are no older ones.
    pub next: Option<Id>,
}

impl History {
    /// The history in a state directory.
    pub fn new(state_dir: &Path) -> Self {
        let file = |name: &str| state_dir.join(name);
        Self { file: file("history.jsonl"), older: file("history.1.jsonl"), waiting: Mutex::default() }
    }

    /// Adds entries durably, the oldest first, behind those that could not be written before.
    pub fn append(&self, entries: &[HistoryEntry]) -> Result<(), WriteError> {
        let mut waiting = self.lock();
        waiting.extend(entries.iter().map(short));
        let mut lines = Vec::new();
        for entry in &*waiting {
            // Our own plain struct always has a JSON form.
            lines.extend(serde_json::to_vec(entry).unwrap_or_default());
            lines.push(b'\n');
        }
        let written = self.write(&lines);
        let kept = if written.is_ok() { 0 } else { waiting.len().min(MAX_WAITING) };
        let done = waiting.len() - kept;
        waiting.drain(..done);
        written
    }

    fn write(&self, lines: &[u8]) -> Result<(), WriteError> {
        let length = fs::metadata(&self.file).map_or(0, |file| file.len());
        if length + lines.len() as u64 > MAX_FILE && length > 0 {
            fs::rename(&self.file, &self.older)
                .map_err(|source| WriteError { path: self.older.clone(), source })?;
        }
        durable::append(&self.file, lines)
    }

    /// The newest entries, or those older than `before`: at most `limit`, and no more than fit into a message. Where
    /// nothing is known of `before`, nothing is older.
    pub fn page(&self, before: Option<&Id>, limit: usize) -> io::Result<Page> {
        let _alone = self.lock();
        let mut all = self.newest_first()?;
        let mut page = Page::default();
        if let Some(before) = before {
            loop {
                match all.next()? {
                    Some(entry) if entry.id == *before => break,
                    Some(_) => {}
                    None => return Ok(page),
                }
            }
        }
        let mut room = MAX_PAGE;
        while let Some(entry) = all.next()? {
            let size = serde_json::to_vec(&entry).unwrap_or_default().len() + 1;
            if let Some(last) = page.entries.last()
                && (page.entries.len() >= limit || size > room)
            {
                page.next = Some(last.id.clone());
                break;
            }
            room = room.saturating_sub(size);
            page.entries.push(entry);
        }
        Ok(page)
    }

    /// Those of `ids` that have no line.
    pub fn lacks(&self, mut ids: HashSet<Id>) -> io::Result<HashSet<Id>> {
        let _alone = self.lock();
        let mut all = self.newest_first()?;
        while !ids.is_empty()
            && let Some(entry) = all.next()?
        {
            ids.remove(&entry.id);
        }
        Ok(ids)
    }

    fn newest_first(&self) -> io::Result<NewestFirst> {
        // Taken from the end.
        let mut files = Vec::new();
        for path in [&self.older, &self.file] {
            files.extend(Backwards::open(path)?);
        }
        Ok(NewestFirst { files })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HistoryEntry>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every entry that can be read. What a power cut has torn is passed over.
struct NewestFirst {
    files: Vec<Backwards>,
}

impl NewestFirst {
    fn next(&mut self) -> io::Result<Option<HistoryEntry>> {
        while let Some(file) = self.files.last_mut() {
            match file.line()? {
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

fn short(entry: &HistoryEntry) -> HistoryEntry {
    let mut entry = entry.clone();
    let texts =
        [&mut entry.issuer, &mut entry.key, &mut entry.revision, &mut entry.commit, &mut entry.reason];
    for text in texts.into_iter().flatten() {
        text.truncate(fit_start(text, MAX_TEXT).len());
    }
    entry
}
