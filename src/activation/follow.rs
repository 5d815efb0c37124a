//! Follows a job that a worker owns: its record, its log, and whether a worker still holds the lock.

use super::{JobEvent, JobEvents, JobFailure, JobLogTail, JobResult, WorkerSpawner};
use crate::jobs::{ActivationLock, JobDir, JobRecord};
use crate::protocol::{ErrorCode, Id, PhaseState, Status};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, interval};

/// How often the record and the log are read.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long the lock may be free before the recovery is started. A worker in a unit starts its own recovery sooner than
/// that.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(3);
/// How many times in a row the recovery may fail to start.
const MAX_ATTEMPTS: u32 = 5;

/// Follows a job to its result, even if its files cannot be read. As long as a worker may own the job, only that worker
/// decides its result. If the worker has died, starts one that recovers.
pub(super) async fn follow(
    spawner: &WorkerSpawner,
    id: &Id,
    mut tail: Option<JobLogTail>,
    events: &JobEvents,
) -> JobResult {
    let job_dir = spawner.job_dir(id);
    let mut poll = interval(POLL_INTERVAL);
    let mut last_seen = None;
    let mut result = None;
    let mut orphaned_since = Instant::now();
    let (mut recoveries, mut attempts) = (0, 0);
    loop {
        poll.tick().await;
        // The lock is checked before the record, because a worker releases it after its last write.
        let is_held = ActivationLock::is_held(&spawner.state_dir).unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to check the activation lock");
            true
        });
        if let Some(record) = read_if_changed(&job_dir, &mut last_seen) {
            result = final_result(&record);
            if record.recoveries > recoveries {
                // The recovery started: each worker that recovers increments this counter.
                (recoveries, attempts) = (record.recoveries, 0);
            }
            let _ = events.send(JobEvent::Record(Box::new(record))).await;
        }
        forward_log(&mut tail, events, result.is_some() && !is_held).await;
        if is_held {
            orphaned_since = Instant::now();
            continue;
        }
        if let Some(result) = result {
            return result;
        }
        if orphaned_since.elapsed() > ORPHAN_TIMEOUT {
            orphaned_since = Instant::now();
            attempts += 1;
            if attempts > MAX_ATTEMPTS {
                let runs = spawner.host.current_system();
                let runs = runs.map_or_else(String::new, |system| format!("{system} runs now; "));
                let message = format!("could not start the recovery; {runs}check the host and its log");
                if let Some(result) =
                    give_up(spawner, id, JobFailure::new(ErrorCode::Interrupted, message), |_| true)
                {
                    return result;
                }
                continue;
            }
            tracing::warn!(attempts, "worker is gone without a result, starting the recovery");
            if let Err(error) = spawner.start(id, true).await {
                tracing::error!(%error, "failed to start the recovery");
            }
        }
    }
}

/// Ends a job whose worker could not be started, unless one is running: a service manager may report an error and start
/// the unit later.
pub(super) fn not_started(spawner: &WorkerSpawner, id: &Id, error: &io::Error) -> Option<JobResult> {
    let message = format!("could not start the activation: {error}; nothing was changed");
    give_up(spawner, id, JobFailure::new(ErrorCode::Internal, message), JobRecord::is_host_unchanged)
}

/// Ends a job without a worker, if `is_allowed` agrees. It writes the result under the lock, so that a worker that
/// starts later finds the result and does nothing. Returns `None` if a worker owns the job after all.
fn give_up(
    spawner: &WorkerSpawner,
    id: &Id,
    failure: JobFailure,
    is_allowed: impl Fn(&JobRecord) -> bool,
) -> Option<JobResult> {
    let _lock = ActivationLock::acquire_with_retry(&spawner.state_dir).ok()??;
    let job_dir = spawner.job_dir(id);
    // A worker that starts later cannot read this record either.
    let Ok(mut record) = job_dir.record() else { return Some(Err(failure)) };
    if let Some(result) = final_result(&record) {
        return Some(result);
    }
    if !is_allowed(&record) {
        return None;
    }
    record.report.phases.end(&PhaseState::Failed);
    record.report.status = Status::Failed;
    record.report.error = Some(failure.code.clone());
    record.report.message.clone_from(&failure.message);
    if let Err(error) = job_dir.save_with_fallback(&record) {
        tracing::error!(%error, "failed to save the result");
    }
    Some(Err(failure))
}

/// Reads the record if its file was replaced since the last call.
fn read_if_changed(job_dir: &JobDir, last_seen: &mut Option<(u64, i64, i64)>) -> Option<JobRecord> {
    let of = |path: &Path| fs::metadata(path).map(|data| (data.ino(), data.mtime(), data.mtime_nsec()));
    let now = of(&job_dir.newest_record_file()).ok()?;
    if *last_seen == Some(now) {
        return None;
    }
    // The file is replaced as a whole, so an unreadable record stays unreadable.
    let record = job_dir.record().ok()?;
    *last_seen = Some(now);
    Some(record)
}

fn final_result(record: &JobRecord) -> Option<JobResult> {
    let report = &record.report;
    if !report.status.is_final() {
        return None;
    }
    Some(match &report.error {
        None => Ok(report.message.clone()),
        Some(code) => Err(JobFailure {
            code: code.clone(),
            message: report.message.clone(),
            rolled_back: report.rolled_back,
        }),
    })
}

/// Publishes the new part of the log. A log that cannot be read is given up, because the result must be delivered
/// nevertheless.
async fn forward_log(tail: &mut Option<JobLogTail>, events: &JobEvents, last: bool) {
    while let Some(open) = tail {
        match open.read(last) {
            Ok(pieces) if pieces.is_empty() => return,
            Ok(pieces) => {
                for piece in pieces {
                    let _ = events.send(JobEvent::Log(piece)).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "failed to read the log of a job");
                *tail = None;
            }
        }
    }
}
