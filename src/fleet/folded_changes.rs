//! The changes of many hosts, folded: what is equal on several hosts is one change.

use super::failure_cause;
use super::version_order::is_downgrade;
use crate::protocol::{Action, DeployReport, Name, Status};
use crate::text::{format, printable};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A change, with all hosts on which it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoldedChange {
    /// What changes.
    #[serde(flatten)]
    pub change: HostChange,
    /// The hosts, sorted by name.
    pub hosts: Vec<Name>,
}

/// One change on a host. The variants are in display order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HostChange {
    /// The job failed or was rejected.
    Failed {
        /// Why.
        cause: String,
    },
    /// A package changes.
    Package {
        /// Whether the new version is older.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        downgrade: bool,
        /// Whether it is the kernel, so that the change needs a reboot.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        kernel: bool,
        /// Name of the package.
        name: String,
        /// The old version; absent if the package is new.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The new version; absent if the package is removed.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// The host needs a reboot to run all of the new system.
    Reboot,
    /// A unit restarts.
    Restart {
        /// Name of the unit.
        unit: String,
    },
    /// A unit stops.
    Stop {
        /// Name of the unit.
        unit: String,
    },
    /// A unit starts.
    Start {
        /// Name of the unit.
        unit: String,
    },
    /// Only the contents of files change.
    FilesOnly,
    /// Nothing changes: the host already runs this system.
    Nothing,
    /// The host did not report what would change.
    Unknown,
}

/// Folds the changes of these final reports. `running_system` returns the system that a host runs. Within a kind, the
/// changes on most hosts come first.
pub fn fold_changes<'a>(
    reports: impl IntoIterator<Item = &'a DeployReport>,
    running_system: impl Fn(&Name) -> Option<&'a str>,
) -> Vec<FoldedChange> {
    let mut folded: BTreeMap<HostChange, Vec<Name>> = BTreeMap::new();
    for report in reports {
        for change in changes_of(report, running_system(&report.hostname)) {
            folded.entry(change).or_default().push(report.hostname.clone());
        }
    }
    let mut folded: Vec<_> = folded
        .into_iter()
        .map(|(change, mut hosts)| {
            hosts.sort_unstable_by(super::natural_cmp);
            hosts.dedup();
            FoldedChange { change, hosts }
        })
        .collect();
    folded.sort_by_key(|folded| (folded.change.rank(), Reverse(folded.hosts.len())));
    folded
}

fn changes_of(report: &DeployReport, runs: Option<&str>) -> Vec<HostChange> {
    if !report.status.is_final() {
        return Vec::new();
    }
    if report.status != Status::Completed {
        return vec![HostChange::Failed { cause: failure_cause(report) }];
    }
    let Some(reported) = report.changes.as_deref() else {
        let dry = report.action == Some(Action::DryActivate);
        let same = dry && runs.is_some() && runs == report.system.as_deref();
        return vec![if same { HostChange::Nothing } else { HostChange::Unknown }];
    };
    let version = |version: &Option<String>| version.as_deref().map(printable);
    let mut changes: Vec<_> = reported
        .packages
        .iter()
        .map(|package| HostChange::Package {
            downgrade: package
                .from
                .as_deref()
                .zip(package.to.as_deref())
                .is_some_and(|(from, to)| is_downgrade(from, to)),
            kernel: is_kernel(&package.name),
            name: printable(&package.name),
            from: version(&package.from),
            to: version(&package.to),
        })
        .collect();
    let kernel = changes.iter().any(|change| matches!(change, HostChange::Package { kernel: true, .. }));
    if report.reboot_needed == Some(true) && !kernel {
        changes.push(HostChange::Reboot);
    }
    let units = |units: &[String], change: fn(String) -> HostChange| -> Vec<HostChange> {
        units.iter().map(|unit| change(printable(unit))).collect()
    };
    changes.extend(units(&reported.units_restarted, |unit| HostChange::Restart { unit }));
    changes.extend(units(&reported.units_stopped, |unit| HostChange::Stop { unit }));
    changes.extend(units(&reported.units_started, |unit| HostChange::Start { unit }));
    if changes.is_empty() {
        let same = runs.is_some() && runs == report.system.as_deref();
        changes.push(if same { HostChange::Nothing } else { HostChange::FilesOnly });
    }
    changes
}

/// Whether a package of nixpkgs is a kernel.
fn is_kernel(name: &str) -> bool {
    let variants = ["-zen", "-hardened", "-rt", "-lqx", "-xanmod", "-libre", "-rpi"];
    name.strip_prefix("linux")
        .is_some_and(|rest| rest.is_empty() || variants.iter().any(|variant| rest.starts_with(variant)))
}

impl HostChange {
    /// The order of the kinds; downgrades and kernels come before other packages.
    fn rank(&self) -> u8 {
        match self {
            Self::Failed { .. } => 0,
            Self::Package { downgrade: true, .. } => 1,
            Self::Package { kernel: true, .. } => 2,
            Self::Reboot => 3,
            Self::Package { .. } => 4,
            Self::Restart { .. } => 5,
            Self::Stop { .. } => 6,
            Self::Start { .. } => 7,
            Self::FilesOnly => 8,
            Self::Nothing => 9,
            Self::Unknown => 10,
        }
    }

    /// The change as text, with `arrow` between two versions: `openssl 3.3.2 → 3.3.3`.
    pub fn describe(&self, arrow: &str) -> String {
        match self {
            Self::Failed { cause } => format!("failed: {cause}"),
            Self::Package { name, from, to, .. } => match (from, to) {
                (Some(from), Some(to)) => format!("{name} {from} {arrow} {to}"),
                (None, Some(to)) => format!("+{name} {to}"),
                (Some(from), None) => format!("-{name} {from}"),
                (None, None) => name.clone(),
            },
            Self::Reboot => "needs a reboot".to_owned(),
            Self::Restart { unit } => format!("restarts {unit}"),
            Self::Stop { unit } => format!("stops {unit}"),
            Self::Start { unit } => format!("starts {unit}"),
            Self::FilesOnly => "only files change, no package, size or unit".to_owned(),
            Self::Nothing => "nothing changes: the system runs already".to_owned(),
            Self::Unknown => "not reported".to_owned(),
        }
    }

    /// What an operator should know about the change; empty for most.
    pub fn note(&self) -> &'static str {
        match self {
            Self::Package { downgrade: true, kernel: true, .. } => "older version, needs a reboot",
            Self::Package { downgrade: true, .. } => "older version",
            Self::Package { kernel: true, to: Some(_), .. } => "needs a reboot",
            _ => "",
        }
    }
}

impl FoldedChange {
    /// The change with its hosts: `openssl 3.3.2 → 3.3.3 on 10 hosts`, or up to three names.
    pub fn describe(&self, arrow: &str) -> String {
        let hosts = match &self.hosts[..] {
            few if few.len() <= 3 => few.iter().map(Name::as_str).collect::<Vec<_>>().join(", "),
            many => format::count(many.len(), "host"),
        };
        let note = self.change.note();
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        format!("{} on {hosts}{note}", self.change.describe(arrow))
    }
}
