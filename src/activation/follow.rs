//! Follows a job that the activation program owns: its record, its log, and whether anybody still works on it.

use super::{Failure, JobLogTail, Outcome, Owner, Step, Steps};
use crate::jobs::{ActivationLock, JobFolder, Record};
use crate::protocol::{ErrorCode, Id};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, interval};

/// How often record and log are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long nobody may hold the lock before the recovery is started; a unit of its own recovers by itself before that.
const ORPHANED: Duration = Duration::from_secs(3);
/// How often the recovery is tried.
const ATTEMPTS: u32 = 5;

/// Follows to the verdict. Where the owner has died, starts one that recovers.
pub(super) async fn follow(owner: &Owner, id: &Id, mut tail: JobLogTail, steps: &Steps) -> Outcome {
    let folder = JobFolder::new(&owner.state_dir, id);
    let mut look = interval(LOOK);
    let mut seen = None;
    let mut verdict = None;
    let mut orphaned = Instant::now();
    let mut attempts = 0;
    loop {
        look.tick().await;
        // Looked at first: who has let go of it has written its last word.
        let held = ActivationLock::is_held(&owner.state_dir).map_err(|error| lost(&error))?;
        if let Some(record) = changed(&folder, &mut seen) {
            verdict = verdict_of(&record);
            let _ = steps.send(Step::Record(Box::new(record))).await;
        }
        hear(&mut tail, steps, verdict.is_some() && !held).await?;
        if held {
            orphaned = Instant::now();
            continue;
        }
        if let Some(verdict) = verdict {
            return verdict;
        }
        if orphaned.elapsed() > ORPHANED {
            orphaned = Instant::now();
            attempts += 1;
            if attempts > ATTEMPTS {
                let message = "the activation program dies again and again; look at the host and its log";
                return Err(Failure::new(ErrorCode::Interrupted, message));
            }
            tracing::warn!(%id, attempts, "nobody owns a job that was handed over; starting the recovery");
            if let Err(error) = owner.start(id, true).await {
                tracing::error!(%id, %error, "the recovery could not be started");
            }
        }
    }
}

/// The record, where its file is another one than last time.
fn changed(folder: &JobFolder, seen: &mut Option<(u64, i64, i64)>) -> Option<Record> {
    let of = |path: &Path| fs::metadata(path).map(|data| (data.ino(), data.mtime(), data.mtime_nsec()));
    let now = of(&folder.record_file()).ok()?;
    if *seen == Some(now) {
        return None;
    }
    // It is replaced as a whole, so what cannot be read now never will be.
    let record = folder.record().ok()?;
    *seen = Some(now);
    Some(record)
}

fn verdict_of(record: &Record) -> Option<Outcome> {
    let report = &record.report;
    if !report.status.is_final() {
        return None;
    }
    Some(match &report.error {
        None => Ok(report.message.clone()),
        Some(code) => Err(Failure {
            code: code.clone(),
            message: report.message.clone(),
            rolled_back: report.rolled_back,
        }),
    })
}

async fn hear(tail: &mut JobLogTail, steps: &Steps, last: bool) -> Result<(), Failure> {
    loop {
        let pieces = tail.read(last).map_err(|error| lost(&error))?;
        if pieces.is_empty() {
            return Ok(());
        }
        for piece in pieces {
            let _ = steps.send(Step::Log(piece)).await;
        }
    }
}

fn lost(error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("lost track of the activation: {error}"))
}
