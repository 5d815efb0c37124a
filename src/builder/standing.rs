//! How the builder stands, in the sentence that `systemctl status` shows.

use super::lane::Lane;
use crate::protocol::Name;
use std::collections::BTreeMap;

/// What is built and how many wait.
pub(super) fn sentence(lanes: &BTreeMap<Name, Lane>) -> String {
    let running: Vec<_> = lanes
        .iter()
        .filter_map(|(repo, lane)| {
            let wanted = &lane.running.as_ref()?.wanted;
            let commit = wanted.commit.get(..7).unwrap_or(&wanted.commit);
            Some(format!("{} of {repo} at {commit}", wanted.target))
        })
        .collect();
    let waiting = lanes.values().flat_map(Lane::waiting).count();
    let waiting = if waiting > 0 { format!("; {waiting} waiting") } else { String::new() };
    match running.as_slice() {
        [] => format!("idle{waiting}"),
        running => format!("builds {}{waiting}", running.join(", ")),
    }
}
