//! Sends a plan and follows each of its hosts to a result, despite lost connections, lost messages and wrong clocks.

mod control;
mod request_state;

use super::host_messages::{Arrival, HostMessages};
use super::operator::{ANSWER_TIMEOUT, fresh_id};
use super::peer_confirmer::PeerConfirmer;
use super::plan::own_subject;
use super::rollout_runner::RolloutRunner;
use super::tracked_host::{SILENCE, TrackedHost};
use super::{
    BatchStarted, DeployError, DeploymentSummary, FollowEvent, HostRequest, Intent, LeftOutReason, Operator,
    Plan, Rollout, RolloutStep,
};
use crate::fleet::{Fleet, HostJob};
use crate::nats::{Client, ConnectionState, NatsError, PermissionViolation};
use crate::ordered::CollectOrdered;
use crate::protocol::{
    DISCOVER, DeployReport, ErrorCode, Id, Inbound, Name, Purpose, Query, QueryKind, QueryReply, REPORTS,
    REPORTS_PER_HOST, ReplyTo, Status, WireError, is_rollout_subject, per_host_reply_subject,
};

use crate::text::format;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{Instrument, Span};

/// Interval of the check for silent hosts.
const TICK: Duration = Duration::from_millis(250);
/// How long after the last report an explicit subject may still yield another host.
const SETTLE: Duration = Duration::from_secs(1);
/// Maximum time between acceptance and start of a job: the listener may have died before the job was on disk.
const START_TIMEOUT: SignedDuration = SignedDuration::from_secs(2);
/// Maximum number of hosts named in one query.
const MAX_NAMED_HOSTS: usize = 400;
/// A host seen this recently before sending is reachable, even if the server reports no subscribers.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_secs(15);

/// Follows a deployment to its results.
pub struct DeploymentFollower {
    nats: Client,
    plan: Plan,
    timeout: Option<Duration>,
    /// The known state of the hosts.
    pub fleet: Fleet,
    tracked_hosts: BTreeMap<Name, TrackedHost>,
    reports: HostMessages,
    answers: HostMessages,
    answers_to: ReplyTo,
    violations: broadcast::Receiver<PermissionViolation>,
    connection: watch::Receiver<ConnectionState>,
    connects: u64,
    /// Whether a note about the lost connection was already emitted.
    is_disconnected: bool,
    /// How long each batch is followed, and the deadline of the current one.
    follow_timeout: Duration,
    deadline: Instant,
    /// Whether the deadline has passed.
    timed_out: bool,
    /// Requests below this index are no longer waited for.
    expired_requests: usize,
    /// When the next batch is sent, during the pause before it.
    pause_until: Option<Instant>,
    /// The same by the wall clock.
    next_batch_at: Option<Timestamp>,
    /// Publishes the status of a rollout and receives commands; `None` without batches.
    runner: Option<RolloutRunner>,
    /// Whether another process is to take over.
    is_handed_over: bool,
    sent_at: Instant,
    last_report_at: Instant,
    /// Number of messages of the current batch that no listener received.
    no_responders: usize,
    pending: VecDeque<FollowEvent>,
    peer_confirmer: PeerConfirmer,
    /// The span of the deployment.
    span: Span,
}

impl DeploymentFollower {
    /// Sends a plan, or its first batch, after the server has answered a ping. `timeout` limits the duration of the
    /// builds; each batch is followed for `follow_timeout`.
    pub async fn send(
        operator: &Operator,
        plan: Plan,
        fleet: Fleet,
        timeout: Option<Duration>,
        follow_timeout: Duration,
    ) -> Result<Self, DeployError> {
        let mut follow = Self::subscribe(operator, plan, fleet, timeout, follow_timeout).await?;
        follow.send_batch().await?;
        Ok(follow)
    }

    /// Follows a running job of any operator; only a query for its status is sent. Returns `None` if the report has no
    /// id or action, as those of a base listener.
    pub async fn attach(
        operator: &Operator,
        job: &Arc<DeployReport>,
        mut fleet: Fleet,
        follow_timeout: Duration,
    ) -> Result<Option<Self>, DeployError> {
        let (Some(id), Some(action)) = (job.id.clone(), job.action.clone()) else { return Ok(None) };
        let intent = Intent::new(action, operator.issuer.clone());
        let (requests, rollout, silent) = (Vec::new(), Rollout::all_at_once(0), BTreeMap::new());
        let (not_built, is_group, left_out) = (BTreeSet::new(), false, BTreeMap::new());
        let plan = Plan { id: id.clone(), intent, requests, rollout, silent, not_built, is_group, left_out };
        fleet.apply_report(job.clone(), Timestamp::now());
        let mut follow = Self::subscribe(operator, plan, fleet, None, follow_timeout).await?;
        follow.plan.rollout.start_next_batch();
        follow.tracked_hosts.insert(job.hostname.clone(), TrackedHost::new(id, None));
        // The job may have ended before the subscription.
        follow.query_jobs(vec![job.hostname.clone()]).await?;
        Ok(Some(follow))
    }

    /// Subscribes to all messages of a plan's hosts, before the plan is sent.
    pub(super) async fn subscribe(
        operator: &Operator,
        plan: Plan,
        fleet: Fleet,
        timeout: Option<Duration>,
        follow_timeout: Duration,
    ) -> Result<Self, DeployError> {
        let violations = operator.nats.permission_violations();
        let answers_to = ReplyTo::replies(fresh_id());
        let (nats, known) = (&operator.nats, &operator.known);
        let answer_subjects = [answers_to.to_string(), per_host_reply_subject(answers_to.id())];
        let subscriptions = async {
            let reports = HostMessages::open(nats, known, [REPORTS, REPORTS_PER_HOST]).await?;
            let subjects = answer_subjects.iter().map(String::as_str);
            Ok((reports, HostMessages::open(nats, known, subjects).await?))
        };
        let (reports, answers) = operator.subscribed(subscriptions).await?;
        let runner = RolloutRunner::start(operator, &plan).await?;
        let connection = operator.nats.connection_state();
        let connects = connection.borrow().connects;
        let now = Instant::now();
        let (action, hosts) = (&plan.intent.action, plan.requests.len());
        let span = tracing::info_span!("deployment", id = %plan.id, %action, hosts);
        Ok(Self {
            span,
            nats: operator.nats.clone(),
            tracked_hosts: BTreeMap::new(),
            plan,
            timeout,
            fleet,
            reports,
            answers,
            answers_to,
            violations,
            connection,
            connects,
            is_disconnected: false,
            follow_timeout,
            deadline: now + follow_timeout,
            expired_requests: 0,
            timed_out: false,
            pause_until: None,
            next_batch_at: None,
            runner,
            is_handed_over: false,
            sent_at: now,
            last_report_at: now,
            no_responders: 0,
            pending: VecDeque::new(),
            peer_confirmer: PeerConfirmer::new(operator.nats.clone()),
        })
    }

    /// The next event; `None` once no batch is left and every host has a result, is given up as silent, or has timed
    /// out.
    pub async fn next(&mut self) -> Option<Result<FollowEvent, DeployError>> {
        let span = self.span.clone();
        self.next_event().instrument(span).await
    }

    async fn next_event(&mut self) -> Option<Result<FollowEvent, DeployError>> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(update) = self.pending.pop_front() {
                return Some(Ok(update));
            }
            if self.is_handed_over {
                self.is_handed_over = false;
                return Some(Ok(FollowEvent::HandOver));
            }
            let step = self.advance().await;
            self.publish_news().await;
            match step {
                Ok(NextStep::Wait) if self.pending.is_empty() => {}
                Ok(NextStep::Done) if self.pending.is_empty() => return None,
                Ok(NextStep::Wait | NextStep::Sent | NextStep::Done) => continue,
                Err(error) => return Some(Err(error)),
            }
            // Held back by an operator or a limit, nothing happens when a pause or the time of a batch ends.
            let is_held = self.plan.rollout.is_held();
            let pause_until = self.pause_until.filter(|_| !is_held);
            let deadline = self.deadline;
            let awaits_deadline = self.pause_until.is_none() && !self.timed_out;
            let step = tokio::select! {
                biased;
                Ok(violation) = self.violations.recv() => self.on_violation(violation),
                arrival = self.reports.next() => match arrival {
                    Arrival::Message(message) => self.on_message(message).await,
                    Arrival::NoResponders => { self.no_responders += 1; Ok(()) }
                    Arrival::Early => Ok(()),
                },
                arrival = self.answers.next() => match arrival {
                    Arrival::Message(message) => self.on_message(message).await,
                    Arrival::Early | Arrival::NoResponders => Ok(()),
                },
                Ok(()) = self.connection.changed() => self.on_connection().await,
                event = RolloutRunner::next_of(&mut self.runner) => self.on_runner_event(event).await,
                _ = tick.tick() => self.on_tick().await,
                () = sleep_until(pause_until.unwrap_or(deadline)), if pause_until.is_some() => Ok(()),
                () = sleep_until(deadline), if awaits_deadline => {
                    (self.timed_out, self.expired_requests) = (true, self.plan.rollout.sent_requests());
                    Ok(())
                }
            };
            if let Err(error) = step {
                return Some(Err(error));
            }
        }
    }

    /// The current state; final once [`DeploymentFollower::next`] has returned `None`.
    pub fn summary(&self) -> DeploymentSummary {
        let sent = self.tracked_hosts.iter().filter(|(_, tracked)| !tracked.is_refused);
        let jobs = sent.map(|(host, tracked)| (host, &tracked.id)).collect_map();
        DeploymentSummary::of(&self.plan, &self.fleet, &jobs, self.plan.rollout.stopped())
    }

    /// The plan that was sent.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether hosts other than the expected ones may receive the request: the subject is explicit, and no host is
    /// known to listen on it, or two hosts share a name.
    fn is_open(&self, request: &HostRequest) -> bool {
        let now = Timestamp::now();
        let two = |host: &Name| self.fleet.hosts.get(host).is_some_and(|host| host.has_name_conflict(now));
        request.is_explicit && (request.hosts.is_empty() || request.hosts.keys().any(two))
    }

    fn is_settled(&self, host: &Name, tracked: &TrackedHost) -> bool {
        let deployment = self.fleet.deployments.get(&tracked.id);
        match deployment.and_then(|deployment| deployment.hosts.get(host)) {
            Some(jobs) => jobs.iter().all(|job| job.report.status.is_final()),
            None => tracked.is_refused || tracked.given_up || self.has_no_responders(),
        }
    }

    async fn publish_request(
        &self,
        subject: &str,
        request: &HostRequest,
        id: &Id,
        shift: SignedDuration,
    ) -> Result<(), NatsError> {
        let request = self.plan.build_request(request, id, Timestamp::now(), shift, self.timeout);
        let reply = request.reply_to.to_string();
        self.nats.publish_signed(Purpose::Request, subject, Some(&reply), request.encode()).await
    }

    /// A subject that reaches only this host of a request.
    fn subject_of(&self, host: &Name, request: usize) -> Option<String> {
        let request = &self.plan.requests[request];
        if !request.is_explicit {
            return Some(request.subject.clone());
        }
        own_subject(self.fleet.hosts.get(host)?)
    }

    /// The hosts of a request that the server refused get nothing; the others are followed to their results.
    fn on_violation(&mut self, violation: PermissionViolation) -> Result<(), DeployError> {
        if is_rollout_subject(&violation.subject) {
            // The deployment continues, but other operators do not see its plan.
            if let Some(runner) = self.runner.as_mut().filter(|runner| !runner.is_denied) {
                runner.is_denied = true;
                let note = RolloutRunner::denied_note(&violation.subject, violation.is_publish);
                self.pending.push_back(FollowEvent::Note(note));
            }
            return Ok(());
        }
        let ours = self.plan.requests.iter().find(|request| request.subject == violation.subject);
        if let Some(request) = ours {
            for host in request.hosts.keys() {
                if let Some(tracked) = self.tracked_hosts.get_mut(host) {
                    tracked.is_refused = true;
                    self.plan.left_out.insert(host.clone(), LeftOutReason::Denied(violation.clone()));
                }
            }
        }
        let is_followed = self.tracked_hosts.values().any(|tracked| !tracked.is_refused);
        let is_unknown = ours.is_some_and(|request| request.hosts.is_empty());
        if violation.subject == REPORTS || is_unknown || (ours.is_some() && !is_followed) {
            return Err(NatsError::PermissionViolation(violation).into());
        }
        self.pending.push_back(FollowEvent::Note(violation.to_string()));
        Ok(())
    }

    async fn on_message(&mut self, message: Result<Inbound, WireError>) -> Result<(), DeployError> {
        let now = Timestamp::now();
        let report = match message {
            Err(error) => {
                self.pending.push_back(FollowEvent::Note(format!("ignored an unreadable message: {error}")));
                return Ok(());
            }
            Ok(Inbound::Report(report)) => Arc::new(*report),
            Ok(Inbound::Reply(_, QueryReply::Job(answer))) => match answer.report {
                Some(report) => report,
                None => return self.on_unknown(&answer.hostname).await,
            },
            Ok(mut other) => {
                // A presence message may arrive first and contains less: followed jobs are updated only by their
                // reports.
                if let Inbound::Presence(answer) | Inbound::Reply(_, QueryReply::Host(answer)) = &mut other {
                    answer.job.take_if(|job| job.id.as_ref().is_some_and(|id| self.is_ours(id)));
                }
                self.fleet.apply(other, now);
                return Ok(());
            }
        };
        let ours = report.id.as_ref().is_some_and(|id| self.is_ours(id));
        let changed = self.fleet.apply_report(report.clone(), now);
        if !ours {
            return Ok(());
        }
        self.peer_confirmer.on_report(&report);
        self.last_report_at = Instant::now();
        let Some(id) = report.id.clone() else { return Ok(()) };
        let tracked =
            self.tracked_hosts.entry(report.hostname.clone()).or_insert_with(|| TrackedHost::new(id, None));
        if report.error == Some(ErrorCode::Expired)
            && let Some((request, ahead)) = tracked.clock_difference(&report, now)
            && let Some(subject) = self.subject_of(&report.hostname, request)
        {
            return self.resend_by_host_clock(&report.hostname, &subject, request, ahead).await;
        }
        if changed {
            self.pending.push_back(FollowEvent::Report(report));
        }
        Ok(())
    }

    fn is_ours(&self, id: &Id) -> bool {
        *id == self.plan.id || self.tracked_hosts.values().any(|tracked| tracked.id == *id)
    }

    /// Resends the request to a host whose clock is wrong, with a new id and an expiry by its clock.
    async fn resend_by_host_clock(
        &mut self,
        host: &Name,
        subject: &str,
        request: usize,
        ahead: SignedDuration,
    ) -> Result<(), DeployError> {
        let id = fresh_id();
        self.publish_request(subject, &self.plan.requests[request], &id, ahead).await?;
        self.tracked_hosts.insert(host.clone(), TrackedHost::resent_by_host_clock(id.clone(), request));
        let by = format::long_duration(ahead.unsigned_abs());
        let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
        let note =
            format!("the clock of {host} is {by} {direction} ours; sent again with an expiry by its clock");
        self.pending.push_back(FollowEvent::Resent { host: host.clone(), id, note });
        Ok(())
    }

    async fn on_connection(&mut self) -> Result<(), DeployError> {
        let connection = self.connection.borrow_and_update().clone();
        if connection.up && connection.connects != self.connects {
            (self.connects, self.is_disconnected) = (connection.connects, false);
            self.pending.push_back(FollowEvent::Note("reconnected; asking for the current state".to_owned()));
            let unsettled = |(host, tracked): (&Name, &TrackedHost)| {
                (!self.is_settled(host, tracked)).then(|| host.clone())
            };
            let hosts = self.tracked_hosts.iter().filter_map(unsettled).collect();
            self.query_jobs(hosts).await?;
        } else if !connection.up && !self.is_disconnected {
            self.is_disconnected = true;
            let note = "connection lost; the jobs on the hosts continue";
            self.pending.push_back(FollowEvent::Note(note.to_owned()));
        }
        Ok(())
    }

    /// Queries hosts that have been silent for too long, and gives up those that never accepted the request.
    async fn on_tick(&mut self) -> Result<(), DeployError> {
        let now = Timestamp::now();
        let mut to_query = Vec::new();
        for (host, tracked) in &mut self.tracked_hosts {
            let deployment = self.fleet.deployments.get(&tracked.id);
            let job = deployment.and_then(|deployment| deployment.job(host));
            let is_overdue = job.map(|job| job.is_overdue(now));
            let first = !tracked.was_asked();
            if tracked
                .should_ask(is_overdue.map(|overdue| overdue || job.is_some_and(|job| is_stuck(job, now))))
            {
                if first && is_overdue == Some(true) {
                    let note = format!("{host} missed three heartbeats; asking for its status");
                    self.pending.push_back(FollowEvent::Note(note));
                }
                to_query.push(host.clone());
            }
        }
        self.query_jobs(to_query).await
    }

    /// Queries hosts for the report of their job in this deployment.
    async fn query_jobs(&mut self, hosts: Vec<Name>) -> Result<(), DeployError> {
        let mut by_id: BTreeMap<Id, Vec<Name>> = BTreeMap::new();
        for host in hosts {
            if let Some(tracked) = self.tracked_hosts.get(&host) {
                by_id.entry(tracked.id.clone()).or_default().push(host);
            }
        }
        for (id, hosts) in by_id {
            for hosts in hosts.chunks(MAX_NAMED_HOSTS) {
                let mut query = Query::new(self.answers_to.clone());
                (query.query, query.id, query.hosts) =
                    (Some(QueryKind::Job), Some(id.clone()), hosts.to_vec());
                query.reply_per_host = Some(true);
                let sent = self.nats.publish_signed(Purpose::Query, DISCOVER, None, query.encode()).await;
                if let Err(NatsError::Disconnected { .. }) = sent {
                    // The hosts are queried again after the reconnect.
                    return Ok(());
                }
                sent?;
            }
        }
        Ok(())
    }

    /// Handles a host that does not know its job. If it has reported nothing after `accepted`, the request was lost,
    /// either in transit or with its listener before the job was on disk, and is resent under the same id. A host that
    /// did receive it only replies with the job's status.
    async fn on_unknown(&mut self, host: &Name) -> Result<(), DeployError> {
        let Some(tracked) = self.tracked_hosts.get_mut(host) else { return Ok(()) };
        let job = self.fleet.deployments.get(&tracked.id);
        let reports = job.and_then(|job| job.hosts.get(host)).into_iter().flatten();
        if reports.into_iter().any(|known| known.report.status != Status::Accepted) {
            return Ok(());
        }
        let Some(request) = tracked.may_resend() else { return Ok(()) };
        let id = tracked.id.clone();
        let Some(subject) = self.subject_of(host, request) else { return Ok(()) };
        match self.publish_request(&subject, &self.plan.requests[request], &id, SignedDuration::ZERO).await {
            // The host is queried again after the reconnect.
            Ok(()) | Err(NatsError::Disconnected { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a host that was sent a request is certainly reachable: it was seen a moment ago, so its listener is
    /// about to resubscribe, even if the server reports no subscribers.
    fn has_reachable_host(&self) -> bool {
        let was_seen = |host: &Name| {
            let seen = self.fleet.hosts.get(host).and_then(|host| host.last_seen);
            seen.is_some_and(|seen| Timestamp::now().duration_since(seen) < SEEN_WITHIN)
        };
        self.tracked_hosts.iter().any(|(host, tracked)| {
            tracked.sent_elapsed() < SILENCE && !self.plan.silent.contains_key(host) && was_seen(host)
        })
    }

    /// Sends the next batch if it is due.
    async fn advance(&mut self) -> Result<NextStep, DeployError> {
        if !self.is_batch_finished() {
            return Ok(NextStep::Wait);
        }
        match self.plan.rollout.next_step(|request| self.request_state(request)) {
            RolloutStep::Wait | RolloutStep::Paused => return Ok(NextStep::Wait),
            RolloutStep::Done => return Ok(NextStep::Done),
            RolloutStep::Stop(stopped) => {
                let waits = self.plan.rollout.stop(stopped);
                return Ok(if waits { NextStep::Wait } else { NextStep::Done });
            }
            RolloutStep::Send { after } => {
                let paused = self.pause_until.is_some() || after.is_zero();
                let now = Instant::now();
                if !paused {
                    let seconds = after.as_secs();
                    self.pending
                        .push_back(FollowEvent::Note(format!("the next batch starts in {seconds} s")));
                }
                if self.pause_until.is_none() {
                    let wait = SignedDuration::try_from(after).ok();
                    self.next_batch_at = wait.and_then(|wait| Timestamp::now().checked_add(wait).ok());
                }
                if *self.pause_until.get_or_insert(now + after) > now {
                    return Ok(if paused { NextStep::Wait } else { NextStep::Sent });
                }
            }
        }
        // While disconnected, the rollout waits: the hosts of a batch that is not delivered would count as failed.
        if !self.connection.borrow().up || self.nats.ping_across_reconnects(ANSWER_TIMEOUT).await.is_err() {
            return Ok(NextStep::Wait);
        }
        match self.send_batch().await {
            // Hosts whose request was not sent are queried after the reconnect, and then count as silent.
            Ok(()) | Err(DeployError::Nats(NatsError::Disconnected { .. })) => Ok(NextStep::Sent),
            Err(error) => Err(error),
        }
    }

    /// Sends the next batch.
    async fn send_batch(&mut self) -> Result<(), DeployError> {
        let id = self.plan.id.clone();
        let requests = self.plan.rollout.start_next_batch();
        let now = Instant::now();
        (self.sent_at, self.last_report_at, self.deadline) = (now, now, now + self.follow_timeout);
        (self.pause_until, self.timed_out, self.no_responders) = (None, false, 0);
        let (batch, of) = (self.plan.rollout.sent_batches(), self.plan.rollout.batches().len());
        if let Some(present) = self.plan.rollout.batches().get(batch - 1).filter(|_| of > 1) {
            let (kind, hosts) = (present.kind, self.plan.hosts_of(present));
            self.pending.push_back(FollowEvent::BatchStarted(BatchStarted { batch, of, kind, hosts }));
        }
        for at in requests.clone() {
            for host in self.plan.requests[at].hosts.keys() {
                self.tracked_hosts.insert(host.clone(), TrackedHost::new(id.clone(), Some(at)));
            }
        }
        for at in requests {
            let request = &self.plan.requests[at];
            self.publish_request(&request.subject, request, &id, SignedDuration::ZERO).await?;
        }
        Ok(())
    }

    /// Whether every host of the current batch has a result or is no longer waited for.
    fn is_batch_finished(&self) -> bool {
        let present = self.plan.rollout.current_requests();
        if self.timed_out {
            return true;
        }
        let open = self.plan.requests[present].iter().any(|request| self.is_open(request));
        if self.tracked_hosts.is_empty() {
            return self.has_no_responders() || !open || self.sent_at.elapsed() > SILENCE;
        }
        let settled = !open || self.last_report_at.elapsed() > SETTLE;
        settled && self.tracked_hosts.iter().all(|(host, tracked)| self.is_settled(host, tracked))
    }

    /// Whether the server reported each message of the current batch as undeliverable, and no host replied shortly
    /// before.
    fn has_no_responders(&self) -> bool {
        self.no_responders >= self.plan.rollout.current_requests().len() && !self.has_reachable_host()
    }
}

/// Whether a job was accepted but has not started in time.
fn is_stuck(job: &HostJob, now: Timestamp) -> bool {
    job.report.status == Status::Accepted && now.duration_since(job.last_seen) > START_TIMEOUT
}

/// How [`DeploymentFollower::advance`] ended.
enum NextStep {
    /// The next step depends on an event.
    Wait,
    /// An event is ready.
    Sent,
    /// All work is done.
    Done,
}
