//! A deployment that was sent from here.

use crate::deployer::{Intent, Plan, Stopped};
use crate::protocol::{Id, Name};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// How many are remembered, where so many have ended.
const KEPT: usize = 100;
/// How long after it was sent a host may still begin.
const EXPIRY: SignedDuration = SignedDuration::from_secs(60);

/// A deployment that was sent from here.
#[derive(Debug)]
pub struct Order {
    /// What was sent.
    pub plan: Plan,
    /// Its hosts, by name.
    pub hosts: Vec<Name>,
    /// The wave of each of these hosts, from 0.
    waves: Vec<usize>,
    /// When its last wave was sent; until the first is, when that was asked for.
    pub sent: Timestamp,
    /// Hosts whose clocks are wrong, which got it once more under another id.
    pub again: BTreeMap<Name, Id>,
    /// How it stands.
    pub state: OrderState,
    /// Why its waves stopped before the last.
    pub stopped: Option<Stopped>,
}

/// How an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// It is followed.
    Open,
    /// Every host has its verdict or was given up.
    Ended,
    /// It was not sent, or it cannot be followed any more, and why.
    Failed(String),
}

impl Order {
    pub(super) fn new(mut plan: Plan, sent: Timestamp) -> Self {
        let hosts: Vec<_> = plan.hosts().into_keys().cloned().collect();
        let mut waves = vec![0; hosts.len()];
        for (at, wave) in plan.rollout.waves().iter().enumerate() {
            for host in plan.hosts_of(wave) {
                hosts.binary_search(&host).into_iter().for_each(|host| waves[host] = at);
            }
        }
        if plan.rollout.waves().len() < 2 {
            // Nobody tells of a wave that is all.
            plan.rollout.send();
        }
        let (again, state, stopped) = (BTreeMap::new(), OrderState::Open, None);
        Self { plan, hosts, waves, sent, again, state, stopped }
    }

    /// What it does, and where: `switch main on 3 hosts`.
    pub(super) fn title(&self) -> String {
        let Intent { action, revision, generation, .. } = &self.plan.intent;
        let revision = revision.as_ref().map(|revision| format!(" {revision}")).unwrap_or_default();
        let generation =
            generation.map(|generation| format!(" to generation {generation}")).unwrap_or_default();
        match &self.hosts[..] {
            [host] => format!("{action}{revision}{generation} on {host}"),
            hosts => format!("{action}{revision}{generation} on {} hosts", hosts.len()),
        }
    }

    /// The wave of a host, from 1, where it was not sent yet.
    pub fn wave_to_come(&self, host: &Name) -> Option<usize> {
        let wave = self.waves[self.hosts.binary_search(host).ok()?];
        (wave >= self.plan.rollout.sent()).then_some(wave + 1)
    }

    /// Whether waves are left that will be sent.
    pub fn goes_on(&self) -> bool {
        self.state == OrderState::Open && self.plan.rollout.sent() < self.plan.rollout.waves().len()
    }

    /// Which wave was sent last, and of how many, where there are several.
    pub fn wave(&self) -> Option<(usize, usize)> {
        let (sent, waves) = (self.plan.rollout.sent(), self.plan.rollout.waves().len());
        (waves > 1).then_some((sent, waves))
    }

    /// Notes that so many waves were sent, the last of them now.
    pub(super) fn sent(&mut self, waves: usize, now: Timestamp) {
        while self.plan.rollout.sent() < waves {
            self.plan.rollout.send();
        }
        self.sent = now;
    }

    /// Whether a host that has not answered may yet do so.
    pub fn may_begin(&self, now: Timestamp) -> bool {
        self.state == OrderState::Open && now.duration_since(self.sent) <= EXPIRY
    }

    /// Whether a deployment is this one, or a part of it that was sent again.
    pub fn is(&self, id: &Id) -> bool {
        self.plan.id == *id || self.again.values().any(|again| again == id)
    }
}

/// Remembers an order. Those that have ended make room.
pub(super) fn remember(orders: &mut VecDeque<Order>, order: Order) {
    if orders.len() >= KEPT
        && let Some(at) = orders.iter().position(|order| order.state != OrderState::Open)
    {
        orders.remove(at);
    }
    orders.push_back(order);
}
