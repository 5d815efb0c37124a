//! The event feed: what happened on the hosts, from their messages and histories.
//!
//! One file per context keeps it, readable only by its owner.

mod detect;

pub(super) use detect::HostBefore;

use super::Tone;
use crate::atomic_file;
use crate::fleet::describe;
use crate::private_file;
use crate::protocol::{Action, ErrorCode, HistoryEntry, Id, Name, Status};
use crate::text::{format, printable};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

/// Number of events; the oldest ones are dropped.
pub const MAX_EVENTS: usize = 1000;
/// Longest text of an event, in characters.
const MAX_TEXT: usize = 300;

/// Something that happened on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEvent {
    /// When it happened, or when the console noticed it.
    pub at: Timestamp,
    /// The host.
    pub host: Name,
    /// What happened.
    pub kind: FeedKind,
    /// Details for people, printable.
    pub text: String,
    /// The job, if it is the result of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Id>,
    /// Identifies the event while the console runs.
    #[serde(skip)]
    pub number: u64,
}

/// What happened on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedKind {
    /// A job completed.
    Completed,
    /// A job failed.
    Failed,
    /// An operator cancelled a job.
    Cancelled,
    /// A request was rejected.
    Rejected,
    /// Deployments were put on hold.
    Held,
    /// A hold ended.
    Released,
    /// A unit failed.
    UnitFailed,
    /// A failed unit runs again.
    UnitRecovered,
    /// The host stopped reporting.
    Silent,
    /// The host reports again.
    Back,
    /// The host was seen for the first time.
    New,
    /// The host runs another commit, which no known job deployed.
    Commit,
    /// A kind of a newer version.
    #[serde(other)]
    Other,
}

/// The events, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFeed {
    /// When the operator last opened the feed.
    pub last_looked: Option<Timestamp>,
    events: VecDeque<FeedEvent>,
    /// Number of the next event.
    #[serde(skip)]
    next: u64,
    /// Hosts that have reported since the console started, and those of them that are silent now.
    #[serde(skip)]
    present: HashSet<Name>,
    #[serde(skip)]
    silent: HashSet<Name>,
    /// Whether an unknown host is new. At the first start every host is.
    #[serde(skip)]
    pub(super) expects_hosts: bool,
    /// Whether the feed has changed since it was last saved.
    #[serde(skip)]
    changed: bool,
}

/// Why the feed could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum EventFeedError {
    /// The file could not be read.
    #[error("could not read the events {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is not valid.
    #[error("invalid events {}: {source}; the feed starts empty", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Error of the parser.
        source: serde_json::Error,
    },
    /// The file or its directory could not be written.
    #[error("could not save the events {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl FeedKind {
    /// The kind for a job that has ended.
    fn of_job(status: &Status, error: Option<&ErrorCode>) -> Self {
        match (status, error) {
            (Status::Completed, _) => Self::Completed,
            (Status::Failed, Some(ErrorCode::Cancelled)) => Self::Cancelled,
            _ => Self::Failed,
        }
    }

    /// The meaning for its style.
    pub fn tone(self) -> Tone {
        match self {
            Self::Failed | Self::UnitFailed => Tone::Bad,
            Self::Rejected | Self::Cancelled | Self::Held | Self::Silent => Tone::Warn,
            Self::Completed | Self::UnitRecovered | Self::Back | Self::Released => Tone::Good,
            Self::New | Self::Commit => Tone::Busy,
            Self::Other => Tone::Plain,
        }
    }
}

impl EventFeed {
    /// The feed, where an unknown host is an event if hosts are known already.
    #[must_use]
    pub(super) fn expecting(self, expects_hosts: bool) -> Self {
        Self { expects_hosts, ..self }
    }

    /// The events, oldest first.
    pub fn events(&self) -> &VecDeque<FeedEvent> {
        &self.events
    }

    /// The event of this number.
    pub fn get(&self, number: u64) -> Option<&FeedEvent> {
        // New events are usually at the end.
        self.events.iter().rev().find(|event| event.number == number)
    }

    /// Number of events after a time.
    pub fn since(&self, at: Option<Timestamp>) -> usize {
        self.events.iter().rev().take_while(|event| at.is_none_or(|at| event.at > at)).count()
    }

    /// Adds an event in the order of time. The oldest event is dropped if there are too many.
    pub(super) fn add(&mut self, at: Timestamp, host: &Name, kind: FeedKind, text: &str, job: Option<Id>) {
        let text: String = printable(text).chars().take(MAX_TEXT).collect();
        let event = FeedEvent { at, host: host.clone(), kind, text, job, number: self.next };
        self.next += 1;
        let place = self.events.iter().rposition(|other| other.at <= at).map_or(0, |before| before + 1);
        if self.events.len() >= MAX_EVENTS {
            if place == 0 {
                return;
            }
            self.events.pop_front();
            self.events.insert(place - 1, event);
        } else {
            self.events.insert(place, event);
        }
        self.changed = true;
    }

    /// Whether the result of a job is known.
    fn knows_job(&self, host: &Name, job: &Id) -> bool {
        self.events.iter().rev().any(|event| event.job.as_ref() == Some(job) && event.host == *host)
    }

    /// Adds the jobs of a history that are not known.
    pub(super) fn add_history(&mut self, host: &Name, entries: &[HistoryEntry]) {
        for entry in entries {
            if self.knows_job(host, &entry.id) {
                continue;
            }
            let elapsed = SignedDuration::from_millis(i64::try_from(entry.elapsed_ms).unwrap_or(0));
            let at = entry.at.checked_add(elapsed).unwrap_or(entry.at);
            let (kind, text) = describe_entry(entry);
            self.add(at, host, kind, &text, Some(entry.id.clone()));
        }
    }

    /// Records that the operator looks at the feed; returns when that was before.
    pub(super) fn look(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.changed = true;
        // The newest event may have arrived after the last tick of the clock.
        let newest = self.events.back().map_or(now, |event| event.at);
        self.last_looked.replace(now.max(newest))
    }

    /// The feed, if it has changed since the last call.
    pub(super) fn take_changed(&mut self) -> Option<Self> {
        std::mem::take(&mut self.changed).then(|| Self {
            last_looked: self.last_looked,
            events: self.events.clone(),
            ..Self::default()
        })
    }

    /// Loads the feed; an empty one if the file does not exist.
    pub fn load(file: &Path) -> Result<Self, EventFeedError> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(EventFeedError::Read { path: file.to_owned(), source }),
        };
        let read: Self = serde_json::from_slice(&bytes)
            .map_err(|source| EventFeedError::Damaged { path: file.to_owned(), source })?;
        let mut feed = Self { last_looked: read.last_looked, ..Self::default() };
        for event in read.events.into_iter().rev().take(MAX_EVENTS) {
            feed.add(event.at, &event.host, event.kind, &event.text, event.job);
        }
        feed.changed = false;
        Ok(feed)
    }

    /// Saves the feed with access for its owner only, and creates the directory if needed.
    pub fn save(&self, file: &Path) -> Result<(), EventFeedError> {
        let failed = |source| EventFeedError::Write { path: file.to_owned(), source };
        if let Some(directory) = file.parent() {
            private_file::create_dir(directory).map_err(failed)?;
        }
        let written = atomic_file::write_with(file, |out| Ok(serde_json::to_writer(out, self)?));
        written.map_err(|error| failed(error.source))?;
        private_file::restrict(file).map_err(failed)
    }
}

/// The kind and the text of a past job.
fn describe_entry(entry: &HistoryEntry) -> (FeedKind, String) {
    let by = entry.issuer.as_deref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
    match entry.action {
        Action::Hold => {
            (FeedKind::Held, format!("held{by}: {}", entry.reason.as_deref().unwrap_or_default()))
        }
        Action::Release => (FeedKind::Released, format!("released{by}")),
        _ => {
            let revision = describe::history_revision(entry);
            let what = format!("{} {revision}", entry.action);
            let took = format::duration(entry.elapsed_ms);
            let result = entry.error.as_ref().map_or(entry.status.to_string(), ErrorCode::words);
            let kind = FeedKind::of_job(&entry.status, entry.error.as_ref());
            (kind, format!("{}{by}: {result} after {took}", what.trim_end()))
        }
    }
}
