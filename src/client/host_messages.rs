//! Subscriptions to messages of hosts, with a check of the sender.

use super::KnownHosts;
use super::known_hosts::MessageTrust;
use crate::nats::{Client, NatsError, Received};
use crate::protocol::{Inbound, Name, Presence, QueryReply, WireError};
use futures_util::stream::{SelectAll, unfold};
use futures_util::{FutureExt, Stream, StreamExt};
use std::collections::VecDeque;
use std::pin::Pin;
use tokio::task::coop::unconstrained;

/// A message of a host, or why it is unreadable.
pub(super) type Message = Result<Inbound, WireError>;

/// Messages that arrive on some subjects. Messages that are neither proven nor allowed are skipped; changes in what is
/// known about a sender arrive as [`Inbound::Identity`].
pub(super) struct HostMessages {
    known: KnownHosts,
    fleet: Option<Name>,
    received: SelectAll<Pin<Box<dyn Stream<Item = Received<Message>> + Send + Sync>>>,
    pending: VecDeque<Message>,
    /// Whether [`HostMessages::try_next`] has skipped an early message.
    is_early: bool,
}

/// What arrived on a subscription.
pub(super) enum Arrival {
    /// A message of a host, or one that is unreadable.
    Message(Message),
    /// A message from a host whose key is not known yet: the host should be queried.
    Early,
    /// The server's notice that no client received our message.
    NoResponders,
}

impl HostMessages {
    /// Subscribes to `subjects`.
    pub(super) async fn open(
        nats: &Client,
        known: &KnownHosts,
        subjects: impl IntoIterator<Item = &str>,
    ) -> Result<Self, NatsError> {
        let mut received = SelectAll::new();
        for subject in subjects {
            let messages = nats.subscribe(subject, Inbound::parse).await?;
            received.push(Box::pin(messages.stream()) as Pin<Box<dyn Stream<Item = _> + Send + Sync>>);
        }
        let (known, fleet) = (known.clone(), nats.fleet().cloned());
        Ok(Self { known, fleet, received, pending: VecDeque::new(), is_early: false })
    }

    /// The next arrival. Cancel safe.
    pub(super) async fn next(&mut self) -> Arrival {
        loop {
            if let Some(message) = self.pending.pop_front() {
                return Arrival::Message(message);
            }
            // Subscriptions never end.
            let received = self.received.select_next_some().await;
            if let Some(arrival) = self.check(received) {
                return arrival;
            }
        }
    }

    /// All further messages, as a stream.
    pub(super) fn stream(self) -> impl Stream<Item = Message> {
        unfold(self, async |mut messages| {
            loop {
                if let Arrival::Message(message) = messages.next().await {
                    return Some((message, messages));
                }
            }
        })
    }

    /// The next message, if it has already arrived.
    pub(super) fn try_next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.pending.pop_front() {
                return Some(message);
            }
            // Without `unconstrained`, tokio's cooperative budget would report `Pending` although a message has
            // arrived.
            let received = unconstrained(self.received.next()).now_or_never()??;
            match self.check(received) {
                Some(Arrival::Message(message)) => return Some(message),
                Some(Arrival::Early) => self.is_early = true,
                Some(Arrival::NoResponders) | None => {}
            }
        }
    }

    /// Whether an early message was skipped since the last call.
    pub(super) fn take_early(&mut self) -> bool {
        std::mem::take(&mut self.is_early)
    }

    fn check(&mut self, received: Received<Message>) -> Option<Arrival> {
        let message = match &received.message {
            None => return Some(Arrival::NoResponders),
            // An unreadable message names no host, so its signature cannot be checked.
            Some(Err(_)) if !self.known.allows_unproven() => return None,
            Some(Err(error)) => return Some(Arrival::Message(Err(error.clone()))),
            Some(Ok(message)) => message,
        };
        let (admission, changed) =
            self.known.check(self.fleet.as_ref(), &received, message.hostname(), host_answer(message));
        let admitted = admission.is_used().then_some(received.message).flatten();
        match (changed, admitted) {
            (Some(changed), admitted) => {
                self.pending.extend(admitted);
                Some(Arrival::Message(Ok(changed)))
            }
            (None, Some(message)) => Some(Arrival::Message(message)),
            (None, None) => (admission == MessageTrust::Early).then_some(Arrival::Early),
        }
    }
}

/// The presence that a message contains, if any.
fn host_answer(message: &Inbound) -> Option<&Presence> {
    match message {
        Inbound::Presence(answer) | Inbound::Reply(_, QueryReply::Host(answer)) => Some(answer),
        _ => None,
    }
}
