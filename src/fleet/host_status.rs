//! The status of a host, and how urgent it is.

use super::{Host, LowDisk, Reachability};
use crate::protocol::DeployReport;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// The status of a host at a moment, most severe first. Silence does not hide a failure.
#[derive(Debug, Clone, Copy, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum HostStatus<'a> {
    /// The last job that changed its system failed.
    Failed(&'a DeployReport),
    /// Messages under its name are signed with a key other than the known one.
    Changed,
    /// Messages under its name do not prove that they come from the host.
    Unproven,
    /// Several listeners use its name.
    Duplicate,
    /// Units on it have failed.
    Units(&'a [String]),
    /// A file system is nearly full.
    Disk(LowDisk),
    /// Silent for ten of its intervals, or it announced that it goes offline.
    Offline,
    /// Silent for three of its intervals.
    Stale,
    /// It announced a restart.
    Restarting,
    /// Parts of its system need a reboot to become active.
    Reboot,
    /// It refuses deployments until it is released.
    Held,
    /// A job is running.
    Deploying(&'a DeployReport),
    /// Online, with no problem.
    Idle,
}

/// Hosts that belong together on a screen, in display order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttentionGroup {
    /// Hosts that need attention.
    Attention,
    /// Hosts that run a job.
    Working,
    /// Hosts without a problem.
    Well,
}

/// The ranks of the statuses that need no attention.
const DEPLOYING: u8 = 11;
const IDLE: u8 = 12;

impl AttentionGroup {
    /// The group of the hosts whose status has this rank.
    pub fn of_rank(rank: u8) -> Self {
        match rank {
            IDLE => Self::Well,
            DEPLOYING => Self::Working,
            _ => Self::Attention,
        }
    }

    /// The heading of the group.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attention => "needs attention",
            Self::Working => "working",
            Self::Well => "well",
        }
    }
}

impl<'a> HostStatus<'a> {
    pub(super) fn of(host: &'a Host, reachability: Reachability, is_duplicate: bool) -> Self {
        let online = reachability == Reachability::Online;
        let running = host.running_job().filter(|_| online);
        let status = Self::at_rest(host, reachability, is_duplicate);
        match running {
            Some(_) if is_duplicate => Self::Duplicate,
            // A dry run or a build repairs nothing, so it hides no failure.
            Some(job) if job.changes_system() || !status.is_failure() => Self::Deploying(job),
            _ => status,
        }
    }

    /// The status without the running job.
    fn at_rest(host: &'a Host, reachability: Reachability, is_duplicate: bool) -> Self {
        if let Some(job) = host.failed_change() {
            return Self::Failed(job);
        }
        match reachability {
            Reachability::Offline if host.has_changed_key() => return Self::Changed,
            Reachability::Offline if host.is_unproven() => return Self::Unproven,
            _ if is_duplicate => return Self::Duplicate,
            Reachability::Offline => return Self::Offline,
            _ => {}
        }
        let disk = host.low_disk();
        match (reachability, host.failed_units(), disk) {
            (_, units @ [_, ..], _) => Self::Units(units),
            (_, _, Some(disk)) => Self::Disk(disk),
            (Reachability::Stale, ..) => Self::Stale,
            (Reachability::Restarting, ..) => Self::Restarting,
            _ if host.needs_reboot() => Self::Reboot,
            _ if host.is_held() => Self::Held,
            _ => Self::Idle,
        }
    }

    /// The name in filters.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// The sort key: the most severe status comes first. It decides the [group](AttentionGroup::of_rank).
    pub fn rank(&self) -> u8 {
        match self {
            Self::Failed(_) => 0,
            Self::Changed => 1,
            Self::Unproven => 2,
            Self::Duplicate => 3,
            Self::Units(_) => 4,
            Self::Disk(_) => 5,
            Self::Offline => 6,
            Self::Stale => 7,
            Self::Restarting => 8,
            Self::Reboot => 9,
            Self::Held => 10,
            Self::Deploying(_) => DEPLOYING,
            Self::Idle => IDLE,
        }
    }

    /// Whether something has failed: its deployment, its proof, its name, or one of its units.
    pub fn is_failure(&self) -> bool {
        self.rank() <= Self::Units(&[]).rank()
    }

    /// The group of hosts with this status.
    pub fn group(&self) -> AttentionGroup {
        AttentionGroup::of_rank(self.rank())
    }
}
