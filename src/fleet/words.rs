//! Jobs, revisions and times in the words that people read. Everything that came over the wire is made harmless.

use super::Host;
use crate::protocol::{BuildHost, DeployReport, HistoryEntry, PhaseState, Status, printable};
use jiff::Timestamp;
use std::fmt::Write;

/// How a job stands, in a few words.
pub fn progress_of(report: &DeployReport) -> String {
    let message = printable(&report.message);
    match &report.status {
        Status::Completed => match report.elapsed_ms {
            None => format!("completed: {message}"),
            Some(elapsed) => format!("completed in {}: {message}", duration(elapsed)),
        },
        Status::Failed | Status::Rejected => {
            let error = report.error.as_ref().map(|error| format!(" ({})", printable(error.as_str())));
            let error = error.unwrap_or_default();
            format!("{}{error}: {message}", report.status)
        }
        _ => match report.phases.running() {
            Some(phase) => {
                let mut text = printable(phase.name.as_str());
                if let Some((done, expected)) = built(report) {
                    let _ = write!(text, " {done}/{expected}");
                }
                let activity = report.progress.as_ref().map(|progress| printable(&progress.activity));
                if let Some(activity) = activity.filter(|activity| !activity.is_empty()) {
                    let _ = write!(text, " {activity}");
                }
                text
            }
            None => printable(report.status.as_str()),
        },
    }
}

/// How many builds are done and how many are expected, where that is known.
pub fn built(report: &DeployReport) -> Option<(u64, u64)> {
    let progress = report.progress.as_ref()?;
    (progress.expected > 0).then(|| (progress.done.min(progress.expected), progress.expected))
}

/// What a host runs: revision and short commit; empty where it is not known.
pub fn runs(host: &Host) -> String {
    let answer = host.answer.as_deref();
    answer.map(|answer| label(answer.revision.as_deref(), answer.commit.as_deref())).unwrap_or_default()
}

/// What a job deploys: revision and short commit.
pub fn deploys(report: &DeployReport) -> String {
    label(report.revision.as_deref(), report.commit.as_deref())
}

/// What a past job deployed: revision and short commit.
pub fn deployed(entry: &HistoryEntry) -> String {
    label(entry.revision.as_deref(), entry.commit.as_deref())
}

/// The start of a commit, as people write it.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// A revision and its short commit, without saying the same twice.
pub fn label(revision: Option<&str>, commit: Option<&str>) -> String {
    let commit = commit.map(short);
    match (revision, commit) {
        (Some(revision), Some(commit)) if revision.starts_with(commit) => printable(commit),
        (revision, commit) => {
            printable(&[revision, commit].into_iter().flatten().collect::<Vec<_>>().join(" "))
        }
    }
}

/// How the build of a host stands: `building`, `built in 48.2 s`, `failed: the builder of foo failed`.
pub fn built_host(host: &BuildHost) -> String {
    match host.state {
        PhaseState::Running => "building".to_owned(),
        PhaseState::Done => format!("built in {}", duration(host.elapsed_ms)),
        PhaseState::Failed | PhaseState::Skipped => {
            let error = host.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default();
            let told = if error.is_empty() { String::new() } else { format!(": {}", printable(error)) };
            format!("{}{told}", host.state)
        }
        _ => "waiting".to_owned(),
    }
}

/// How long ago, in its largest unit; what lies ahead is now.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

/// How long something took, from milliseconds: `48.2 s`, `1:07 min`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    if seconds < 60 {
        return format!("{seconds}.{} s", milliseconds % 1000 / 100);
    }
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}

/// How long something has been under way, from milliseconds: `0:41`, `1:02:07`.
pub fn so_far(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

/// About how long something goes on yet, from milliseconds: `about 1:20 left`.
pub fn left(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1000);
    // Nothing is known to the second.
    let step = if seconds < 60 { 5 } else { 10 };
    format!("about {} left", so_far(seconds.div_ceil(step) * step * 1000))
}

/// By how many bytes something grows: `+412 MiB`.
pub fn growth(bytes: i64) -> String {
    format!("{}{}", if bytes < 0 { '-' } else { '+' }, size(bytes.unsigned_abs()))
}

/// A size, from bytes: `412 MiB`, `1.1 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut tenths, mut unit) = (bytes.saturating_mul(10) / 1024, 0);
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    if tenths < 100 && unit > 0 {
        return format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]);
    }
    format!("{} {}", tenths / 10, UNITS[unit])
}
