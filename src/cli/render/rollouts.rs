//! The table of rollouts.

use super::{cells, table};
use crate::fleet::{KnownRollout, describe};
use crate::protocol::Name;
use crate::text::{format, printable};
use jiff::Timestamp;

/// The table of rollouts, followed by the hosts of each that were not sent anything.
pub(in crate::cli) fn rollouts<'a>(
    rollouts: impl Iterator<Item = &'a KnownRollout>,
    now: Timestamp,
) -> String {
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for rollout in rollouts {
        let status = &rollout.status;
        let revision = describe::revision_label(status.revision.as_deref(), status.commit.as_deref());
        let reason =
            status.reason.as_deref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
        rows.push(cells([
            status.id.to_string(),
            format!("{} {revision}", printable(status.action.as_str())),
            status.issuer.as_deref().map(printable).unwrap_or_default(),
            format::age(status.started_at, now),
            format!("{} of {}", status.sent_batches, status.batch_count()),
            if rollout.is_interrupted {
                format!("interrupted {} ago", format::age(rollout.last_heard, now))
            } else {
                format!("{}{reason}", printable(status.state.as_str()))
            },
        ]));
        let unsent: Vec<_> = rollout.unsent().into_iter().map(Name::as_str).collect();
        if !unsent.is_empty() {
            lines.push(format!("{}: not sent: {}", status.id, unsent.join(", ")));
        }
    }
    let head = ["ID", "ROLLOUT", "BY", "AGE", "BATCH", "STATE"];
    [table(&head, rows, false)].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}
