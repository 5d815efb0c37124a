//! Replay protection: remembers signed requests, also rejected ones and across restarts, so that none takes effect
//! twice.

use crate::atomic_file::{self, WriteError};
use crate::private_file;
use crate::protocol::Id;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

/// How long a request is remembered after it expired, because clocks can be set back.
const RETENTION: SignedDuration = SignedDuration::from_hours(24);
/// Disk space reserved for further requests, in bytes: a request rejected on a full disk must not be accepted later.
const RESERVED_BYTES: u64 = 64 << 10;
/// Interval between removals of entries that are no longer needed.
const SWEEP_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// One request. A signature is valid for one subject, and an id belongs to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SeenRequest {
    subject: String,
    id: Id,
    until: Timestamp,
}

/// The requests seen so far.
#[derive(Debug)]
pub struct ReplayGuard {
    file: PathBuf,
    until: HashMap<(String, Id), Timestamp>,
    /// Lines that are not written yet. Locked during the write.
    pending: Arc<Mutex<Vec<u8>>>,
    last_sweep: Timestamp,
}

impl ReplayGuard {
    /// Reads the requests seen before, and rewrites the file without expired ones. If the file cannot be read, the
    /// error is returned with an empty guard.
    pub fn open(state_dir: &Path, now: Timestamp) -> (Self, Option<io::Error>) {
        let file = state_dir.join("replay_guard.jsonl");
        let (bytes, unread) = match atomic_file::check_regular(&file).and_then(|_| fs::read(&file)) {
            Ok(bytes) => (bytes, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        // A line that a power failure has truncated is skipped: the request had no effect yet.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<SeenRequest>(line).ok());
        let valid: Vec<_> = lines.filter(|line| line.until >= now).collect();
        if valid.len() < text.lines().count() {
            // If the write fails, the file keeps expired entries, which is harmless.
            let _ = atomic_file::write(&file, &valid.iter().flat_map(encode).collect::<Vec<_>>());
        }
        if let Ok(file) = private_file::open_options().append(true).open(&file) {
            atomic_file::preallocate(&file, RESERVED_BYTES);
        }
        let until = valid.into_iter().map(|line| ((line.subject, line.id), line.until)).collect();
        (Self { file, until, pending: Arc::default(), last_sweep: now }, unread)
    }

    /// Whether a request with this id was seen on this subject.
    pub fn contains(&self, subject: &str, id: &Id) -> bool {
        self.until.contains_key(&(subject.to_owned(), id.clone()))
    }

    /// Remembers a request that arrived at `now`. The returned function makes that durable, and blocks.
    pub fn insert(
        &mut self,
        subject: &str,
        id: &Id,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> impl FnOnce() -> Result<(), WriteError> + Send + 'static + use<> {
        if now.duration_since(self.last_sweep) > SWEEP_INTERVAL {
            self.last_sweep = now;
            self.until.retain(|_, until| *until >= now);
        }
        let until = expires_at.max(now).saturating_add(RETENTION).unwrap_or(Timestamp::MAX);
        self.until.insert((subject.to_owned(), id.clone()), until);
        let line = encode(&SeenRequest { subject: subject.to_owned(), id: id.clone(), until });
        let (file, pending) = (self.file.clone(), self.pending.clone());
        move || {
            let mut lines = pending.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend(line);
            let file = atomic_file::append(&file, &lines)?;
            lines.clear();
            atomic_file::preallocate(&file, RESERVED_BYTES);
            Ok(())
        }
    }
}

fn encode(line: &SeenRequest) -> Vec<u8> {
    // Our own plain struct always has a JSON form.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
