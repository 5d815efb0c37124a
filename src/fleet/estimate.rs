//! How long a build goes on yet, as far as that can be told from what it has done.

use crate::protocol::{DeployReport, PhaseName};

/// The shortest time that tells anything, in milliseconds.
const LEAST: u64 = 1000;
/// What takes longer than this is not estimated, in milliseconds: the numbers are nonsense.
const MOST: u64 = 100 * 3600 * 1000;

/// How many milliseconds the build phase of a job goes on yet, `since` milliseconds after this report: by the builds that are
/// done of those expected, or by bytes where all that is left is to fetch them. Nothing while there is nothing to go by, and
/// nothing once it has taken longer than was estimated.
pub fn left(report: &DeployReport, since: u64) -> Option<u64> {
    let phase = report.phases.running().filter(|phase| phase.name == PhaseName::Build)?;
    let progress = report.progress.as_ref()?;
    let builds = (progress.done, progress.expected);
    let bytes = (progress.downloaded_bytes, progress.expected_bytes);
    let (done, expected) = if builds.0 < builds.1 { builds } else { bytes };
    if done == 0 || done >= expected || phase.elapsed_ms < LEAST {
        return None;
    }
    // They come over the wire and may be of any size.
    let left = u128::from(phase.elapsed_ms) * u128::from(expected - done) / u128::from(done);
    let left = u64::try_from(left).ok().filter(|left| *left <= MOST)?;
    left.checked_sub(since).filter(|left| *left > 0)
}
