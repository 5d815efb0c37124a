//! The hosts that are behind their branch.

use super::{HEAD, row, table};
use crate::fleet::Host;
use crate::protocol::Revision;
use comfy_table::Cell;
use jiff::Timestamp;

/// The table of a fleet, and the commit that each host should run.
pub(in crate::cli) fn outdated(hosts: &[(&Host, &str)], branch: &Revision, now: Timestamp) -> String {
    let rows = hosts.iter().map(|(host, head)| {
        let mut row = row(host, now);
        row.push(Cell::new(format!("{branch} {}", head.get(..7).unwrap_or(head))));
        row
    });
    let mut head = HEAD.to_vec();
    head.push("HEAD");
    table(&head, rows.collect(), false)
}
