//! What is known of a deployment: the reports that were received, and what this console sent.

use super::sent_deployment::{SentDeployment, SentDeploymentState};
use super::{App, Context, KeyCommand, Tone};
use crate::fleet::{
    Deployment, FailureGroup, HostJob, KnownRollout, StatusCounts, describe, failure_groups, host_share,
    natural_cmp,
};
use crate::protocol::{Action, Id, Name, Revision, RolloutState, Status};
use crate::text::{format, printable};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// A deployment that was reported, sent by this console, or announced as a rollout.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownDeployment<'a> {
    pub(super) reported: Option<&'a Deployment>,
    pub(super) sent: Option<&'a SentDeployment>,
    pub(super) rollout: Option<&'a KnownRollout>,
    app: &'a App,
}

/// Identifies a host of a deployment: its name, and an index if several hosts claim that name.
pub type DeploymentHostKey = (Name, usize);

/// A host of a deployment.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeploymentHost<'a> {
    pub(super) host: &'a Name,
    /// The index of its job, if several hosts claim its name.
    pub(super) index: usize,
    pub(super) job: Option<&'a HostJob>,
    pub(super) state: DeploymentHostState,
}

/// State of a host in a deployment, in display order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DeploymentHostState {
    Failed,
    Rejected,
    Running,
    /// An operator cancelled the job.
    Cancelled,
    /// No more reports arrived while the job was running.
    Unknown,
    /// The host did not answer in time.
    NoAnswer,
    /// The host has not answered yet.
    Waiting,
    /// The batch of the host was not sent and will not be sent.
    NotStarted,
    /// The batch of the host is sent later.
    Pending,
    Completed,
}

impl<'a> KnownDeployment<'a> {
    pub(super) fn of(app: &'a App, id: &Id) -> Option<Self> {
        let reported = app.fleet.deployments.get(id);
        let sent = app.sent_deployments.iter().find(|sent| sent.plan.id == *id);
        let rollout = app.rollouts.get(id);
        (reported.is_some() || sent.is_some() || rollout.is_some()).then_some(Self {
            reported,
            sent,
            rollout,
            app,
        })
    }

    /// All deployments: interrupted ones first, then running ones, then the newest.
    pub(super) fn all(app: &'a App) -> Vec<Id> {
        let mut known: Vec<_> = Self::each(app)
            .into_iter()
            .map(|(id, known)| {
                let urgency = (Reverse(known.is_lost()), Reverse(known.is_under_way()));
                (urgency, Reverse(known.started_at()), Reverse(id))
            })
            .collect();
        known.sort_unstable();
        known.into_iter().map(|(_, _, Reverse(id))| id.clone()).collect()
    }

    /// The running deployments.
    pub(super) fn running(app: &'a App) -> Vec<(&'a Id, Self)> {
        let mut known = Self::each(app);
        known.retain(|(_, known)| known.is_under_way());
        known
    }

    /// The part of the deployment that is done on all of its hosts, in thousandths.
    pub(super) fn share(&self) -> u64 {
        let mut done = self.reported.map_or(0, |reported| reported.done);
        for host in self.sent.iter().flat_map(|sent| sent.resent.keys()) {
            let first = self.reported.and_then(|reported| reported.hosts.get(host));
            if let (Some(first), Some(resent)) = (first, self.resent_jobs(host)) {
                done = done - host_share(first) + host_share(resent);
            }
        }
        done / u64::try_from(self.hosts().max(1)).unwrap_or(u64::MAX)
    }

    /// All deployments that were reported or sent by this console.
    fn each(app: &'a App) -> Vec<(&'a Id, Self)> {
        let sent_from_here: HashMap<&Id, &SentDeployment> =
            app.sent_deployments.iter().map(|sent| (&sent.plan.id, sent)).collect();
        let resent: HashSet<&Id> =
            app.sent_deployments.iter().flat_map(|sent| sent.resent.values()).collect();
        let reported = app
            .fleet
            .deployments
            .iter()
            .map(|(id, reported)| (id, Some(reported), sent_from_here.get(id).copied()));
        let unreported = sent_from_here.iter().filter(|(id, _)| !app.fleet.deployments.contains_key(**id));
        let announced = app
            .rollouts
            .iter()
            .map(|(id, _)| id)
            .filter(|id| !app.fleet.deployments.contains_key(*id) && !sent_from_here.contains_key(id));
        let known = reported
            .chain(unreported.map(|(id, sent)| (*id, None, Some(*sent))))
            .chain(announced.map(|id| (id, None, None)));
        let known = known
            .map(|(id, reported, sent)| (id, Self { reported, sent, rollout: app.rollouts.get(id), app }));
        // A request that was sent again to one host belongs to the first deployment.
        known.filter(|(id, known)| !resent.contains(id) && known.creates_jobs()).collect()
    }

    pub(super) fn creates_jobs(&self) -> bool {
        match (self.reported, self.sent) {
            (_, Some(sent)) => sent.plan.intent.action.creates_job(),
            (Some(reported), None) => reported.creates_jobs(),
            (None, None) => self.rollout.is_some_and(|rollout| rollout.status.action.creates_job()),
        }
    }

    /// Whether a host runs a job of the deployment, or can still start one.
    pub(super) fn is_under_way(&self) -> bool {
        let now = self.app.now;
        self.reported.is_some_and(|reported| reported.is_running(now))
            || self.has_unsent_batches()
            || self.sent.is_some_and(|sent| {
                let answered = self.reported.map_or(0, |reported| reported.hosts.len());
                answered < sent.hosts.len() && sent.may_start(now)
            })
    }

    /// When the first report arrived; before that, when the deployment was sent.
    pub(super) fn started_at(&self) -> Timestamp {
        let reported = self.reported.map(|reported| reported.started_at);
        let announced = || self.rollout.map(|rollout| rollout.status.started_at);
        reported.or(self.sent.map(|sent| sent.sent_at)).or_else(announced).unwrap_or(self.app.now)
    }

    /// Short title, such as `switch main`.
    pub(super) fn title(&self) -> String {
        let words = [self.action().map(Action::as_str), self.revision()];
        let words: Vec<_> = words.into_iter().flatten().map(printable).collect();
        if words.is_empty() { "a deployment".to_owned() } else { words.join(" ") }
    }

    /// The rollouts whose process has died.
    pub(super) fn interrupted(app: &'a App) -> Vec<(&'a Id, Self)> {
        let mut known = Self::each(app);
        known.retain(|(_, known)| known.is_lost());
        known
    }

    /// The deployments that have batches left to send.
    pub(super) fn open_rollouts(app: &'a App) -> Vec<Id> {
        let open = Self::each(app).into_iter().filter(|(_, known)| known.has_unsent_batches());
        open.map(|(id, _)| id.clone()).collect()
    }

    /// Whether more batches will be sent, as far as is known.
    pub(super) fn has_unsent_batches(&self) -> bool {
        match (self.rollout, self.sent) {
            (_, Some(sent)) if matches!(sent.state, SentDeploymentState::Failed(_)) => false,
            (Some(rollout), _) => rollout.is_open() && !self.is_lost(),
            (None, Some(sent)) => sent.has_unsent_batches(),
            (None, None) => false,
        }
    }

    /// Whether the process that runs the rollout has probably ended. Our own processes cannot be lost.
    pub(super) fn is_lost(&self) -> bool {
        let is_here = self.sent.is_some_and(|sent| sent.state == SentDeploymentState::Active);
        let is_lost = |rollout: &KnownRollout| {
            (self.app.connection.up || rollout.is_interrupted) && rollout.is_lost(self.app.now)
        };
        !is_here && self.rollout.is_some_and(is_lost)
    }

    /// Whether an interrupted rollout can be continued here: this machine ran it and has its state.
    pub(super) fn can_resume(&self) -> bool {
        let options = &self.app.options;
        let is_ours = |rollout: &KnownRollout| {
            rollout.is_interrupted || rollout.status.issuer.as_deref() == Some(options.issuer.as_str())
        };
        options.rollout_directory.is_some() && self.rollout.is_some_and(is_ours)
    }

    /// Number of the last sent batch and of all batches, if there are several.
    pub(super) fn batch(&self) -> Option<(usize, usize)> {
        if let Some(sent) = self.sent.filter(|sent| sent.state != SentDeploymentState::HandedOver) {
            return sent.batch();
        }
        let status = &self.rollout?.status;
        Some((usize::try_from(status.sent_batches).ok()?, usize::try_from(status.batch_count()).ok()?))
    }

    /// Batch of a host, from 0.
    pub(super) fn batch_of(&self, host: &Name) -> Option<usize> {
        match self.sent {
            Some(sent) => sent.batch_of(host),
            None => usize::try_from(self.rollout?.batch_of(host)?).ok(),
        }
    }

    /// The kind of a batch, from 0.
    pub(super) fn batch_kind(&self, batch: usize) -> Option<&'a str> {
        match self.sent {
            Some(sent) => sent.plan.rollout.batches().get(batch).map(|batch| batch.kind.into()),
            None => self.rollout?.status.kind_of(u64::try_from(batch).ok()?),
        }
    }

    /// Number of the host's batch, from 1, and of all batches, if that batch was not sent yet.
    pub(super) fn pending_batch(&self, host: &Name) -> Option<(usize, usize)> {
        if let Some(sent) = self.sent.filter(|sent| sent.state != SentDeploymentState::HandedOver) {
            return Some((sent.pending_batch(host)?, sent.plan.rollout.batches().len()));
        }
        let rollout = self.rollout.filter(|rollout| rollout.is_unsent(host))?;
        let batch = usize::try_from(rollout.batch_of(host)?).ok()?;
        Some((batch + 1, usize::try_from(rollout.status.batch_count()).ok()?))
    }

    /// Whether a key that controls a deployment has an effect.
    pub(super) fn takes(&self, command: KeyCommand) -> bool {
        let is_held = self.rollout.is_some_and(KnownRollout::is_held);
        match command {
            KeyCommand::Undo => {
                let changes = |action: &Action| [Action::Switch, Action::Boot, Action::Test].contains(action);
                self.counts().0.completed > 0 && self.action().is_some_and(changes)
            }
            KeyCommand::Cancel => self.is_under_way(),
            KeyCommand::Continue if self.is_lost() => self.can_resume(),
            KeyCommand::Abort if self.is_lost() => true,
            KeyCommand::Pause => self.has_unsent_batches() && !is_held,
            KeyCommand::Continue => self.has_unsent_batches() && is_held,
            _ => self.has_unsent_batches(),
        }
    }

    /// Why no further batch is sent, and what is not sent.
    pub(super) fn rollout_line(&self) -> Option<(Tone, String)> {
        let stopped = self.sent.and_then(|sent| sent.stopped);
        let Some(rollout) = self.rollout else {
            return stopped.map(|stopped| (Tone::Warn, format!("no further batch was sent: {stopped}")));
        };
        let reason = rollout.status.reason.as_deref().map(printable).unwrap_or_default();
        let key = |command| self.app.options.keys.name(Context::Deployment, command);
        let next = format!("{} continues, {} aborts", key(KeyCommand::Continue), key(KeyCommand::Abort));
        if self.is_lost() {
            let silence = format::age(rollout.last_heard, self.app.now);
            let unsent: Vec<_> = rollout.unsent().into_iter().take(30).map(Name::as_str).collect();
            let unsent = unsent.join(", ");
            let next = if self.can_resume() {
                next
            } else {
                format!("{} deploys to the rest", key(KeyCommand::Deploy))
            };
            let text = format!(
                "interrupted: the process that ran it is gone, silent for {silence}; {next}; not sent: {unsent}"
            );
            return Some((Tone::Bad, text));
        }
        match rollout.status.state {
            RolloutState::Paused => Some((Tone::Warn, format!("{reason}; {next}"))),
            RolloutState::Stopped => Some((Tone::Bad, format!("stopped: {reason}; {next}"))),
            RolloutState::Ended => Some((Tone::Warn, format!("no further batch was sent: {reason}"))),
            _ => None,
        }
    }

    pub(super) fn action(&self) -> Option<&'a Action> {
        let sent = self.sent.map(|sent| &sent.plan.intent.action);
        sent.or(self.reported.and_then(|reported| reported.action.as_ref()))
            .or(self.rollout.map(|rollout| &rollout.status.action))
    }

    pub(super) fn revision(&self) -> Option<&'a str> {
        let sent = self.sent.and_then(|sent| sent.plan.intent.revision.as_ref());
        sent.map(Revision::as_str)
            .or(self.reported.and_then(|reported| reported.revision.as_deref()))
            .or(self.rollout.and_then(|rollout| rollout.status.revision.as_deref()))
    }

    pub(super) fn issuer(&self) -> Option<&'a str> {
        let sent = self.sent.map(|sent| sent.plan.intent.issuer.as_str());
        sent.or(self.reported.and_then(|reported| reported.issuer.as_deref()))
            .or(self.rollout.and_then(|rollout| rollout.status.issuer.as_deref()))
    }

    /// Revision and short commit.
    pub(super) fn revision_label(&self) -> String {
        let reported = self.reported.and_then(|reported| reported.commit.as_deref());
        let announced = self.rollout.and_then(|rollout| rollout.status.commit.as_deref());
        describe::revision_label(self.revision(), reported.or(announced))
    }

    /// Number of hosts: those that reported, and the targets of this console that did not.
    pub(super) fn hosts(&self) -> usize {
        self.reported.map_or(0, |reported| reported.hosts.len()) + self.unreported().count()
    }

    /// The targets without a report.
    fn unreported(&self) -> impl Iterator<Item = &'a Name> {
        let reported = self.reported;
        let target_hosts = self.sent.map(|sent| sent.hosts.as_slice()).unwrap_or_default();
        let announced = self.rollout.filter(|_| self.sent.is_none());
        target_hosts
            .iter()
            .chain(announced.into_iter().flat_map(KnownRollout::hosts))
            .filter(move |host| reported.is_none_or(|reported| !reported.hosts.contains_key(*host)))
    }

    /// Number of hosts per status, as far as they have reported under the deployment's id.
    pub(super) fn counts_reported(&self) -> StatusCounts {
        self.reported.map(|reported| reported.counts).unwrap_or_default()
    }

    /// Number of hosts per status, of hosts without an answer, and of hosts whose batch was not sent.
    pub(super) fn counts(&self) -> (StatusCounts, usize, usize) {
        let unsent = |host: &&Name| self.pending_batch(host).is_some();
        let unsent_count = self.unreported().filter(unsent).count();
        let no_answer = self.unreported().count() - unsent_count;
        if self.sent.is_none_or(|sent| sent.resent.is_empty()) {
            return (
                self.reported.map(|reported| reported.counts).unwrap_or_default(),
                no_answer,
                unsent_count,
            );
        }
        let mut counts = StatusCounts::default();
        for job in self.host_entries().iter().filter_map(|entry| entry.job) {
            counts.add(&job.report);
        }
        (counts, no_answer, unsent_count)
    }

    /// A number that changes with the failures.
    pub(super) fn failure_changes(&self) -> u64 {
        let changes = |reported: &Deployment| reported.failures.changes();
        let resent = self.sent.into_iter().flat_map(|sent| sent.resent.values());
        // The first report of a request that was sent again replaces the rejection.
        let resent =
            resent.filter_map(|id| self.app.fleet.deployments.get(id)).map(|resent| 1 + changes(resent));
        self.reported.map_or(0, changes) + resent.sum::<u64>()
    }

    /// The failures by cause, the largest group first.
    pub(super) fn failure_groups(&self) -> Vec<FailureGroup> {
        match self.reported {
            Some(reported) if self.sent.is_none_or(|sent| sent.resent.is_empty()) => reported.failures.all(),
            _ => failure_groups(self.host_entries().iter().filter_map(|entry| Some(&*entry.job?.report))),
        }
    }

    /// The hosts: failed ones first, then running ones, then the others.
    pub(super) fn host_entries(&self) -> Vec<DeploymentHost<'a>> {
        let mut host_entries = Vec::new();
        for (host, jobs) in self.reported.iter().flat_map(|reported| &reported.hosts) {
            let jobs = self.resent_jobs(host).unwrap_or(jobs);
            host_entries
                .extend(jobs.iter().enumerate().map(|(index, job)| self.entry(host, index, Some(job))));
        }
        host_entries.extend(self.unreported().map(|host| self.entry(host, 0, None)));
        let by_name = |a: &DeploymentHost<'_>, b: &DeploymentHost<'_>| {
            natural_cmp(a.host, b.host).then(a.index.cmp(&b.index))
        };
        host_entries.sort_unstable_by(|a, b| a.state.cmp(&b.state).then_with(|| by_name(a, b)));
        host_entries
    }

    /// One host, if it is part of the deployment.
    pub(super) fn host_entry(&self, (host, index): &DeploymentHostKey) -> Option<DeploymentHost<'a>> {
        let Some((host, jobs)) = self.reported.and_then(|reported| reported.hosts.get_key_value(host)) else {
            let target = match self.sent {
                Some(sent) => &sent.hosts[sent.hosts.binary_search(host).ok()?],
                None => self.rollout?.host(host)?,
            };
            return Some(self.entry(target, 0, None));
        };
        let jobs = self.resent_jobs(host).unwrap_or(jobs);
        jobs.get(*index).map(|job| self.entry(host, *index, Some(job)))
    }

    /// The jobs of a host that received the request again under another id.
    fn resent_jobs(&self, host: &Name) -> Option<&'a Vec<HostJob>> {
        let id = self.sent?.resent.get(host)?;
        self.app.fleet.deployments.get(id)?.hosts.get(host)
    }

    fn entry(&self, host: &'a Name, index: usize, job: Option<&'a HostJob>) -> DeploymentHost<'a> {
        let now = self.app.now;
        let unsent = self.pending_batch(host).is_some();
        let state = match job.map(|job| (&job.report.status, job)) {
            None if unsent && self.has_unsent_batches() => DeploymentHostState::Pending,
            None if unsent => DeploymentHostState::NotStarted,
            None if self.sent.is_some_and(|sent| sent.may_start(now)) => DeploymentHostState::Waiting,
            None => DeploymentHostState::NoAnswer,
            Some((Status::Completed, _)) => DeploymentHostState::Completed,
            Some((_, job)) if job.report.is_cancelled() => DeploymentHostState::Cancelled,
            Some((Status::Failed, _)) => DeploymentHostState::Failed,
            Some((Status::Rejected, _)) => DeploymentHostState::Rejected,
            Some((_, job)) if job.is_overdue(now) => DeploymentHostState::Unknown,
            Some(_) => DeploymentHostState::Running,
        };
        DeploymentHost { host, index, job, state }
    }

    /// Why the deployment was not sent or can no longer be followed.
    pub(super) fn failure_reason(&self) -> Option<&'a str> {
        match &self.sent?.state {
            SentDeploymentState::Failed(reason) => Some(reason),
            SentDeploymentState::Active | SentDeploymentState::Finished | SentDeploymentState::HandedOver => {
                None
            }
        }
    }
}

impl DeploymentHost<'_> {
    pub(super) fn key(&self) -> DeploymentHostKey {
        (self.host.clone(), self.index)
    }
}
