//! What is known of a deployment: what was heard of it, and what was sent from here.

use super::App;
use super::order::{Order, OrderState};
use crate::fleet::{Deployment, HostJob, Tally, natural, words};
use crate::protocol::{Action, Id, Name, Revision, Status};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// A deployment: heard of, sent from here, or both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) heard: Option<&'a Deployment>,
    pub(super) order: Option<&'a Order>,
    app: &'a App,
}

/// One host's part of a deployment: its name, and which of two that claim it.
pub type PartKey = (Name, usize);

/// What is known of one host's part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) host: &'a Name,
    twin: usize,
    pub(super) job: Option<&'a HostJob>,
    pub(super) state: PartState,
}

/// How one host's part stands, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PartState {
    Failed,
    Rejected,
    Running,
    /// It has fallen silent at work.
    Lost,
    /// It never answered.
    Silent,
    /// It may still answer.
    Waiting,
    /// Its wave was not sent, and will not be.
    Untouched,
    /// Its wave is still to come.
    ToCome,
    Completed,
}

impl<'a> Known<'a> {
    pub(super) fn of(app: &'a App, id: &Id) -> Option<Self> {
        let heard = app.fleet.deployments.get(id);
        let order = app.orders.iter().find(|order| order.plan.id == *id);
        (heard.is_some() || order.is_some()).then_some(Self { heard, order, app })
    }

    /// Every deployment: first what runs, then the newest.
    pub(super) fn all(app: &'a App) -> Vec<Id> {
        let mut known: Vec<_> = Self::each(app)
            .into_iter()
            .map(|(id, known)| (Reverse(known.is_under_way()), Reverse(known.begun()), Reverse(id)))
            .collect();
        known.sort_unstable();
        known.into_iter().map(|(_, _, Reverse(id))| id.clone()).collect()
    }

    /// How many run.
    pub(super) fn running(app: &'a App) -> usize {
        Self::each(app).iter().filter(|(_, known)| known.is_under_way()).count()
    }

    /// Every deployment that was heard of or sent from here.
    fn each(app: &'a App) -> Vec<(&'a Id, Self)> {
        let ours: HashMap<&Id, &Order> = app.orders.iter().map(|order| (&order.plan.id, order)).collect();
        let again: HashSet<&Id> = app.orders.iter().flat_map(|order| order.again.values()).collect();
        let heard = app.fleet.deployments.iter().map(|(id, heard)| (id, Some(heard), ours.get(id).copied()));
        let unheard = ours.iter().filter(|(id, _)| !app.fleet.deployments.contains_key(**id));
        let known = heard.chain(unheard.map(|(id, order)| (*id, None, Some(*order))));
        let known = known.map(|(id, heard, order)| (id, Self { heard, order, app }));
        // A part that was sent again belongs to the first.
        known.filter(|(id, known)| !again.contains(id) && known.makes_jobs()).collect()
    }

    pub(super) fn makes_jobs(&self) -> bool {
        match (self.heard, self.order) {
            (_, Some(order)) => order.plan.intent.action.makes_job(),
            (Some(heard), None) => heard.makes_jobs(),
            (None, None) => false,
        }
    }

    /// Whether a host works on it, or may yet begin.
    pub(super) fn is_under_way(&self) -> bool {
        let now = self.app.now;
        self.heard.is_some_and(|heard| heard.is_under_way(now))
            || self.order.is_some_and(|order| {
                if order.goes_on() {
                    return true;
                }
                let answered = self.heard.map_or(0, |heard| heard.hosts.len());
                answered < order.hosts.len() && order.may_begin(now)
            })
    }

    /// When it began; until it is heard of, when it was sent.
    pub(super) fn begun(&self) -> Timestamp {
        let heard = self.heard.map(|heard| heard.begun);
        heard.or(self.order.map(|order| order.sent)).unwrap_or(self.app.now)
    }

    pub(super) fn action(&self) -> Option<&'a Action> {
        let sent = self.order.map(|order| &order.plan.intent.action);
        sent.or(self.heard.and_then(|heard| heard.action.as_ref()))
    }

    pub(super) fn revision(&self) -> Option<&'a str> {
        let sent = self.order.and_then(|order| order.plan.intent.revision.as_ref());
        sent.map(Revision::as_str).or(self.heard.and_then(|heard| heard.revision.as_deref()))
    }

    pub(super) fn issuer(&self) -> Option<&'a str> {
        let sent = self.order.map(|order| order.plan.intent.issuer.as_str());
        sent.or(self.heard.and_then(|heard| heard.issuer.as_deref()))
    }

    /// Revision and short commit.
    pub(super) fn deploys(&self) -> String {
        words::label(self.revision(), self.heard.and_then(|heard| heard.commit.as_deref()))
    }

    /// How many hosts it has: those that were meant, where it was sent from here, and those that were heard of.
    pub(super) fn hosts(&self) -> usize {
        self.heard.map_or(0, |heard| heard.hosts.len()) + self.unheard().count()
    }

    /// The hosts that were meant and never answered.
    fn unheard(&self) -> impl Iterator<Item = &'a Name> {
        let heard = self.heard;
        let meant = self.order.map(|order| order.hosts.as_slice()).unwrap_or_default();
        meant.iter().filter(move |host| heard.is_none_or(|heard| !heard.hosts.contains_key(*host)))
    }

    /// How many hosts are how, how many have not answered, and how many nothing was sent to.
    pub(super) fn counts(&self) -> (Tally, usize, usize) {
        let unsent = |host: &&Name| self.order.is_some_and(|order| order.wave_to_come(host).is_some());
        let left = self.unheard().filter(unsent).count();
        let silent = self.unheard().count() - left;
        if self.order.is_none_or(|order| order.again.is_empty()) {
            return (self.heard.map(|heard| heard.tally).unwrap_or_default(), silent, left);
        }
        let mut tally = Tally::default();
        for job in self.parts().iter().filter_map(|part| part.job) {
            tally.add(&job.report.status);
        }
        (tally, silent, left)
    }

    /// Each host's part: first what failed, then what runs, then the others.
    pub(super) fn parts(&self) -> Vec<Part<'a>> {
        let mut parts = Vec::new();
        for (host, jobs) in self.heard.iter().flat_map(|heard| &heard.hosts) {
            let jobs = self.again(host).unwrap_or(jobs);
            parts.extend(jobs.iter().enumerate().map(|(twin, job)| self.part(host, twin, Some(job))));
        }
        parts.extend(self.unheard().map(|host| self.part(host, 0, None)));
        let by_name = |a: &Part<'_>, b: &Part<'_>| natural(a.host, b.host).then(a.twin.cmp(&b.twin));
        parts.sort_unstable_by(|a, b| a.state.cmp(&b.state).then_with(|| by_name(a, b)));
        parts
    }

    /// One host's part.
    pub(super) fn part_of(&self, (host, twin): &PartKey) -> Option<Part<'a>> {
        let Some((host, jobs)) = self.heard.and_then(|heard| heard.hosts.get_key_value(host)) else {
            let meant = &self.order?.hosts;
            let at = meant.binary_search(host).ok()?;
            return Some(self.part(&meant[at], 0, None));
        };
        let jobs = self.again(host).unwrap_or(jobs);
        jobs.get(*twin).map(|job| self.part(host, *twin, Some(job)))
    }

    /// The jobs of a host that got it once more.
    fn again(&self, host: &Name) -> Option<&'a Vec<HostJob>> {
        let id = self.order?.again.get(host)?;
        self.app.fleet.deployments.get(id)?.hosts.get(host)
    }

    fn part(&self, host: &'a Name, twin: usize, job: Option<&'a HostJob>) -> Part<'a> {
        let now = self.app.now;
        let unsent = self.order.is_some_and(|order| order.wave_to_come(host).is_some());
        let state = match job.map(|job| (&job.report.status, job)) {
            None if unsent && self.order.is_some_and(Order::goes_on) => PartState::ToCome,
            None if unsent => PartState::Untouched,
            None if self.order.is_some_and(|order| order.may_begin(now)) => PartState::Waiting,
            None => PartState::Silent,
            Some((Status::Completed, _)) => PartState::Completed,
            Some((Status::Failed, _)) => PartState::Failed,
            Some((Status::Rejected, _)) => PartState::Rejected,
            Some((_, job)) if job.is_overdue(now) => PartState::Lost,
            Some(_) => PartState::Running,
        };
        Part { host, twin, job, state }
    }

    /// Why it is not followed.
    pub(super) fn trouble(&self) -> Option<&'a str> {
        match &self.order?.state {
            OrderState::Failed(reason) => Some(reason),
            OrderState::Open | OrderState::Ended => None,
        }
    }
}

impl Part<'_> {
    pub(super) fn key(&self) -> PartKey {
        (self.host.clone(), self.twin)
    }
}
