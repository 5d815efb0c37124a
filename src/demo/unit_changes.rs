//! The units that an activation starts, stops or restarts, and the changes between two systems.

use super::commit::Commit;
use crate::ordered::CollectOrdered;
use crate::protocol::{Changes, PackageChange};
use std::collections::BTreeSet;

/// Main service of a role.
pub(super) fn main_service(role: &str) -> &'static str {
    match role {
        "cache" => "harmonia.service",
        "ci" => "gitea-runner-default.service",
        "dns" => "unbound.service",
        _ => "nginx.service",
    }
}

/// Service of a package, if it has one.
fn service_of(package: &str) -> Option<&'static str> {
    Some(match package {
        "forgejo-runner" => "gitea-runner-default.service",
        "harmonia" => "harmonia.service",
        "nginx" | "openssl" => "nginx.service",
        "nix" => "nix-daemon.service",
        "openssh" => "sshd.service",
        "prometheus-node-exporter" => "prometheus-node-exporter.service",
        "systemd" => "systemd-resolved.service",
        "unbound" => "unbound.service",
        _ => return None,
    })
}

/// The changes from one commit to another on a host of this role.
pub(super) fn changes(role: &str, from: &Commit, to: &Commit) -> Changes {
    let (before, after) = (from.packages_of(role), to.packages_of(role));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect_set();
    let mut changes = Changes::default();
    let mut restarted = BTreeSet::from([main_service(role)]);
    for name in names {
        let version =
            |packages: &std::collections::BTreeMap<&str, &str>| packages.get(name).map(ToString::to_string);
        let (from, to) = (version(&before), version(&after));
        if from == to {
            continue;
        }
        if let Some(service) = service_of(name) {
            match (&from, &to) {
                (None, _) => changes.units_started.push(service.to_owned()),
                (_, None) => changes.units_stopped.push(service.to_owned()),
                _ => drop(restarted.insert(service)),
            }
        }
        changes.packages.push(PackageChange { name: name.to_owned(), from, to });
    }
    changes.units_restarted = restarted.into_iter().map(str::to_owned).collect();
    let grows = i64::try_from(to.number).unwrap_or(0) - i64::try_from(from.number).unwrap_or(0);
    changes.bytes = Some(grows * 2_345_678);
    changes
}

/// Journal of a failed service.
pub(super) fn journal(host: &str, unit: &str) -> Vec<String> {
    let name = unit.trim_end_matches(".service");
    [
        format!("{name}[2914]: {name}: [emerg] bind() to 0.0.0.0:9100 failed (98: Address already in use)"),
        format!("systemd[1]: {unit}: Control process exited, code=exited, status=1/FAILURE"),
        format!("systemd[1]: {unit}: Failed with result 'exit-code'."),
        format!("systemd[1]: Failed to start {name}."),
    ]
    .map(|line| format!("{host} {line}"))
    .into()
}
