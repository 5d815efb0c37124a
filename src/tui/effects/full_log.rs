//! Reads a log from its first byte, and saves it to a file.

use super::{discovery_of, first_reply};
use crate::client::{LogFollower, LogStart, MessageTap, Operator, Reply};
use crate::private_file;
use crate::text::printable_lines;
use crate::tui::{ConsoleEvent, LogFile, LogKey};
use std::collections::BTreeSet;
use std::fs::remove_file;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Number of file names that are tried before the save fails.
const MAX_NAME_TRIES: usize = 1000;

/// Follows a log from its first byte.
pub(super) async fn follow(
    operator: Arc<Operator>,
    tap: MessageTap,
    key: LogKey,
    events_tx: mpsc::Sender<ConsoleEvent>,
) {
    let (nats, host, job) = (operator.nats.clone(), key.host.clone(), key.job.clone());
    let follow = LogFollower::open_with_tap(&tap, nats, &operator.known, host, job, LogStart::From(0)).await;
    let Ok(mut follow) = follow else { return };
    // The watch reports a permission violation for the subject of the log.
    while let Some(Ok(event)) = follow.next().await {
        let event = ConsoleEvent::FullLog { key: key.clone(), event, stored_len: follow.stored_len() };
        if events_tx.send(event).await.is_err() {
            return;
        }
    }
}

/// Queries the job of a log.
pub(super) async fn query_job(operator: Arc<Operator>, key: LogKey, events_tx: mpsc::Sender<ConsoleEvent>) {
    let hosts = BTreeSet::from([key.host.clone()]);
    let replies = operator.jobs(&hosts, &discovery_of(&key.host), Some(key.job.clone())).await;
    let report = match replies.ok().and_then(|replies| first_reply(replies.hosts)) {
        Some(Reply::Ok(report)) => report,
        _ => None,
    };
    let _ = events_tx.send(ConsoleEvent::Job(key, report)).await;
}

/// Saves a log.
pub(super) async fn save(file: LogFile, events_tx: mpsc::Sender<ConsoleEvent>) {
    // A panic of the task was already reported.
    let Ok(saved) = spawn_blocking(move || save_to_file(&file)).await else {
        return;
    };
    let _ = events_tx.send(ConsoleEvent::Saved(saved)).await;
}

/// Writes the log to a new file and returns the message for the operator.
fn save_to_file(file: &LogFile) -> Result<String, String> {
    let path = from_home(&file.path);
    match write_new(&path, file) {
        Ok(path) if file.dropped_lines == 0 => Ok(format!("saved {}", path.display())),
        Ok(path) => Ok(format!("saved {} without the first {} lines", path.display(), file.dropped_lines)),
        Err(error) => Err(format!(
            "failed to save {}: {error}; choose a file in a writable directory with free space",
            path.display()
        )),
    }
}

/// A path that starts with `~/` is in the home directory.
fn from_home(path: &Path) -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    home.and_then(|home| Some(home.join(path.strip_prefix("~").ok()?))).unwrap_or_else(|| path.to_owned())
}

fn write_new(wanted: &Path, file: &LogFile) -> io::Result<PathBuf> {
    if let Some(directory) = wanted.parent() {
        private_file::create_dir(directory)?;
    }
    let extension = wanted.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    let extension = extension.unwrap_or_default();
    let stem = wanted.file_stem().unwrap_or_default().to_string_lossy();
    let numbered =
        (1..MAX_NAME_TRIES).map(|number| wanted.with_file_name(format!("{stem}-{number}{extension}")));
    for path in std::iter::once(wanted.to_owned()).chain(numbered) {
        // A log can contain data that other users of this machine must not read.
        let mut new = match private_file::open_options().create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            new => new?,
        };
        return match new.write_all(printable_lines(&file.text).as_bytes()) {
            Ok(()) => Ok(path),
            Err(error) => {
                // A partial log would be mistaken for a complete one.
                let _ = remove_file(&path);
                Err(error)
            }
        };
    }
    Err(ErrorKind::AlreadyExists.into())
}
