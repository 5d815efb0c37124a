//! A deployment that was sent from here.

use crate::deployer::Plan;
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
    /// When its last wave was sent; until the first is, when that was asked for.
    pub sent: Timestamp,
    /// Hosts whose clocks are wrong, which got it once more under another id.
    pub again: BTreeMap<Name, Id>,
    /// How it stands.
    pub state: OrderState,
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
    pub(super) fn new(plan: Plan, sent: Timestamp) -> Self {
        let hosts = plan.hosts().into_keys().cloned().collect();
        Self { plan, hosts, sent, again: BTreeMap::new(), state: OrderState::Open }
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
