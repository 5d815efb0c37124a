//! Sends a plan and follows every host of it to its verdict, through lost links, lost messages and wrong clocks.

mod begin;
mod resend;
mod silence;
mod target;
mod wave;

use super::host_messages::{Arrival, HostMessages};
use super::operator::fresh_id;
use super::plan::own_subject;
use super::vouch::Voucher;
use super::{DeployError, HostLeftOut, HostResult, Outcome, Parcel, Plan, Stopped, Verdict, WaveKind};
use crate::bus::{Bus, Link, LinkError, Refusal};
use crate::fleet::Fleet;
use crate::protocol::{
    Answer, DeployReport, ErrorCode, Id, Inbound, Name, Purpose, REPORTS, ReplyTo, WireError,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use wave::GoOn;

/// How often silence is looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long after the last news a subject that was spelled out may bring yet another host.
const SETTLE: Duration = Duration::from_secs(1);

/// News of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// A host reported something new.
    Report(Arc<DeployReport>),
    /// A host got it once more, by its own clock and under another id; in a sentence.
    Again {
        /// The host.
        host: Name,
        /// The id of its new job.
        id: Id,
        /// The sentence.
        note: String,
    },
    /// A wave was sent.
    Wave(WaveNews),
    /// Something an operator should know, in a sentence.
    Note(String),
}

/// A wave was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaveNews {
    /// Which, from 1.
    pub wave: usize,
    /// How many there are.
    pub of: usize,
    /// What it is.
    pub kind: WaveKind,
    /// Its hosts.
    pub hosts: Vec<Name>,
}

/// A deployment that was sent.
pub struct Follow {
    bus: Bus,
    plan: Plan,
    timeout: Option<Duration>,
    /// What is known of the hosts.
    pub fleet: Fleet,
    targets: BTreeMap<Name, Target>,
    reports: HostMessages,
    answers: HostMessages,
    answers_to: ReplyTo,
    refusals: broadcast::Receiver<Refusal>,
    link: watch::Receiver<Link>,
    connects: u64,
    /// Whether it was told that the link is down.
    lost: bool,
    /// How long a wave is followed, and until when the present one is.
    patience: Duration,
    deadline: Instant,
    /// Whether that is over.
    out_of_time: bool,
    /// Requests up to here are not waited for any more.
    late: usize,
    /// When the next wave is sent, during the pause before it.
    pause_ends: Option<Instant>,
    stopped: Option<Stopped>,
    /// Once cancelled, no further wave is sent.
    abort: CancellationToken,
    sent_at: Instant,
    last_news: Instant,
    /// How many messages of the present wave nobody took.
    untaken: usize,
    pending: VecDeque<Update>,
    voucher: Voucher,
}

impl Follow {
    /// The next news; `None` once every host has its verdict, is given up as silent, or the time is over, and no wave is left
    /// to be sent.
    pub async fn next(&mut self) -> Option<Result<Update, DeployError>> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(update) = self.pending.pop_front() {
                return Some(Ok(update));
            }
            match self.go_on().await {
                Ok(GoOn::Wait) => {}
                Ok(GoOn::Sent) => continue,
                Ok(GoOn::Over) => return None,
                Err(error) => return Some(Err(error)),
            }
            let pause_ends = self.pause_ends;
            let step = tokio::select! {
                biased;
                Ok(refusal) = self.refusals.recv() => self.on_refusal(refusal),
                arrival = self.reports.next() => match arrival {
                    Arrival::Message(message) => self.on_message(message).await,
                    Arrival::NotTaken => { self.untaken += 1; Ok(()) }
                    Arrival::Early => Ok(()),
                },
                arrival = self.answers.next() => match arrival {
                    Arrival::Message(message) => self.on_message(message).await,
                    Arrival::Early | Arrival::NotTaken => Ok(()),
                },
                Ok(()) = self.link.changed() => self.on_link().await,
                () = self.abort.cancelled(), if !self.plan.rollout.is_aborted() => {
                    self.abort();
                    Ok(())
                }
                _ = tick.tick() => self.on_tick().await,
                () = sleep_until(pause_ends.unwrap_or(self.deadline)), if pause_ends.is_some() => Ok(()),
                () = sleep_until(self.deadline), if pause_ends.is_none() => {
                    (self.out_of_time, self.late) = (true, self.plan.rollout.sent_parcels());
                    Ok(())
                }
            };
            if let Err(error) = step {
                return Some(Err(error));
            }
        }
    }

    /// How it stands; once [`Follow::next`] has given `None`, how it ended.
    pub fn outcome(&self) -> Outcome {
        let mut hosts = Vec::new();
        for (host, target) in &self.targets {
            let seen = self.fleet.hosts.get(host).and_then(|host| host.seen);
            let jobs =
                self.fleet.deployments.get(&target.id).and_then(|deployment| deployment.hosts.get(host));
            let jobs = jobs.map(Vec::as_slice).unwrap_or_default();
            if jobs.is_empty() {
                hosts.push(HostResult {
                    host: host.clone(),
                    instance: None,
                    verdict: Verdict::Silent,
                    seen,
                    report: None,
                });
            }
            for job in jobs {
                hosts.push(HostResult {
                    host: host.clone(),
                    instance: job.report.instance.clone().filter(|_| jobs.len() > 1).map(Into::into),
                    verdict: Verdict::of(&job.report),
                    seen,
                    report: Some(job.report.clone()),
                });
            }
        }
        // Those that were expected, but not to be sent to as long as they are silent.
        let untouched = self.plan.untouched();
        let unsent = |host: &&Name| !self.targets.contains_key(*host) && !untouched.contains(host);
        for (host, seen) in self.plan.silent.iter().filter(|(host, _)| unsent(host)) {
            let (instance, verdict, report) = (None, Verdict::Silent, None);
            hosts.push(HostResult { host: host.clone(), instance, verdict, seen: *seen, report });
        }
        let unbuilt = self.plan.unbuilt.iter().cloned().collect();
        let left_out = self.plan.left_out.iter();
        let left_out = left_out.map(|(host, reason)| HostLeftOut::new(host, reason)).collect();
        Outcome { id: self.plan.id.clone(), hosts, untouched, stopped: self.stopped, unbuilt, left_out }
    }

    /// The plan that was sent.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether others may take the request than those that are counted: the subject was spelled out, and no host is
    /// known there, or two under one name.
    fn is_open(&self, parcel: &Parcel) -> bool {
        let now = Timestamp::now();
        let two = |host: &Name| self.fleet.hosts.get(host).is_some_and(|host| host.claimants(now).len() > 1);
        parcel.spelled && (parcel.hosts.is_empty() || parcel.hosts.keys().any(two))
    }

    fn is_settled(&self, host: &Name, target: &Target) -> bool {
        let deployment = self.fleet.deployments.get(&target.id);
        match deployment.and_then(|deployment| deployment.hosts.get(host)) {
            Some(jobs) => jobs.iter().all(|job| job.report.status.is_final()),
            None => target.given_up || self.nobody_took_it(),
        }
    }

    async fn post(
        &self,
        subject: &str,
        parcel: &Parcel,
        id: &Id,
        shift: SignedDuration,
    ) -> Result<(), LinkError> {
        let request = self.plan.request(parcel, id, Timestamp::now(), shift, self.timeout);
        let reply = request.reply_to.to_string();
        self.bus.publish_signed(Purpose::Request, subject, Some(&reply), request.encode()).await
    }

    /// A subject that reaches this one host of a parcel and no other.
    fn subject_of(&self, host: &Name, parcel: usize) -> Option<String> {
        let parcel = &self.plan.parcels[parcel];
        if !parcel.spelled {
            return Some(parcel.subject.clone());
        }
        own_subject(self.fleet.hosts.get(host)?)
    }

    fn on_refusal(&mut self, refusal: Refusal) -> Result<(), DeployError> {
        let ours = self.plan.parcels.iter().any(|parcel| parcel.subject == refusal.subject);
        if ours || refusal.subject == REPORTS {
            return Err(LinkError::Refused(refusal).into());
        }
        self.pending.push_back(Update::Note(refusal.to_string()));
        Ok(())
    }

    async fn on_message(&mut self, message: Result<Inbound, WireError>) -> Result<(), DeployError> {
        let now = Timestamp::now();
        let report = match message {
            Err(error) => {
                self.pending.push_back(Update::Note(format!("a message could not be read: {error}")));
                return Ok(());
            }
            Ok(Inbound::Report(report)) => Arc::new(*report),
            Ok(Inbound::Answer(_, Answer::Job(answer))) => match answer.report {
                Some(report) => report,
                None => return self.on_unknown(&answer.hostname).await,
            },
            Ok(mut other) => {
                // An announcement may come first and holds less: our own jobs are told by their reports alone.
                if let Inbound::Presence(answer) | Inbound::Answer(_, Answer::Host(answer)) = &mut other {
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
        self.voucher.look(&report);
        self.last_news = Instant::now();
        let Some(id) = report.id.clone() else { return Ok(()) };
        let target = self.targets.entry(report.hostname.clone()).or_insert_with(|| Target::new(id, None));
        if report.error == Some(ErrorCode::Expired)
            && let Some((parcel, ahead)) = target.may_send_again(&report, now)
            && let Some(subject) = self.subject_of(&report.hostname, parcel)
        {
            return self.send_again(&report.hostname, &subject, parcel, ahead).await;
        }
        if changed {
            self.pending.push_back(Update::Report(report));
        }
        Ok(())
    }

    fn is_ours(&self, id: &Id) -> bool {
        *id == self.plan.id || self.targets.values().any(|target| target.id == *id)
    }

    /// A host whose clock is wrong gets the request once more, with a new id and times by its own clock.
    async fn send_again(
        &mut self,
        host: &Name,
        subject: &str,
        parcel: usize,
        ahead: SignedDuration,
    ) -> Result<(), DeployError> {
        let id = fresh_id();
        self.post(subject, &self.plan.parcels[parcel], &id, ahead).await?;
        self.targets.insert(host.clone(), Target::sent_again(id.clone(), parcel));
        let by = target::spoken(ahead.unsigned_abs());
        let direction = if ahead.is_negative() { "behind" } else { "ahead of" };
        let note = format!("the clock of {host} is {by} {direction} ours; sent again by its clock");
        self.pending.push_back(Update::Again { host: host.clone(), id, note });
        Ok(())
    }
}
