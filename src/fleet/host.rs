//! One host as an operator sees it.

use super::deployment::supersedes;
use crate::protocol::{
    Action, DeployReport, ErrorCode, HostAnswer, Identity, Name, SharedText, Status, is_commit,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::sync::Arc;

/// The interval assumed of a host that names none, in seconds.
const DEFAULT_INTERVAL: u64 = 60;
/// Intervals of silence after which a host is stale, and after which it is offline.
const STALE: i32 = 3;
const OFFLINE: i32 = 10;
/// How long a host may be away that said it comes back.
const RESTART: SignedDuration = SignedDuration::from_secs(120);

/// Whether a host shows signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Heard of lately.
    Online,
    /// Silent for three of its intervals.
    Stale,
    /// Silent for ten of its intervals, or it said goodbye.
    Offline,
    /// It said that it comes back.
    Restarting,
}

impl Presence {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Stale => "stale",
            Self::Offline => "offline",
            Self::Restarting => "restarting",
        }
    }
}

/// One host: what it last said of itself and the last job it told of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// Its name.
    pub name: Name,
    /// Its tier, once heard.
    pub tier: Option<Name>,
    /// Its role.
    pub role: Option<Name>,
    /// What it last said of itself, without the job.
    pub answer: Option<Arc<HostAnswer>>,
    /// The running or else the last job.
    pub job: Option<Arc<DeployReport>>,
    /// Its refusal of the last request, where no job has begun since.
    pub refusal: Option<Arc<DeployReport>>,
    /// The last sign of life.
    pub seen: Option<Timestamp>,
    /// Whether it said goodbye after that sign.
    pub left: bool,
    /// The place of its last word about itself among its messages.
    #[serde(skip)]
    seq: Option<u64>,
    /// Whether its messages are proven to be from it.
    pub identity: Identity,
    /// Who has spoken under this name, and when last. More than one at a time means trouble.
    instances: Vec<(SharedText, Timestamp)>,
}

impl Host {
    /// A host of which only the name is known.
    pub fn unknown(name: &Name) -> Self {
        Self {
            name: name.clone(),
            tier: None,
            role: None,
            answer: None,
            job: None,
            refusal: None,
            seen: None,
            left: false,
            seq: None,
            identity: Identity::default(),
            instances: Vec::new(),
        }
    }

    pub(super) fn apply_answer(&mut self, mut answer: HostAnswer, now: Timestamp) {
        // One that was held back or sent again comes after what the host has said since.
        let seq = answer.seq.take();
        let is_same = self.answer.as_ref().is_some_and(|known| known.instance == answer.instance);
        if is_same && seq.zip(self.seq).is_some_and(|(new, old)| new < old) {
            return;
        }
        self.seq = seq;
        self.alive(answer.instance.as_ref(), now);
        self.left = answer.online == Some(false);
        if self.left {
            self.instances.retain(|(instance, _)| Some(instance) != answer.instance.as_ref());
        }
        if answer.held.is_none() {
            // What was refused for a hold that is over can be asked for again.
            self.refusal.take_if(|refusal| refusal.error == Some(ErrorCode::Held));
        }
        self.tier = Some(answer.tier.clone());
        self.role.clone_from(&answer.role);
        self.answer = Some(Arc::new(answer));
    }

    pub(super) fn apply_report(&mut self, report: &Arc<DeployReport>, now: Timestamp) -> bool {
        self.alive(report.instance.as_ref(), now);
        self.left = false;
        if self.tier.is_none() {
            self.tier.clone_from(&report.tier);
            self.role.clone_from(&report.role);
        }
        // A refusal changes nothing on the host, nor do the actions that are no jobs.
        if !report.action.as_ref().is_none_or(Action::makes_job) {
            return false;
        }
        if report.status == Status::Rejected {
            let known = self.refusal.replace(report.clone());
            return known.is_none_or(|known| known.id != report.id);
        }
        let newer = self.job.as_ref().is_none_or(|job| is_newer(report, job));
        if newer {
            let before = self.job.replace(report.clone());
            // A host refuses because of the job that runs, which goes on telling of itself.
            self.refusal.take_if(|_| before.is_none_or(|before| before.id != report.id));
        }
        newer
    }

    fn alive(&mut self, instance: Option<&SharedText>, now: Timestamp) {
        self.seen = Some(now);
        let Some(instance) = instance else { return };
        match self.instances.iter_mut().find(|(known, _)| known == instance) {
            Some((_, heard)) => *heard = now,
            None => {
                // Names are few; a stream of made-up ones must not grow this.
                self.instances.truncate(7);
                self.instances.reserve_exact(1);
                self.instances.push((instance.clone(), now));
            }
        }
    }

    /// How long this host may be silent between two signs of life.
    fn interval(&self) -> SignedDuration {
        let named = self.answer.as_ref().and_then(|answer| answer.interval_s).filter(|seconds| *seconds > 0);
        seconds(named.unwrap_or(DEFAULT_INTERVAL))
    }

    /// Whether the host shows signs of life.
    pub fn presence(&self, now: Timestamp) -> Presence {
        let Some(seen) = self.seen else { return Presence::Offline };
        let silent = now.duration_since(seen);
        let restarting = self.answer.as_ref().is_some_and(|answer| answer.restarting == Some(true));
        if self.left {
            let back_soon = restarting && silent < RESTART;
            return if back_soon { Presence::Restarting } else { Presence::Offline };
        }
        let interval = self.interval();
        if silent < interval * STALE {
            Presence::Online
        } else if silent < interval * OFFLINE {
            Presence::Stale
        } else {
            Presence::Offline
        }
    }

    /// The instances that speak under this name; more than one means that two hosts claim it.
    pub fn claimants(&self, now: Timestamp) -> Vec<&str> {
        let window = self.interval() * STALE;
        let heard = self.instances.iter().filter(|(_, heard)| now.duration_since(*heard) < window);
        heard.map(|(instance, _)| instance.as_str()).collect()
    }

    /// What its operator should know of who sends in its name, in sentences.
    pub fn identity_notes(&self) -> Vec<String> {
        let doubt = self.identity.doubt.iter().map(|doubt| format!("not proven: {doubt}"));
        let differs = self.identity.differs.iter().map(|differs| {
            let host = &self.name;
            format!("changed: {differs}; if that is right, run `homelab-deploy hosts --trust {host}`")
        });
        doubt.chain(differs).collect()
    }

    /// The commit that it says it runs.
    pub(super) fn commit(&self) -> Option<&str> {
        self.answer.as_deref()?.commit.as_deref().filter(|commit| is_commit(commit))
    }

    /// Whether its last job failed.
    pub fn has_failed(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.status == Status::Failed)
    }

    /// Whether it needs attention: silent, failed, its name used twice, with failed units, or in need of a reboot. A job that
    /// runs may mend the last two.
    pub fn has_fault(&self, now: Timestamp) -> bool {
        let is_at_rest = self.running_job().is_none();
        let system = is_at_rest && (!self.failed_units().is_empty() || self.needs_reboot());
        self.presence(now) != Presence::Online || self.has_failed() || system || self.is_duplicate(now)
    }

    /// Whether several listeners use its name.
    pub fn is_duplicate(&self, now: Timestamp) -> bool {
        self.claimants(now).len() > 1
    }

    /// The units that have failed there.
    pub fn failed_units(&self) -> &[String] {
        self.answer.as_ref().map(|answer| answer.failed_units.as_slice()).unwrap_or_default()
    }

    /// Whether only a reboot brings all of its new system.
    pub fn needs_reboot(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.reboot_needed == Some(true))
    }

    /// Whether it is held.
    pub fn is_held(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.held.is_some())
    }

    /// The job that runs.
    pub fn running_job(&self) -> Option<&Arc<DeployReport>> {
        self.job.as_ref().filter(|job| !job.status.is_final())
    }
}

/// A span that a host names, at most so long that it stands being multiplied.
pub(super) fn seconds(named: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(named).unwrap_or(i64::MAX).min(i64::MAX / 16))
}

/// Whether a report tells of a later state of the host than the one known.
fn is_newer(report: &DeployReport, known: &DeployReport) -> bool {
    if report.id == known.id && report.instance == known.instance {
        return supersedes(report, known);
    }
    match (report.seq, known.seq) {
        (Some(new), Some(old)) if report.instance == known.instance => new > old,
        _ => true,
    }
}
