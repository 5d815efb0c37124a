//! The builds of one repository: one runs, others wait in the order in which they came. Pure data.

use super::order::{Order, Wanted};
use super::stage::Stage;
use crate::nix::Locked;
use crate::protocol::Id;
use std::collections::VecDeque;

/// The running build and all who wait for it; the first is whose build it is.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) wanted: Wanted,
    pub(super) orders: Vec<Order>,
    pub(super) stage: Stage,
}

/// The builds of one repository.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) running: Option<Running>,
    /// Builds that wait, each with those who wait for it; the first is whose build it is.
    waiting: VecDeque<Vec<Order>>,
}

impl Lane {
    /// Takes an order at the end of the line.
    pub(super) fn add(&mut self, order: Order) {
        self.waiting.push_back(vec![order]);
    }

    /// The commit of an order is known now: where that is built already, or will be, it joins. Gives it as it stands.
    pub(super) fn lock(&mut self, id: &Id, locked: Locked) -> Option<&mut Order> {
        let at = self.waiting.iter().position(|group| group.iter().any(|order| order.id() == id))?;
        // It waits alone: only what is locked joins.
        let order = self.waiting[at].first_mut()?;
        order.record.commit.clone_from(&locked.commit);
        order.locked = Some(locked);
        let wanted = order.wanted()?;
        let covers = |group: &Vec<Order>| {
            let leader = group.first().and_then(Order::wanted);
            leader.is_some_and(|leader| leader.covers(&wanted))
        };
        if self.running.as_ref().is_some_and(|running| running.wanted.covers(&wanted)) {
            let order = self.waiting.remove(at)?.pop()?;
            let orders = &mut self.running.as_mut()?.orders;
            orders.push(order);
            return orders.last_mut();
        }
        let other = (0..self.waiting.len()).find(|other| *other != at && covers(&self.waiting[*other]));
        let Some(other) = other else { return self.waiting[at].first_mut() };
        let order = self.waiting.remove(at)?.pop()?;
        let other = if other > at { other - 1 } else { other };
        self.waiting[other].push(order);
        self.waiting[other].last_mut()
    }

    /// Takes an order out that waits.
    pub(super) fn remove(&mut self, id: &Id) -> Option<Order> {
        let at = self.waiting.iter().position(|group| group.iter().any(|order| order.id() == id))?;
        let group = &mut self.waiting[at];
        let order = group.remove(group.iter().position(|order| order.id() == id)?);
        if group.is_empty() {
            self.waiting.remove(at);
        }
        Some(order)
    }

    /// Begins the next build where none runs and it is known what it is.
    pub(super) fn begin(&mut self) -> Option<&Running> {
        if self.running.is_some() {
            return None;
        }
        let wanted = self.waiting.front()?.first()?.wanted()?;
        let orders = self.waiting.pop_front()?;
        self.running = Some(Running { wanted, orders, stage: Stage::default() });
        self.running.as_ref()
    }

    /// Every order that has not ended.
    pub(super) fn orders(&self) -> impl Iterator<Item = &Order> {
        self.running.iter().flat_map(|running| &running.orders).chain(self.waiting())
    }

    /// The orders that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Order> {
        self.waiting.iter().flatten()
    }

    /// The same, to be changed.
    pub(super) fn waiting_mut(&mut self) -> impl Iterator<Item = &mut Order> {
        self.waiting.iter_mut().flatten()
    }
}
