//! Follows a job that the activation program owns: its record, its log, and whether anybody still works on it.

use super::{Failure, JobLogTail, Outcome, Owner, Step, Steps};
use crate::jobs::{ActivationLock, JobFolder, Record};
use crate::protocol::{ErrorCode, Id, PhaseState, Status};
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
/// How often the recovery may fail to begin.
const ATTEMPTS: u32 = 5;

/// Follows to the verdict, whatever becomes of files meanwhile: as long as somebody may own the job, nobody else gives it
/// one. Where the owner has died, starts one that recovers.
pub(super) async fn follow(owner: &Owner, id: &Id, mut tail: Option<JobLogTail>, steps: &Steps) -> Outcome {
    let folder = owner.folder(id);
    let mut look = interval(LOOK);
    let mut seen = None;
    let mut verdict = None;
    let mut orphaned = Instant::now();
    let (mut recoveries, mut attempts) = (0, 0);
    loop {
        look.tick().await;
        // Looked at first: who has let go of it has written its last word.
        let held = ActivationLock::is_held(&owner.state_dir).unwrap_or_else(|error| {
            tracing::warn!(%id, %error, "could not look at the activation lock");
            true
        });
        if let Some(record) = changed(&folder, &mut seen) {
            verdict = verdict_of(&record);
            if record.recoveries > recoveries {
                // It did begin, and counts itself.
                (recoveries, attempts) = (record.recoveries, 0);
            }
            let _ = steps.send(Step::Record(Box::new(record))).await;
        }
        hear(&mut tail, steps, verdict.is_some() && !held).await;
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
                let runs = owner.host.current_system();
                let runs = runs.map_or_else(String::new, |system| format!("{system} runs now; "));
                let message = format!(
                    "the activation program cannot be started again; {runs}look at the host and its log"
                );
                if let Some(outcome) =
                    give_up(owner, id, Failure::new(ErrorCode::Interrupted, message), |_| true)
                {
                    return outcome;
                }
                continue;
            }
            tracing::warn!(%id, attempts, "nobody owns a job that was handed over; starting the recovery");
            if let Err(error) = owner.start(id, true).await {
                tracing::error!(%id, %error, "the recovery could not be started");
            }
        }
    }
}

/// Ends a job whose owner could not be started, unless one was: a service manager may do later what it says it could not.
pub(super) fn not_started(owner: &Owner, id: &Id, why: &io::Error) -> Option<Outcome> {
    let message = format!("could not start the activation: {why}; nothing was changed");
    give_up(owner, id, Failure::new(ErrorCode::Internal, message), Record::is_untouched)
}

/// Ends a job that nobody owns, where `may` allows it: under the lock, so that whoever comes late finds the verdict and
/// does nothing. Nothing where somebody owns it after all.
fn give_up(owner: &Owner, id: &Id, failure: Failure, may: impl Fn(&Record) -> bool) -> Option<Outcome> {
    let _lock = ActivationLock::take_patiently(&owner.state_dir).ok()??;
    let folder = owner.folder(id);
    // One that cannot be read is of no use to anybody who comes late either.
    let Ok(mut record) = folder.record() else { return Some(Err(failure)) };
    if let Some(verdict) = verdict_of(&record) {
        return Some(verdict);
    }
    if !may(&record) {
        return None;
    }
    record.report.phases.end(&PhaseState::Failed);
    record.report.status = Status::Failed;
    record.report.error = Some(failure.code.clone());
    record.report.message.clone_from(&failure.message);
    if let Err(error) = folder.save_anywhere(&record) {
        tracing::error!(%id, %error, "the verdict could not be kept");
    }
    Some(Err(failure))
}

/// The record, where its file is another one than last time.
fn changed(folder: &JobFolder, seen: &mut Option<(u64, i64, i64)>) -> Option<Record> {
    let of = |path: &Path| fs::metadata(path).map(|data| (data.ino(), data.mtime(), data.mtime_nsec()));
    let now = of(&folder.newest_record_file()).ok()?;
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

/// Tells what the log has more. One that cannot be read any more is given up: it must not cost the verdict.
async fn hear(tail: &mut Option<JobLogTail>, steps: &Steps, last: bool) {
    while let Some(open) = tail {
        match open.read(last) {
            Ok(pieces) if pieces.is_empty() => return,
            Ok(pieces) => {
                for piece in pieces {
                    let _ = steps.send(Step::Log(piece)).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the log of a job could not be read");
                *tail = None;
            }
        }
    }
}
