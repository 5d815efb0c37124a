//! Turns an operator's intent into a plan: the hosts, and the subject of each request.

use super::left_out::is_selected;
use super::missing_services::missing_services;
use super::operator::fresh_id;
use super::selection::listeners_on;
use super::{
    Batch, Candidate, DeployError, LeftOutReason, NameConflict, Rollout, RolloutStrategy, Selection,
    SelectionError, Target,
};
use crate::fleet::{BranchHeads, FlakeTrust, Fleet, Host, Reachability};
use crate::ordered::CollectOrdered;
use crate::protocol::{
    Action, DeployRequest, Id, Name, OnFailure, Presence, REQUEST_LIFETIME, ReplyTo, Revision, host_subject,
};
use crate::text::printable;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

/// What to do on each host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The action.
    pub action: Action,
    /// Branch, tag or commit.
    pub revision: Option<Revision>,
    /// Whether the new system stays active after failed units or health checks.
    pub no_rollback: bool,
    /// Maximum duration of each activation, if it is shorter than the listener's limit.
    pub activate_timeout: Option<Duration>,
    /// Name of the user, as recorded in the hosts' history.
    pub issuer: String,
    /// Generation to roll back to; `None` for the system before the last change.
    pub generation: Option<u64>,
    /// Reason of a hold.
    pub reason: Option<String>,
    /// Whether the commit may be older than the last one that a host deployed from its branch.
    pub allow_older: bool,
    /// The services that the deployment is about; empty for all.
    #[serde(default)]
    pub services: Vec<Name>,
    /// Whether services that are not assigned to a host any more are removed.
    #[serde(default)]
    pub prune: bool,
}

impl Intent {
    /// An intent with default options.
    pub fn new(action: Action, issuer: String) -> Self {
        Self {
            action,
            revision: None,
            no_rollback: false,
            activate_timeout: None,
            issuer,
            generation: None,
            reason: None,
            allow_older: false,
            services: Vec::new(),
            prune: false,
        }
    }

    /// Whether only listeners that know services may receive the request.
    pub fn needs_services(&self) -> bool {
        !self.services.is_empty() || self.prune
    }
}

/// One request to one host, or to an explicit subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRequest {
    /// The subject to publish to.
    pub subject: String,
    /// The hosts that are expected to receive it, with their tiers.
    pub hosts: BTreeMap<Name, Name>,
    /// Whether the operator named the subject, so that other hosts may listen on it too.
    pub is_explicit: bool,
    /// Whether an alias names the host. Without a terminal, requests to aliases and subjects need no confirmation.
    pub is_alias: bool,
    /// The job to cancel or to continue.
    pub job: Option<Id>,
    /// The flakes that its hosts deploy, as far as they announce them.
    pub flakes: BTreeSet<String>,
    /// Whether one of its listeners knows only the base format.
    pub is_base_format: bool,
    /// The commit to build; `None` if each host looks up the revision.
    pub pin: Option<Revision>,
}

/// All requests of a deployment, and the hosts that are expected to reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Id of the deployment.
    pub id: Id,
    /// What to do on each host.
    pub intent: Intent,
    /// The requests in sending order.
    pub requests: Vec<HostRequest>,
    /// The batches of the requests.
    pub rollout: Rollout,
    /// Silent hosts of the plan, with the time they were last seen.
    pub silent: BTreeMap<Name, Option<Timestamp>>,
    /// Hosts that were left out because the builder has not built them.
    pub not_built: BTreeSet<Name>,
    /// Whether the hosts were selected together, so that an unsuitable one is left out.
    pub is_group: bool,
    /// Hosts of a group that are left out, with the reasons. Another process that takes over does not need them.
    #[serde(skip)]
    pub left_out: BTreeMap<Name, LeftOutReason>,
}

impl Plan {
    /// Plans requests for a selection with the state of the fleet at `now`. With `skip_offline`, silent hosts are left
    /// out. A host that cannot get a request is an error if it was named, and left out of a group.
    pub fn new(
        intent: Intent,
        selection: &Selection,
        fleet: &Fleet,
        now: Timestamp,
        skip_offline: bool,
    ) -> Result<Self, DeployError> {
        let (mut requests, mut left_out) = (Vec::new(), BTreeMap::new());
        let mut add = |requests: &mut Vec<_>, name: &Name| {
            let host = fleet.hosts.get(name);
            match host.and_then(|host| LeftOutReason::of(host, &intent, fleet, now)) {
                Some(reason) => {
                    left_out.insert(name.clone(), reason);
                    Ok(())
                }
                None => HostRequest::for_host(name, fleet).map(|request| requests.push(request)),
            }
        };
        match selection {
            Selection::All { tier, role } => {
                for host in fleet.hosts_by_name() {
                    if is_selected(host, tier.as_ref(), role.as_ref()) {
                        add(&mut requests, &host.name)?;
                    }
                }
            }
            Selection::Group(hosts) => hosts.iter().try_for_each(|host| add(&mut requests, host))?,
            Selection::Targets(targets) => {
                for target in targets {
                    requests.push(match target {
                        Target::Subject(subject) => HostRequest::for_subject(subject, fleet),
                        Target::Host(name) => HostRequest::for_host(name, fleet)?,
                        Target::Alias(name) => {
                            HostRequest { is_alias: true, ..HostRequest::for_host(name, fleet)? }
                        }
                    });
                }
            }
        }
        let mut seen = HashSet::new();
        requests.retain(|request| seen.insert(request.subject.clone()));
        let mut silent = BTreeMap::new();
        for request in &mut requests {
            if request.is_explicit && (intent.needs_services() || intent.action == Action::Resume) {
                // Other hosts may listen there, and a listener that does not know services would deploy all of them.
                return Err(DeployError::NotOnSubject { subject: printable(&request.subject) });
            }
            for name in request.hosts.keys() {
                let Some(host) = fleet.hosts.get(name) else { continue };
                if !request.is_explicit {
                    check_single_instance(host, now)?;
                    check_unchanged(host)?;
                }
                if let Some(answer) = &host.answer {
                    fleet.known_flakes.check_instance(answer)?;
                }
                if let Some(missing) = missing_services(host, &intent) {
                    return Err(DeployError::MissingServices { host: name.clone(), missing });
                }
                if intent.action == Action::Resume {
                    let job = host.resumable_job().and_then(|job| job.id.clone());
                    request.job =
                        Some(job.ok_or_else(|| DeployError::NothingToResume { host: name.clone() })?);
                }
                if host.reachability(now) == Reachability::Online {
                    check_capable(host, &intent.action)?;
                } else {
                    silent.insert(name.clone(), host.last_seen);
                }
            }
            if skip_offline {
                request.hosts.retain(|name, _| !silent.contains_key(name));
            }
        }
        if skip_offline {
            silent.clear();
            requests.retain(|request| request.is_explicit || !request.hosts.is_empty());
        }
        let rollout = Rollout::all_at_once(requests.len());
        let is_group = !matches!(selection, Selection::Targets(_));
        Ok(Self {
            id: fresh_id(),
            intent,
            requests,
            rollout,
            silent,
            not_built: BTreeSet::new(),
            is_group,
            left_out,
        })
    }

    /// Keeps only hosts that reply and satisfy `is_so`. Silent hosts stay expected.
    pub fn retain(&mut self, is_so: impl Fn(&Name) -> bool) {
        for request in &mut self.requests {
            request.hosts.retain(|host, _| !self.silent.contains_key(host) && is_so(host));
        }
        self.rollout.retain(|request| !self.requests[request].hosts.is_empty());
        self.requests.retain(|request| !request.hosts.is_empty());
    }

    /// Keeps only hosts that reply and are in `built`; the others are listed in [`Plan::not_built`].
    pub fn retain_built(&mut self, built: &BTreeSet<Name>) {
        let out = |host: &&Name| !self.silent.contains_key(*host) && !built.contains(*host);
        self.not_built = self.hosts().into_keys().filter(out).cloned().collect_set();
        self.retain(|host| built.contains(host));
    }

    /// Every host that is expected to reply, with its tier.
    pub fn hosts(&self) -> BTreeMap<&Name, &Name> {
        self.requests.iter().flat_map(|request| &request.hosts).collect_map()
    }

    /// The tiers that are affected: those of the hosts, and of explicit subjects in the usual form.
    pub fn tiers(&self) -> HashSet<Name> {
        let tier_of_subject =
            |request: &HostRequest| request.subject.split('.').nth(1).and_then(|tier| Name::new(tier).ok());
        let explicit_tiers = self.requests.iter().filter_map(tier_of_subject);
        self.hosts().values().map(|tier| (*tier).clone()).chain(explicit_tiers).collect()
    }

    /// The request as it is sent at `now`. For a host whose clock differs by `shift`, it expires by that clock; its
    /// issue time stays ours, so that a wrong clock cannot obtain a signed request for a time of its choice.
    pub(super) fn build_request(
        &self,
        request: &HostRequest,
        id: &Id,
        now: Timestamp,
        shift: SignedDuration,
        timeout: Option<Duration>,
    ) -> DeployRequest {
        let intent = &self.intent;
        // A listener that does not know the field `commit` gets the commit as its revision.
        let pinned = request.pin.clone().filter(|_| request.is_base_format);
        let by_its_clock = now.saturating_add(shift).unwrap_or(now);
        DeployRequest {
            reply_to: ReplyTo::reports(id.clone()),
            reply_per_host: Some(true),
            issued_at: Some(now),
            expires_at: by_its_clock.checked_add(REQUEST_LIFETIME).ok(),
            issuer: Some(intent.issuer.clone()),
            timeout_s: timeout.map(|timeout| timeout.as_secs()),
            activate_timeout_s: intent.activate_timeout.map(|timeout| timeout.as_secs()),
            on_failure: intent.no_rollback.then_some(OnFailure::Keep),
            job: request.job.clone(),
            generation: intent.generation,
            commit: request.pin.as_ref().map(ToString::to_string),
            reason: intent.reason.clone(),
            allow_older: intent.allow_older.then_some(true),
            services: intent.services.clone(),
            prune: intent.prune.then_some(true),
            ..DeployRequest::new(
                intent.action.clone(),
                pinned.or_else(|| intent.revision.clone()),
                id.clone(),
            )
        }
    }

    /// Plans to cancel the running jobs of these hosts. Of a group, each host must have one.
    pub fn cancel(
        issuer: String,
        hosts: &Selection,
        fleet: &Fleet,
        now: Timestamp,
    ) -> Result<Self, DeployError> {
        let mut plan = Self::new(Intent::new(Action::Cancel, issuer), hosts, fleet, now, false)?;
        if plan.is_group {
            // Silent hosts must not keep the others from being cancelled.
            plan.retain(|_| true);
        } else if let Some(host) = plan.silent.keys().next() {
            return Err(DeployError::NoAnswer { host: host.clone() });
        }
        for request in &mut plan.requests {
            let mut jobs = request.hosts.keys().filter_map(|host| fleet.hosts.get(host)?.running_job());
            request.job = jobs.find_map(|job| job.id.clone());
            if let (None, Some(host)) = (&request.job, request.hosts.keys().next()) {
                return Err(DeployError::NoRunningJob { host: host.clone() });
            }
        }
        Ok(plan)
    }

    /// Splits the plan into batches; the hosts of `nats_hosts` come last, each alone.
    pub fn into_batches(
        mut self,
        strategy: &RolloutStrategy,
        fleet: &Fleet,
        nats_hosts: &[Name],
    ) -> Result<Self, DeployError> {
        let mut candidates = Vec::new();
        for request in &self.requests {
            // The hosts of an explicit subject receive the request together, so they cannot be split.
            let (false, Some((host, tier))) = (request.is_explicit, request.hosts.first_key_value()) else {
                return Err(DeployError::SubjectInBatches { subject: printable(&request.subject) });
            };
            candidates.push(Candidate {
                host: host.clone(),
                tier: tier.clone(),
                role: fleet.hosts.get(host).and_then(|host| host.role.clone()),
                is_responding: !self.silent.contains_key(host),
                runs_nats: nats_hosts.contains(host),
            });
        }
        let (mut requests, mut batches): (Vec<HostRequest>, _) = (Vec::new(), Vec::new());
        for (kind, hosts) in strategy.split(candidates)? {
            let from = requests.len();
            for host in hosts {
                let at = self.requests.iter().position(|request| request.hosts.contains_key(&host));
                requests.extend(at.map(|at| self.requests.swap_remove(at)));
            }
            batches.push(Batch { kind, requests: from..requests.len() });
        }
        self.requests = requests;
        self.rollout = Rollout::new(batches, strategy.max_failures, strategy.pause);
        Ok(self)
    }

    /// The hosts of a batch.
    pub fn hosts_of(&self, batch: &Batch) -> Vec<Name> {
        self.requests[batch.requests.clone()]
            .iter()
            .flat_map(|request| request.hosts.keys())
            .cloned()
            .collect()
    }

    /// The hosts whose request was not sent.
    pub fn not_started(&self) -> Vec<Name> {
        let left = &self.requests[self.rollout.sent_requests()..];
        left.iter().flat_map(|request| request.hosts.keys()).cloned().collect()
    }

    /// The flakes that its hosts announce, each with its hosts and whether it is new. Fails for a flake that is not
    /// trusted.
    pub fn named_flakes<'a>(
        &'a self,
        fleet: &'a Fleet,
    ) -> Result<BTreeMap<&'a str, NamedFlake<'a>>, DeployError> {
        let mut named: BTreeMap<&str, NamedFlake<'_>> = BTreeMap::new();
        for host in self.hosts().into_keys() {
            let Some(answer) = fleet.hosts.get(host).and_then(|host| host.answer.as_deref()) else {
                continue;
            };
            let (flake, is_new) = match fleet.known_flakes.trust_of(answer) {
                FlakeTrust::Unnamed => continue,
                FlakeTrust::Known(flake) => (flake, false),
                FlakeTrust::New(flake) => (flake, true),
                FlakeTrust::Refused(error) => return Err(error.into()),
            };
            let of = named.entry(flake).or_default();
            of.hosts.push(host);
            of.is_new |= is_new;
        }
        Ok(named)
    }

    /// The branch or tag to look up; `None` if the revision is already a commit.
    pub fn revision_to_pin(&self) -> Option<&Revision> {
        self.intent.revision.as_ref().filter(|revision| !revision.is_commit())
    }

    /// The flakes whose heads must be looked up.
    pub fn flakes(&self) -> BTreeSet<String> {
        self.requests.iter().flat_map(|request| &request.flakes).cloned().collect_set()
    }

    /// The commits that the plan is pinned to: one, or one per flake.
    pub fn commits(&self) -> BTreeSet<&str> {
        self.requests.iter().filter_map(|request| Some(request.pin.as_ref()?.as_str())).collect_set()
    }

    /// Pins every request to the head of its host's flake. A host without a known flake is assumed to deploy the flake
    /// of the others, if they have only one. If one request cannot be pinned, none is.
    pub fn pin(&mut self, heads: &BranchHeads) -> Result<(), DeployError> {
        let flakes = self.flakes();
        let cannot = |reason| DeployError::CannotPin { revision: heads.branch.clone(), reason };
        let mut pins = Vec::new();
        for request in &self.requests {
            let flake = flake_of(request, &flakes).map_err(cannot)?;
            let head = heads.by_flake.get(flake).cloned();
            let head = head.unwrap_or_else(|| Err(format!("{flake} was not looked up"))).map_err(cannot)?;
            pins.push(Revision::new(head).map_err(|error| cannot(error.to_string()))?);
        }
        for (request, pin) in self.requests.iter_mut().zip(pins) {
            request.pin = Some(pin);
        }
        Ok(())
    }

    /// Leaves out the hosts of a group whose flake must not be looked up.
    pub fn leave_out_refused_flakes(&mut self, fleet: &Fleet) {
        if !self.is_group {
            return;
        }
        let mut refused = Vec::new();
        for host in self.hosts().into_keys() {
            let answer = fleet.hosts.get(host).and_then(|host| host.answer.as_deref());
            if let Some(FlakeTrust::Refused(error)) = answer.map(|answer| fleet.known_flakes.trust_of(answer))
            {
                refused.push((host.clone(), LeftOutReason::Flake(error)));
            }
        }
        for (host, reason) in refused {
            self.leave_out(host, reason);
        }
    }

    /// Leaves out a host of a group.
    pub fn leave_out(&mut self, host: Name, reason: LeftOutReason) {
        self.rollout.retain(|request| !self.requests[request].hosts.contains_key(&host));
        self.requests.retain(|request| !request.hosts.contains_key(&host));
        self.silent.remove(&host);
        self.left_out.insert(host, reason);
    }
}

impl HostRequest {
    /// A request to one host, on a subject that reaches it alone.
    fn for_host(name: &Name, fleet: &Fleet) -> Result<Self, DeployError> {
        let known = fleet.hosts.get(name);
        let Some((host, answer)) = known.and_then(|host| Some((host, host.answer.as_deref()?))) else {
            return Err(match known.and_then(|host| host.identity.doubt.clone()) {
                Some(doubt) => DeployError::Unproven { host: name.clone(), doubt: *doubt },
                None => SelectionError::unknown(name, fleet).into(),
            });
        };
        // An unproven host would count as silent, without a visible reason.
        if let Some(doubt) = host.identity.blocking_doubt() {
            return Err(DeployError::Unproven { host: name.clone(), doubt: doubt.clone() });
        }
        let subject = own_subject(host).ok_or_else(|| DeployError::NoSubject {
            host: name.clone(),
            usual: host_subject(&answer.tier, name),
            subjects: answer.deploy_subjects.iter().map(|subject| printable(subject)).collect(),
        })?;
        Ok(Self::of(subject, &[answer]))
    }

    /// A request to all listeners on a subject.
    fn for_subject(subject: &str, fleet: &Fleet) -> Self {
        let answers: Vec<_> = listeners_on(subject, fleet).collect();
        Self { is_explicit: true, ..Self::of(subject.to_owned(), &answers) }
    }

    fn of(subject: String, answers: &[&Presence]) -> Self {
        let hosts = answers.iter().map(|answer| (answer.hostname.clone(), answer.tier.clone()));
        let flakes = answers.iter().filter_map(|answer| answer.flake_url.as_deref().map(str::to_owned));
        let (hosts, flakes) = (hosts.collect_map(), flakes.collect_set());
        let is_base_format = answers.iter().any(|answer| answer.version.is_none());
        Self {
            subject,
            hosts,
            is_explicit: false,
            is_alias: false,
            job: None,
            flakes,
            is_base_format,
            pin: None,
        }
    }
}

/// The subject that reaches only this host: the one in the operator's configuration, or the usual one. Other subjects
/// that a host announces are ignored, because they could belong to another host.
pub(super) fn own_subject(host: &Host) -> Option<String> {
    if let Some(subject) = &host.identity.subject {
        return Some(subject.to_string());
    }
    let answer = host.answer.as_deref()?;
    let usual = host_subject(&answer.tier, &answer.hostname);
    answer.deploy_subjects.iter().any(|subject| **subject == *usual).then_some(usual)
}

/// Rejects a host whose presence differs from what is known.
fn check_unchanged(host: &Host) -> Result<(), DeployError> {
    match &host.identity.differs {
        None => Ok(()),
        Some(difference) => {
            Err(DeployError::Differs { host: host.name.clone(), difference: (**difference).clone() })
        }
    }
}

/// Rejects a host name that is used by two listeners, because the target would be ambiguous.
pub fn check_single_instance(host: &Host, now: Timestamp) -> Result<(), NameConflict> {
    let instances: Vec<_> = host.active_instances(now).collect();
    if instances.len() < 2 {
        return Ok(());
    }
    let instances = instances.into_iter().map(printable).collect();
    Err(NameConflict { host: host.name.clone(), instances })
}

fn check_capable(host: &Host, action: &Action) -> Result<(), DeployError> {
    match &host.answer {
        Some(answer) if answer.is_compose() && matches!(action, Action::Boot | Action::Test) => {
            Err(DeployError::NoNextBoot { host: host.name.clone(), action: action.to_string() })
        }
        Some(answer) if !answer.can(action) => {
            let (host, is_base) = (host.name.clone(), answer.version.is_none());
            Err(DeployError::Unsupported { host, action: action.to_string(), is_base })
        }
        _ => Ok(()),
    }
}

/// A flake that hosts of a plan announce.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NamedFlake<'a> {
    /// The hosts that announce it.
    pub hosts: Vec<&'a Name>,
    /// Whether it was never seen before.
    pub is_new: bool,
}

/// The one flake that the hosts of a request deploy.
fn flake_of<'a>(request: &'a HostRequest, all: &'a BTreeSet<String>) -> Result<&'a str, String> {
    let names: Vec<_> = request.hosts.keys().map(Name::as_str).collect();
    let names = if names.is_empty() { request.subject.clone() } else { names.join(", ") };
    let is_unknown = request.flakes.is_empty();
    let mut flakes = if is_unknown { all } else { &request.flakes }.iter();
    match (flakes.next(), flakes.next()) {
        (Some(flake), None) => Ok(flake),
        (None, _) => Err(format!("no flake URL is known for {names} or any other host")),
        (Some(_), Some(_)) if is_unknown => {
            Err(format!("no flake URL is known for {names}, and the other hosts have several"))
        }
        (Some(_), Some(_)) => Err(format!("the hosts on {} have different flakes", request.subject)),
    }
}
