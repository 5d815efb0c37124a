//! Messages of single hosts from an existing watch, for log followers: the server does not send them twice, and
//! messages of the whole fleet are not queued a second time.

use super::log::Messages;
use crate::protocol::{Inbound, Name, WireError};
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Maximum number of queued messages per host. A lost message only costs time, because logs are queried regularly.
const CAPACITY: usize = 64;

struct TapSubscriber {
    host: Name,
    sender: mpsc::Sender<Inbound>,
}

/// Source of the reports and presence messages of a host, as long as the watch exists.
#[derive(Clone)]
pub struct MessageTap(UnboundedSender<TapSubscriber>);

/// The watch's side of a [`MessageTap`].
pub(super) struct MessageFanout {
    message_tap: MessageTap,
    new_subscribers: UnboundedReceiver<TapSubscriber>,
    subscribers: Vec<TapSubscriber>,
}

impl MessageTap {
    /// The messages of this host from now on.
    pub(super) fn subscribe(&self, host: Name) -> Messages {
        let (sender, mut messages) = mpsc::channel(CAPACITY);
        // If the watch is gone, no messages arrive.
        let _ = self.0.send(TapSubscriber { host, sender });
        let messages = poll_fn(move |context| messages.poll_recv(context));
        Messages::from_iter([messages.map(Ok).boxed()])
    }
}

impl MessageFanout {
    pub(super) fn new() -> Self {
        let (sender, new_subscribers) = mpsc::unbounded_channel();
        Self { message_tap: MessageTap(sender), new_subscribers, subscribers: Vec::new() }
    }

    pub(super) fn message_tap(&self) -> MessageTap {
        self.message_tap.clone()
    }

    pub(super) fn send(&mut self, messages: &[Result<Inbound, WireError>]) {
        self.subscribers.retain(|subscriber| !subscriber.sender.is_closed());
        while let Ok(subscriber) = self.new_subscribers.try_recv() {
            self.subscribers.push(subscriber);
        }
        for subscriber in &self.subscribers {
            for message in messages.iter().flatten().filter(|message| *message.hostname() == subscriber.host)
            {
                let _ = subscriber.sender.try_send(message.clone());
            }
        }
    }
}
