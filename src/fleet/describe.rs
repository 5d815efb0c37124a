//! Jobs, revisions and times as text for people. All data from the wire is made safe to print.

use super::Host;
use crate::protocol::{BuildHost, Component, DeployReport, HistoryEntry, PhaseName, PhaseState, Status};
use crate::text::format::{duration, short_commit};
use crate::text::printable;
use std::fmt::Write;

/// The minimum time that allows an estimate, in milliseconds.
const MIN_ELAPSED: u64 = 1000;
/// The maximum estimate, in milliseconds. A longer one is not meaningful.
const MAX_REMAINING: u64 = 100 * 3600 * 1000;

/// The progress of a job, in a few words.
pub fn job_progress(report: &DeployReport) -> String {
    let message = printable(&report.message);
    match &report.status {
        Status::Completed => match report.elapsed_ms {
            None => format!("completed: {message}"),
            Some(elapsed) => format!("completed in {}: {message}", duration(elapsed)),
        },
        Status::Failed | Status::Rejected => {
            let error = report.error.as_ref().map(|error| format!(" ({})", error.words()));
            let error = error.unwrap_or_default();
            format!("{}{error}: {message}", report.status)
        }
        _ => match report.phases.running() {
            Some(phase) => {
                let mut text = phase_word(report, &phase.name);
                if let Some((done, expected)) = build_counts(report) {
                    let _ = write!(text, " {done}/{expected}");
                }
                if let Some(component) = component_progress(report) {
                    return format!("{text} {component}");
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

/// The phase or state of a running job: `build 12/40`, `deploy 2/5 zigbee2mqtt`.
pub fn job_step(report: &DeployReport) -> String {
    let [step, _, _] = job_steps(report);
    step
}

/// Like [`job_step`], and then without the name of the component, and without the count.
pub fn job_steps(report: &DeployReport) -> [String; 3] {
    let phase = report.phases.running();
    let word =
        phase.map_or_else(|| printable(report.status.as_str()), |phase| phase_word(report, &phase.name));
    let count = build_counts(report).map(|(done, expected)| format!("{word} {done}/{expected}"));
    let component = report.components.running().map(|(position, component)| {
        let count = format!("{word} {position}/{}", report.components.0.len());
        [format!("{count} {}", printable(&component.name)), count]
    });
    match (count, component) {
        (Some(count), _) => [count.clone(), count, word],
        (None, Some([step, count])) => [step, count, word],
        (None, None) => [word.clone(), word.clone(), word],
    }
}

/// The name of a phase. Services are brought up one after the other, which people call a deployment.
fn phase_word(report: &DeployReport, phase: &PhaseName) -> String {
    match phase {
        PhaseName::Activate if !report.components.is_empty() => "deploy".to_owned(),
        other => printable(other.as_str()),
    }
}

/// The running component with its position: `2/5 zigbee2mqtt`.
pub fn component_progress(report: &DeployReport) -> Option<String> {
    let (position, component) = report.components.running()?;
    Some(format!("{position}/{} {}", report.components.0.len(), printable(&component.name)))
}

/// A component of a job on one line: `zigbee2mqtt  failed 12.0 s: it is unhealthy`, with names padded to `width`.
pub fn component(component: &Component, width: usize) -> String {
    let name = printable(&component.name);
    let mut text = format!("{name:width$}  {}", printable(component.state.as_str()));
    if component.elapsed_ms > 0 {
        let _ = write!(text, " {}", duration(component.elapsed_ms));
    }
    if !component.message.is_empty() {
        let _ = write!(text, ": {}", printable(&component.message));
    }
    text
}

/// The components of a job, one line each.
pub fn components(report: &DeployReport) -> Vec<String> {
    let all = &report.components.0;
    let width = name_width(all.iter().map(|component| component.name.as_str()));
    all.iter().map(|each| component(each, width)).collect()
}

/// The width of the longest name of a component, as it is printed; 0 if there are none.
pub fn name_width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| printable(name).chars().count()).max().unwrap_or(0)
}

/// The builds that are done and expected, if known.
pub fn build_counts(report: &DeployReport) -> Option<(u64, u64)> {
    let progress = report.progress.as_ref()?;
    (progress.expected > 0).then(|| (progress.done.min(progress.expected), progress.expected))
}

/// The revision and short commit that a host runs; empty if unknown.
pub fn running_revision(host: &Host) -> String {
    let answer = host.answer.as_deref();
    answer
        .map(|answer| revision_label(answer.revision.as_deref(), answer.commit.as_deref()))
        .unwrap_or_default()
}

/// The revision and short commit that a job deploys.
pub fn job_revision(report: &DeployReport) -> String {
    revision_label(report.revision.as_deref(), report.commit.as_deref())
}

/// The revision and short commit of a job in the history.
pub fn history_revision(entry: &HistoryEntry) -> String {
    revision_label(entry.revision.as_deref(), entry.commit.as_deref())
}

/// A revision and its short commit, without repetition.
pub fn revision_label(revision: Option<&str>, commit: Option<&str>) -> String {
    let commit = commit.map(short_commit);
    match (revision, commit) {
        (Some(revision), Some(commit)) if revision.starts_with(commit) => printable(commit),
        (revision, commit) => {
            printable(&[revision, commit].into_iter().flatten().collect::<Vec<_>>().join(" "))
        }
    }
}

/// The build state of a host: `building`, `built in 48.2 s`, `failed: the builder of foo failed`.
pub fn host_build(host: &BuildHost) -> String {
    match host.state {
        PhaseState::Running => "building".to_owned(),
        PhaseState::Done => format!("built in {}", duration(host.elapsed_ms)),
        PhaseState::Failed | PhaseState::Skipped => {
            let error = host.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default();
            let suffix = if error.is_empty() { String::new() } else { format!(": {}", printable(error)) };
            format!("{}{suffix}", host.state)
        }
        _ => "waiting".to_owned(),
    }
}

/// The remaining time of a job's build phase in milliseconds, `since` milliseconds after this report. It is based on
/// the builds that are done and expected, or on bytes if only downloads remain. `None` if there is no progress yet, or
/// if the build takes longer than estimated.
pub fn remaining_ms(report: &DeployReport, since: u64) -> Option<u64> {
    let phase = report.phases.running().filter(|phase| phase.name == PhaseName::Build)?;
    let progress = report.progress.as_ref()?;
    let builds = (progress.done, progress.expected);
    let bytes = (progress.downloaded_bytes, progress.expected_bytes);
    let (done, expected) = if builds.0 < builds.1 { builds } else { bytes };
    if done == 0 || done >= expected || phase.elapsed_ms < MIN_ELAPSED {
        return None;
    }
    // The numbers are from the wire and can have any value.
    let left = u128::from(phase.elapsed_ms) * u128::from(expected - done) / u128::from(done);
    let left = u64::try_from(left).ok().filter(|left| *left <= MAX_REMAINING)?;
    left.checked_sub(since).filter(|left| *left > 0)
}
