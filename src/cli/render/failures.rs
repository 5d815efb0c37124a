//! What has failed alike on several hosts.

use crate::deployer::Outcome;
use crate::fleet::failure_groups;
use crate::protocol::Name;

/// A line for each cause that more than one host has.
pub(super) fn alike(outcome: &Outcome) -> Vec<String> {
    let groups = failure_groups(outcome.hosts.iter().filter_map(|result| result.report.as_deref()));
    let alike = groups.into_iter().filter(|group| group.hosts.len() > 1);
    let line = alike.map(|group| {
        let hosts: Vec<_> = group.hosts.iter().map(Name::as_str).collect();
        format!("{} hosts: {} ({})", hosts.len(), group.cause, hosts.join(", "))
    });
    line.collect()
}
