//! The signed requests that a listener has seen, so that none takes effect twice: also not one that was refused, and not after
//! a restart.

use crate::durable::{self, WriteError};
use crate::protocol::Id;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

/// How long one is remembered beyond the moment from which it is of no use: clocks are set back.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// The room that is kept for further ones, in bytes: what is refused because the disk is full must not be done later.
const RESERVED: u64 = 64 << 10;
/// How often those are looked for that can be forgotten.
const SWEEP: SignedDuration = SignedDuration::from_hours(1);

/// One request: a signature holds for one subject, and an id is given to one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    subject: String,
    id: Id,
    until: Timestamp,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    file: PathBuf,
    until: HashMap<(String, Id), Timestamp>,
    /// What could not be written yet. Locked while it is written.
    unwritten: Arc<Mutex<Vec<u8>>>,
    swept_at: Timestamp,
}

impl Seen {
    /// Reads what was seen before, and writes the file anew without what can be forgotten. Where that goes wrong the reason
    /// comes too.
    pub fn open(state_dir: &Path, now: Timestamp) -> (Self, Option<io::Error>) {
        let file = state_dir.join("seen.jsonl");
        let (bytes, unread) = match fs::read(&file) {
            Ok(bytes) => (bytes, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        // What a power cut has torn is passed over: nothing was answered on its account.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let kept: Vec<_> = lines.filter(|line| line.until >= now).collect();
        if kept.len() < text.lines().count() {
            // It holds more than it must, which does no harm.
            let _ = durable::write(&file, &kept.iter().flat_map(encoded).collect::<Vec<_>>());
        }
        reserve(&file);
        let until = kept.into_iter().map(|line| ((line.subject, line.id), line.until)).collect();
        (Self { file, until, unwritten: Arc::default(), swept_at: now }, unread)
    }

    /// Whether a request with this id has come on this subject before.
    pub fn knows(&self, subject: &str, id: &Id) -> bool {
        self.until.contains_key(&(subject.to_owned(), id.clone()))
    }

    /// Remembers one that came at `now`. What is given back makes that durable, and blocks.
    pub fn note(
        &mut self,
        subject: &str,
        id: &Id,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> impl FnOnce() -> Result<(), WriteError> + Send + 'static + use<> {
        if now.duration_since(self.swept_at) > SWEEP {
            self.swept_at = now;
            self.until.retain(|_, until| *until >= now);
        }
        let until = expires_at.max(now).saturating_add(REMEMBERED).unwrap_or(Timestamp::MAX);
        self.until.insert((subject.to_owned(), id.clone()), until);
        let line = encoded(&Line { subject: subject.to_owned(), id: id.clone(), until });
        let (file, unwritten) = (self.file.clone(), self.unwritten.clone());
        move || {
            let mut lines = unwritten.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend(line);
            durable::append(&file, &lines)?;
            lines.clear();
            reserve(&file);
            Ok(())
        }
    }
}

fn reserve(file: &Path) {
    if let Ok(file) = OpenOptions::new().append(true).create(true).mode(0o600).open(file) {
        durable::reserve(&file, RESERVED);
    }
}

fn encoded(line: &Line) -> Vec<u8> {
    // Our own plain struct always has a JSON form.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
