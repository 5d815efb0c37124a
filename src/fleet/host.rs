//! A host as an operator sees it.

use super::deployment::supersedes;
use super::{AttentionGroup, HostStatus, LowDisk};
use crate::protocol::{
    Action, DeployReport, ErrorCode, HostIdentity, InternedStr, Name, Presence, Status, UnprovenReason,
    is_commit,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::sync::Arc;
use strum::IntoStaticStr;

/// The announcement interval of a host that reports none, in seconds.
const DEFAULT_INTERVAL: u64 = 60;
/// The number of silent intervals after which a host is stale, and after which it is offline.
const STALE_INTERVALS: i32 = 3;
const OFFLINE_INTERVALS: i32 = 10;
/// How long a host that announced a restart may be away.
const RESTART_GRACE: SignedDuration = SignedDuration::from_secs(120);

/// Whether a host has been seen recently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Reachability {
    /// Seen within three of its intervals.
    Online,
    /// Silent for three of its intervals.
    Stale,
    /// Silent for ten of its intervals, or it announced that it goes offline.
    Offline,
    /// It announced a restart.
    Restarting,
}

impl Reachability {
    /// The name in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A host: its latest presence and its latest job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// The name of the host.
    pub name: Name,
    /// The tier; `None` until the host has reported it.
    pub tier: Option<Name>,
    /// The role within the tier.
    pub role: Option<Name>,
    /// The latest presence, without its job.
    pub answer: Option<Arc<Presence>>,
    /// The running job, or else the last one.
    pub job: Option<Arc<DeployReport>>,
    /// The last job that [decides the state](DeployReport::is_change) of the host; often the same as `job`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Arc<DeployReport>>,
    /// The rejection of the last request, unless a job has started since.
    pub refusal: Option<Arc<DeployReport>>,
    /// When the last message of the host arrived.
    pub last_seen: Option<Timestamp>,
    /// The part of the time since then in which this operator could not receive messages.
    #[serde(skip)]
    unheard: SignedDuration,
    /// Whether the host announced that it goes offline, with no message since.
    pub offline_announced: bool,
    /// The `seq` of the latest presence.
    #[serde(skip)]
    seq: Option<u64>,
    /// Whether messages under this name are proven to come from the host.
    pub identity: HostIdentity,
    /// The instances that use this name, with the arrival of their last message. More than one at a time is a fault.
    instances: Vec<(InternedStr, Timestamp)>,
}

impl Host {
    /// Creates a host with only a name.
    pub fn unknown(name: &Name) -> Self {
        Self {
            name: name.clone(),
            tier: None,
            role: None,
            answer: None,
            job: None,
            last_change: None,
            refusal: None,
            last_seen: None,
            unheard: SignedDuration::ZERO,
            offline_announced: false,
            seq: None,
            identity: HostIdentity::default(),
            instances: Vec::new(),
        }
    }

    /// Applies a presence; returns whether it says anything new.
    pub(super) fn apply_presence(&mut self, mut answer: Presence, now: Timestamp) -> bool {
        // A delayed or repeated presence must not replace a newer one.
        let seq = answer.seq.take();
        let is_same = self.answer.as_ref().is_some_and(|known| known.instance == answer.instance);
        if is_same && seq.zip(self.seq).is_some_and(|(new, old)| new < old) {
            return false;
        }
        self.seq = seq;
        self.mark_seen(answer.instance.as_ref(), now);
        self.offline_announced = answer.online == Some(false);
        if self.offline_announced {
            self.instances.retain(|(instance, _)| Some(instance) != answer.instance.as_ref());
        }
        // After the hold is released, a request that was rejected because of it can be sent again.
        let is_released = answer.held.is_none()
            && self.refusal.take_if(|refusal| refusal.error == Some(ErrorCode::Held)).is_some();
        self.tier = Some(answer.tier.clone());
        self.role.clone_from(&answer.role);
        let is_new = self.answer.as_ref().is_none_or(|known| {
            // A query that asks for what is known changes nothing.
            let asked = (answer.query.clone(), answer.id.clone());
            (answer.query, answer.id) = (known.query.clone(), known.id.clone());
            let is_new = **known != answer;
            (answer.query, answer.id) = asked;
            is_new
        });
        self.answer = Some(Arc::new(answer));
        is_new || is_released
    }

    pub(super) fn apply_report(&mut self, report: &Arc<DeployReport>, now: Timestamp) -> bool {
        self.mark_seen(report.instance.as_ref(), now);
        self.offline_announced = false;
        if self.tier.is_none() {
            self.tier.clone_from(&report.tier);
            self.role.clone_from(&report.role);
        }
        // A rejection changes nothing on the host; neither do the actions that create no job.
        if !report.action.as_ref().is_none_or(Action::creates_job) {
            return false;
        }
        if report.status == Status::Rejected {
            let known = self.refusal.replace(report.clone());
            return known.is_none_or(|known| known.id != report.id);
        }
        self.apply_change(report);
        let newer = self.job.as_ref().is_none_or(|job| is_newer(report, job));
        if newer {
            let before = self.job.replace(report.clone());
            // The host rejected the request because of the running job, which keeps reporting.
            self.refusal.take_if(|_| before.is_none_or(|before| before.id != report.id));
        }
        newer
    }

    /// Keeps a job that decides the state of the host, if it is the newest such job. A listener that sends no
    /// `last_change` does not erase a known one.
    pub(super) fn apply_change(&mut self, report: &Arc<DeployReport>) -> bool {
        let newer = |known: &Arc<DeployReport>| is_newer(report, known);
        let is_new = report.is_change() && self.last_change.as_ref().is_none_or(newer);
        if is_new {
            self.last_change = Some(report.clone());
        }
        is_new
    }

    fn mark_seen(&mut self, instance: Option<&InternedStr>, now: Timestamp) {
        self.last_seen = Some(now);
        self.unheard = SignedDuration::ZERO;
        let Some(instance) = instance else { return };
        match self.instances.iter_mut().find(|(known, _)| known == instance) {
            Some((_, last_seen)) => *last_seen = now,
            None => {
                // Few instances are expected. A flood of invented ones must not grow the list.
                self.instances.truncate(7);
                self.instances.reserve_exact(1);
                self.instances.push((instance.clone(), now));
            }
        }
    }

    /// The announcement interval of the host.
    fn interval(&self) -> SignedDuration {
        let named = self.answer.as_ref().and_then(|answer| answer.interval_s).filter(|seconds| *seconds > 0);
        bounded_seconds(named.unwrap_or(DEFAULT_INTERVAL))
    }

    /// How long the host has been silent while messages could be received; `None` if it was never seen.
    pub fn silence(&self, now: Timestamp) -> Option<SignedDuration> {
        Some(now.duration_since(self.last_seen?) - self.unheard)
    }

    /// Whether the host has been seen recently.
    pub fn reachability(&self, now: Timestamp) -> Reachability {
        let Some(silent) = self.silence(now) else { return Reachability::Offline };
        let restarting = self.answer.as_ref().is_some_and(|answer| answer.restarting == Some(true));
        if self.offline_announced {
            let back_soon = restarting && silent < RESTART_GRACE;
            return if back_soon { Reachability::Restarting } else { Reachability::Offline };
        }
        let interval = self.interval();
        if silent < interval * STALE_INTERVALS {
            Reachability::Online
        } else if silent < interval * OFFLINE_INTERVALS {
            Reachability::Stale
        } else {
            Reachability::Offline
        }
    }

    /// When the reachability or the number of active instances changes next if no message arrives; `None` if it stays.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let interval = self.interval();
        let silences = if self.offline_announced {
            [RESTART_GRACE, RESTART_GRACE]
        } else {
            [interval * STALE_INTERVALS, interval * OFFLINE_INTERVALS]
        };
        let last_seen = self.last_seen.into_iter();
        let silent =
            last_seen.flat_map(|at| silences.map(|silence| at.saturating_add(self.unheard + silence).ok()));
        let heard = self.instances.iter().map(|(_, at)| at.saturating_add(interval * STALE_INTERVALS).ok());
        silent.chain(heard).flatten().filter(|at| *at > now).min()
    }

    /// The instances that use this name; more than one means that two hosts claim it.
    pub fn active_instances(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let window = self.interval() * STALE_INTERVALS;
        let heard = self.instances.iter().filter(move |(_, heard)| now.duration_since(*heard) < window);
        heard.map(|(instance, _)| instance.as_str())
    }

    /// Notes for the operator about the identity of the host.
    pub fn identity_notes(&self) -> Vec<String> {
        let doubt = self.identity.doubt.iter().map(|doubt| format!("not proven: {doubt}"));
        let differs = self.identity.differs.iter().map(|differs| {
            let host = &self.name;
            format!("changed: {differs}; if that is right, run `homelab-deploy hosts --trust {host}`")
        });
        doubt.chain(differs).collect()
    }

    /// The commit that the host reports as running.
    pub(super) fn commit(&self) -> Option<&str> {
        self.answer.as_deref()?.commit.as_deref().filter(|commit| is_commit(commit))
    }

    /// The last job that changed the system, if it failed.
    pub fn failed_change(&self) -> Option<&DeployReport> {
        self.last_change.as_deref().filter(|job| job.status == Status::Failed)
    }

    /// The failed job that a resume continues: the last change, if no job runs.
    pub fn resumable_job(&self) -> Option<&DeployReport> {
        self.failed_change().filter(|_| self.running_job().is_none())
    }

    /// The last job that changed the system, if `job` is a later one.
    pub fn earlier_change(&self) -> Option<&DeployReport> {
        let newest = self.job.as_ref();
        self.last_change.as_deref().filter(|change| newest.is_none_or(|job| job.id != change.id))
    }

    /// Whether the last job that changed the system failed.
    pub fn has_failed(&self) -> bool {
        self.failed_change().is_some()
    }

    /// When the running system was deployed, by the clock of the host; `None` if unknown.
    pub fn deployed_at(&self) -> Option<Timestamp> {
        let reported = self.answer.as_ref().and_then(|answer| answer.deployed_at);
        let completed = || self.last_change.as_ref().filter(|job| job.status == Status::Completed)?.at;
        reported.or_else(completed)
    }

    /// Whether the host needs attention: see [`AttentionGroup::Attention`].
    pub fn needs_attention(&self, now: Timestamp) -> bool {
        self.status(now).group() == AttentionGroup::Attention
    }

    /// Whether several listeners use this name.
    pub fn has_name_conflict(&self, now: Timestamp) -> bool {
        self.instances.len() > 1 && self.active_instances(now).count() > 1
    }

    /// The failed systemd units of the host.
    pub fn failed_units(&self) -> &[String] {
        self.answer.as_ref().map(|answer| answer.failed_units.as_slice()).unwrap_or_default()
    }

    /// Whether the host runs services with Docker Compose.
    pub fn is_compose(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.is_compose())
    }

    /// What [`Self::failed_units`] are: the units of systemd, or the services of Docker Compose.
    pub fn unit_noun(&self) -> &'static str {
        self.answer.as_ref().map_or("unit", |answer| answer.unit_noun())
    }

    /// Whether parts of the new system need a reboot to become active.
    pub fn needs_reboot(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.reboot_needed == Some(true))
    }

    /// Whether deployments to the host are on hold.
    pub fn is_held(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.held.is_some())
    }

    /// The job that is running, if any.
    pub fn running_job(&self) -> Option<&Arc<DeployReport>> {
        self.job.as_ref().filter(|job| !job.status.is_final())
    }

    /// The first file system that is nearly full.
    pub fn low_disk(&self) -> Option<LowDisk> {
        LowDisk::of(self.answer.as_deref()?).next()
    }

    /// Whether messages under this name are signed with another key than the known one.
    pub fn has_changed_key(&self) -> bool {
        let identity = &self.identity;
        !identity.proven && matches!(identity.doubt.as_deref(), Some(UnprovenReason::OtherKey(_)))
    }

    /// Whether messages under this name do not prove that they come from the host.
    pub fn is_unproven(&self) -> bool {
        !self.identity.proven && self.identity.doubt.is_some()
    }

    /// The status of the host at `now`.
    pub fn status(&self, now: Timestamp) -> HostStatus<'_> {
        HostStatus::of(self, self.reachability(now), self.has_name_conflict(now))
    }

    /// The sort key by status: the most severe one comes first.
    pub fn rank(&self, now: Timestamp) -> u8 {
        self.status(now).rank()
    }

    /// Excludes a time in which this operator could not receive messages from the silence of the host.
    pub(super) fn excuse_outage(&mut self, since: Timestamp, until: Timestamp) {
        if let Some(seen) = self.last_seen {
            self.unheard += until.duration_since(since.max(seen)).max(SignedDuration::ZERO);
        }
    }
}

/// Converts seconds from the wire to a duration, limited so that it can be multiplied without overflow.
pub(super) fn bounded_seconds(named: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(named).unwrap_or(i64::MAX).min(i64::MAX / 16))
}

/// Whether a report describes a later state of the host than the known one.
fn is_newer(report: &DeployReport, known: &DeployReport) -> bool {
    if report.id == known.id && report.instance == known.instance {
        return supersedes(report, known);
    }
    match (report.seq, known.seq) {
        (Some(new), Some(old)) if report.instance == known.instance => new > old,
        _ => true,
    }
}
