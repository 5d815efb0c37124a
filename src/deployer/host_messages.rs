//! Messages of hosts as they arrive, each checked for who has sent it.

use super::KnownHosts;
use super::known_hosts::MessageTrust;
use crate::bus::{Bus, LinkError, Received};
use crate::protocol::{Answer, HostAnswer, Inbound, Name, WireError};
use futures_util::stream::{SelectAll, unfold};
use futures_util::{FutureExt, Stream, StreamExt};
use std::collections::VecDeque;
use std::pin::Pin;
use tokio::task::coop::unconstrained;

/// A message of a host, or why it cannot be read.
pub(super) type Message = Result<Inbound, WireError>;

/// What arrives on some subjects. Messages that are not proven are left out, unless they are allowed; what is known of who
/// sends comes as [`Inbound::Identity`].
pub(super) struct HostMessages {
    known: KnownHosts,
    fleet: Option<Name>,
    received: SelectAll<Pin<Box<dyn Stream<Item = Received<Message>> + Send + Sync>>>,
    pending: VecDeque<Message>,
    /// Whether [`HostMessages::ready`] has passed over an early message.
    is_early: bool,
}

/// What arrived.
pub(super) enum Arrival {
    /// A message.
    Message(Message),
    /// A message of a host whose key is not known yet: it should be asked.
    Early,
    /// The server says that no client has taken our message.
    NotTaken,
}

impl HostMessages {
    /// Subscribes to these subjects.
    pub(super) async fn open(
        bus: &Bus,
        known: &KnownHosts,
        subjects: impl IntoIterator<Item = &str>,
    ) -> Result<Self, LinkError> {
        let mut received = SelectAll::new();
        for subject in subjects {
            let messages = bus.subscribe(subject, Inbound::parse).await?;
            received.push(Box::pin(messages.stream()) as Pin<Box<dyn Stream<Item = _> + Send + Sync>>);
        }
        let (known, fleet) = (known.clone(), bus.fleet().cloned());
        Ok(Self { known, fleet, received, pending: VecDeque::new(), is_early: false })
    }

    /// The next thing that arrives. Cancel safe.
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

    /// All messages to come.
    pub(super) fn stream(self) -> impl Stream<Item = Message> {
        unfold(self, async |mut messages| {
            loop {
                if let Arrival::Message(message) = messages.next().await {
                    return Some((message, messages));
                }
            }
        })
    }

    /// The next message if it has already arrived.
    pub(super) fn ready(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.pending.pop_front() {
                return Some(message);
            }
            // The runtime would say that nothing is there once a task has had its share.
            let received = unconstrained(self.received.next()).now_or_never()??;
            match self.check(received) {
                Some(Arrival::Message(message)) => return Some(message),
                Some(Arrival::Early) => self.is_early = true,
                Some(Arrival::NotTaken) | None => {}
            }
        }
    }

    /// Whether an early message was passed over since this was last asked.
    pub(super) fn take_early(&mut self) -> bool {
        std::mem::take(&mut self.is_early)
    }

    fn check(&mut self, received: Received<Message>) -> Option<Arrival> {
        let message = match &received.message {
            None => return Some(Arrival::NotTaken),
            // What cannot be read names no host, so no signature can be looked at.
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

/// What a message says of its host, if that is what it is about.
fn host_answer(message: &Inbound) -> Option<&HostAnswer> {
    match message {
        Inbound::Presence(answer) | Inbound::Answer(_, Answer::Host(answer)) => Some(answer),
        _ => None,
    }
}
