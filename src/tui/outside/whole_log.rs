//! A log that is read from its first byte, and saved.

use super::{first, in_view};
use crate::deployer::{Hints, LogFollow, LogStart, Operator, Told};
use crate::private;
use crate::protocol::printable_lines;
use crate::tui::{Event, LogFile, LogKey};
use std::collections::BTreeSet;
use std::fs::remove_file;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// How many numbers are tried where a file has the name already.
const TRIES: usize = 1000;

/// Follows a log from its first byte.
pub(super) async fn follow(operator: Arc<Operator>, hints: Hints, key: LogKey, into: mpsc::Sender<Event>) {
    let (bus, host, job) = (operator.bus.clone(), key.host.clone(), key.job.clone());
    let follow = LogFollow::beside(&hints, bus, &operator.known, host, job, LogStart::From(0)).await;
    let Ok(mut follow) = follow else { return };
    // A refusal of its subject is told by the watch.
    while let Some(Ok(news)) = follow.next().await {
        let event = Event::WholeLog { key: key.clone(), news, kept: follow.kept() };
        if into.send(event).await.is_err() {
            return;
        }
    }
}

/// Queries the job of a log.
pub(super) async fn job(operator: Arc<Operator>, key: LogKey, into: mpsc::Sender<Event>) {
    let hosts = BTreeSet::from([key.host.clone()]);
    let replies = operator.jobs(&hosts, &in_view(&key.host), Some(key.job.clone())).await;
    let report = match replies.ok().and_then(|replies| first(replies.hosts)) {
        Some(Told::Answer(report)) => report,
        _ => None,
    };
    let _ = into.send(Event::Job(key, report)).await;
}

/// Saves a log in the current folder.
pub(super) async fn save(file: LogFile, into: mpsc::Sender<Event>) {
    // Its panic was told.
    let Ok(saved) = spawn_blocking(move || save_in(&folder(), &file)).await else { return };
    let _ = into.send(Event::Saved(saved)).await;
}

fn folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

/// Saves it under its name or, where there is such a file, with a number; tells where, or why not and what to do.
fn save_in(folder: &Path, file: &LogFile) -> Result<String, String> {
    match write_new(folder, file) {
        Ok(path) if file.gone == 0 => Ok(format!("saved {}", path.display())),
        Ok(path) => Ok(format!("saved {} without the first {} lines", path.display(), file.gone)),
        Err(error) => Err(format!(
            "{} was not saved in {}: {error}; start the console in a folder with room where you may write",
            file.name,
            folder.display()
        )),
    }
}

fn write_new(folder: &Path, file: &LogFile) -> io::Result<PathBuf> {
    let stem = file.name.trim_end_matches(".log");
    let numbered = (1..TRIES).map(|number| format!("{stem}-{number}.log"));
    for name in std::iter::once(file.name.clone()).chain(numbered) {
        let path = folder.join(name);
        // Logs may hold what is not for every user of this machine.
        let mut new = match private::options().create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            new => new?,
        };
        return match new.write_all(printable_lines(&file.text).as_bytes()) {
            Ok(()) => Ok(path),
            Err(error) => {
                // Half a log would be taken for a whole one.
                let _ = remove_file(&path);
                Err(error)
            }
        };
    }
    Err(ErrorKind::AlreadyExists.into())
}
