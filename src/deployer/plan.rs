//! From what an operator means to what is sent: the exact hosts and the subject of each.

mod flakes;
mod in_waves;
mod left_out;
mod pin;

pub use flakes::NamedFlake;
pub use left_out::LeftOut;

use super::operator::fresh_id;
use super::selection::{is_of, listeners_on};
use super::{DeployError, Rollout, Selection, SelectionError, Target};
use crate::fleet::{Fleet, Host, Presence};
use crate::protocol::{
    Action, DeployRequest, HostAnswer, Id, Name, OnFailure, ReplyTo, Revision, of_host, printable,
};
use jiff::{SignedDuration, Timestamp};
use left_out::is_meant;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

/// How long after sending a host may still begin.
pub(super) const EXPIRY: SignedDuration = SignedDuration::from_secs(60);

/// What is to be done on each host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// What to do.
    pub action: Action,
    /// Branch, tag or commit.
    pub revision: Option<Revision>,
    /// Leave the new system running on failed units and health checks.
    pub keep: bool,
    /// The most that each activation may take, if that is less than the listener's own limit.
    pub activate_timeout: Option<Duration>,
    /// Who asks.
    pub issuer: String,
    /// Which generation to go back to, for a rollback; without it, the system before the last change.
    pub generation: Option<u64>,
    /// Why, for a hold.
    pub reason: Option<String>,
    /// Whether a commit may be older than the last one that a host deployed from its branch.
    pub allow_older: bool,
}

impl Intent {
    /// To do this, with nothing said beside it.
    pub fn new(action: Action, issuer: String) -> Self {
        Self {
            action,
            revision: None,
            keep: false,
            activate_timeout: None,
            issuer,
            generation: None,
            reason: None,
            allow_older: false,
        }
    }
}

/// One request to one host, or to a subject that was spelled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Where it goes.
    pub subject: String,
    /// The hosts that are expected to take it, with their tiers.
    pub hosts: BTreeMap<Name, Name>,
    /// Whether the subject was spelled out, so that others may listen there too.
    pub spelled: bool,
    /// Whether an alias stands for its host: like a subject, it is used where nobody can be asked.
    pub alias: bool,
    /// Which job it is about, for a cancel.
    pub job: Option<Id>,
    /// The flakes that its hosts deploy, as far as they tell.
    pub flakes: BTreeSet<String>,
    /// Whether one of its listeners knows the base format only.
    pub base: bool,
    /// Exactly what to build; without, each host looks the revision up itself.
    pub pin: Option<Revision>,
}

/// Everything that will be sent, and who is expected to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The deployment.
    pub id: Id,
    /// What is to be done.
    pub intent: Intent,
    /// The requests, in the order in which they are sent.
    pub parcels: Vec<Parcel>,
    /// When which of them are sent.
    pub rollout: Rollout,
    /// When the silent ones among the hosts were last seen, if ever.
    pub silent: BTreeMap<Name, Option<Timestamp>>,
    /// Hosts that were left out, for the builder has not built them.
    pub unbuilt: BTreeSet<Name>,
    /// Hosts of a group that are left out, because they are not what is known of them.
    pub left_out: BTreeMap<Name, LeftOut>,
}

impl Plan {
    /// Works out the hosts of a selection as the fleet stands at `now`. With `skip_offline` silent hosts are left out. A host that is
    /// not what is known of it is an error if it was named, and left out of a group.
    pub fn new(
        intent: Intent,
        selection: &Selection,
        fleet: &Fleet,
        now: Timestamp,
        skip_offline: bool,
    ) -> Result<Self, DeployError> {
        let (mut parcels, mut left_out) = (Vec::new(), BTreeMap::new());
        let mut add = |parcels: &mut Vec<_>, host: &Name| match fleet.hosts.get(host).and_then(LeftOut::of) {
            Some(reason) => {
                left_out.insert(host.clone(), reason);
                Ok(())
            }
            None => Parcel::for_host(host, fleet).map(|parcel| parcels.push(parcel)),
        };
        match selection {
            Selection::All { tier, role } => {
                for host in fleet.hosts_by_name() {
                    if is_meant(host, tier.as_ref(), role.as_ref()) {
                        add(&mut parcels, &host.name)?;
                    }
                }
            }
            Selection::Group(hosts) => hosts.iter().try_for_each(|host| add(&mut parcels, host))?,
            Selection::Targets(targets) => {
                for target in targets {
                    parcels.push(match target {
                        Target::Subject(subject) => Parcel::for_subject(subject, fleet),
                        Target::Host(name) => Parcel::for_host(name, fleet)?,
                        Target::Alias(name) => Parcel { alias: true, ..Parcel::for_host(name, fleet)? },
                    });
                }
            }
        }
        let mut seen = HashSet::new();
        parcels.retain(|parcel| seen.insert(parcel.subject.clone()));
        let mut silent = BTreeMap::new();
        for parcel in &mut parcels {
            for name in parcel.hosts.keys() {
                let Some(host) = fleet.hosts.get(name) else { continue };
                if !parcel.spelled {
                    check_one(host, now)?;
                    check_same(host)?;
                }
                if let Some(answer) = &host.answer {
                    fleet.known_flakes.check_instance(answer)?;
                }
                if host.presence(now) == Presence::Online {
                    check_capable(host, &intent.action)?;
                } else {
                    silent.insert(name.clone(), host.seen);
                }
            }
            if skip_offline {
                parcel.hosts.retain(|name, _| !silent.contains_key(name));
            }
        }
        if skip_offline {
            silent.clear();
            parcels.retain(|parcel| parcel.spelled || !parcel.hosts.is_empty());
        }
        let rollout = Rollout::at_once(parcels.len());
        Ok(Self { id: fresh_id(), intent, parcels, rollout, silent, unbuilt: BTreeSet::new(), left_out })
    }

    /// Sends only to hosts that answer and of which this is so. Those that do not answer stay expected.
    pub fn retain(&mut self, is_so: impl Fn(&Name) -> bool) {
        for parcel in &mut self.parcels {
            parcel.hosts.retain(|host, _| !self.silent.contains_key(host) && is_so(host));
        }
        self.rollout.retain(|parcel| !self.parcels[parcel].hosts.is_empty());
        self.parcels.retain(|parcel| !parcel.hosts.is_empty());
    }

    /// Sends only to hosts that answer and are among these; the others are left out as [`Plan::unbuilt`].
    pub fn only_built(&mut self, built: &BTreeSet<Name>) {
        let out = |host: &&Name| !self.silent.contains_key(*host) && !built.contains(*host);
        self.unbuilt = self.hosts().into_keys().filter(out).cloned().collect();
        self.retain(|host| built.contains(host));
    }

    /// Every host that is expected to answer, with its tier.
    pub fn hosts(&self) -> BTreeMap<&Name, &Name> {
        self.parcels.iter().flat_map(|parcel| &parcel.hosts).collect()
    }

    /// The tiers that are touched: those of the hosts, and of subjects spelled the usual way.
    pub fn tiers(&self) -> HashSet<Name> {
        let spelled =
            |parcel: &Parcel| parcel.subject.split('.').nth(1).and_then(|tier| Name::new(tier).ok());
        let spelled = self.parcels.iter().filter_map(spelled);
        self.hosts().values().map(|tier| (*tier).clone()).chain(spelled).collect()
    }

    /// The request of a parcel, as it is sent at `now`. For a host whose clock is off by `shift` it expires by that clock; when it
    /// was issued stays ours, so that nobody has a request signed that is of use at a time of their choice.
    pub(super) fn request(
        &self,
        parcel: &Parcel,
        id: &Id,
        now: Timestamp,
        shift: SignedDuration,
        timeout: Option<Duration>,
    ) -> DeployRequest {
        let intent = &self.intent;
        // A listener that knows nothing of commits gets it in the place of the branch.
        let pinned = parcel.pin.clone().filter(|_| parcel.base);
        let by_its_clock = now.saturating_add(shift).unwrap_or(now);
        DeployRequest {
            reply_to: ReplyTo::reports(id.clone()),
            reply_per_host: Some(true),
            issued_at: Some(now),
            expires_at: by_its_clock.checked_add(EXPIRY).ok(),
            issuer: Some(intent.issuer.clone()),
            timeout_s: timeout.map(|timeout| timeout.as_secs()),
            activate_timeout_s: intent.activate_timeout.map(|timeout| timeout.as_secs()),
            on_failure: intent.keep.then_some(OnFailure::Keep),
            job: parcel.job.clone(),
            generation: intent.generation,
            commit: parcel.pin.as_ref().map(ToString::to_string),
            reason: intent.reason.clone(),
            allow_older: intent.allow_older.then_some(true),
            ..DeployRequest::new(
                intent.action.clone(),
                pinned.or_else(|| intent.revision.clone()),
                id.clone(),
            )
        }
    }
}

impl Parcel {
    /// A request to one host, on a subject that reaches it alone.
    fn for_host(name: &Name, fleet: &Fleet) -> Result<Self, DeployError> {
        let known = fleet.hosts.get(name);
        let Some((host, answer)) = known.and_then(|host| Some((host, host.answer.as_deref()?))) else {
            return Err(match known.and_then(|host| host.identity.doubt.clone()) {
                Some(doubt) => DeployError::Unproven { host: name.clone(), doubt },
                None => SelectionError::unknown(name, fleet).into(),
            });
        };
        // Its word is not believed, so it would count as silent, and nobody would know why.
        if let Some(doubt) = host.identity.doubt.clone().filter(|_| !host.identity.proven) {
            return Err(DeployError::Unproven { host: name.clone(), doubt });
        }
        let subject = own_subject(host).ok_or_else(|| DeployError::NoSubject {
            host: name.clone(),
            usual: of_host(&answer.tier, name),
            subjects: answer.deploy_subjects.iter().map(|subject| printable(subject)).collect(),
        })?;
        Ok(Self::of(subject, &[answer]))
    }

    /// A request to whoever listens on a subject.
    fn for_subject(subject: &str, fleet: &Fleet) -> Self {
        let answers: Vec<_> = listeners_on(subject, fleet).collect();
        Self { spelled: true, ..Self::of(subject.to_owned(), &answers) }
    }

    fn of(subject: String, answers: &[&HostAnswer]) -> Self {
        let hosts = answers.iter().map(|answer| (answer.hostname.clone(), answer.tier.clone()));
        let flakes = answers.iter().filter_map(|answer| answer.flake_url.as_deref().map(str::to_owned));
        let (hosts, flakes) = (hosts.collect(), flakes.collect());
        let base = answers.iter().any(|answer| answer.version.is_none());
        Self { subject, hosts, spelled: false, alias: false, job: None, flakes, base, pin: None }
    }
}

/// The subject that reaches this host alone: the one that the operator's configuration names, else the usual one. What else a
/// host says of itself is not a reason to send anything there, because it could be the subject of another host.
pub(super) fn own_subject(host: &Host) -> Option<String> {
    if let Some(subject) = &host.identity.subject {
        return Some(subject.clone());
    }
    let answer = host.answer.as_deref()?;
    let usual = of_host(&answer.tier, &answer.hostname);
    answer.deploy_subjects.contains(&usual).then_some(usual)
}

/// Refuses a host that says something else of itself than what is known.
fn check_same(host: &Host) -> Result<(), DeployError> {
    match &host.identity.differs {
        None => Ok(()),
        Some(difference) => {
            Err(DeployError::Differs { host: host.name.clone(), difference: difference.clone() })
        }
    }
}

/// Refuses where two listeners speak under one name: which of them would be meant?
pub fn check_one(host: &Host, now: Timestamp) -> Result<(), DeployError> {
    let instances = host.claimants(now);
    if instances.len() < 2 {
        return Ok(());
    }
    let instances = instances.into_iter().map(printable).collect();
    Err(DeployError::TwoOfOneName { host: host.name.clone(), instances })
}

fn check_capable(host: &Host, action: &Action) -> Result<(), DeployError> {
    match &host.answer {
        Some(answer) if !answer.can(action) => {
            Err(DeployError::Incapable { host: host.name.clone(), action: action.to_string() })
        }
        _ => Ok(()),
    }
}

impl Plan {
    /// Works out which jobs to stop on these hosts.
    pub fn cancel(
        issuer: String,
        hosts: &[Name],
        fleet: &Fleet,
        now: Timestamp,
    ) -> Result<Self, DeployError> {
        let intent = Intent::new(Action::Cancel, issuer);
        let selection = Selection::Targets(hosts.iter().cloned().map(Target::Host).collect());
        let mut plan = Self::new(intent, &selection, fleet, now, false)?;
        if let Some(host) = plan.silent.keys().next() {
            return Err(DeployError::Silent { host: host.clone() });
        }
        for parcel in &mut plan.parcels {
            let mut jobs = parcel.hosts.keys().filter_map(|host| fleet.hosts.get(host)?.running_job());
            parcel.job = jobs.find_map(|job| job.id.clone());
            if let (None, Some(host)) = (&parcel.job, parcel.hosts.keys().next()) {
                return Err(DeployError::NothingRuns { host: host.clone() });
            }
        }
        Ok(plan)
    }
}
