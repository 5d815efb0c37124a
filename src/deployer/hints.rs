//! What a watch hears of single hosts, for whoever follows their logs beside it: the server need not send it twice, and
//! what a whole fleet tells at once waits in no second place.

use super::log::Messages;
use crate::protocol::{Inbound, Name, WireError};
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// How many messages of one host may wait. One that is lost costs time only: a log is asked for ever and again.
const ROOM: usize = 64;

struct Listener {
    host: Name,
    into: mpsc::Sender<Inbound>,
}

/// Where the reports and announcements of a host can be heard, as long as the watch lives.
#[derive(Clone)]
pub struct Hints(UnboundedSender<Listener>);

/// The end of the watch.
pub(super) struct Teller {
    hints: Hints,
    coming: UnboundedReceiver<Listener>,
    listeners: Vec<Listener>,
}

impl Hints {
    /// What is heard of this host from now on.
    pub(super) fn of(&self, host: Name) -> Messages {
        let (into, mut heard) = mpsc::channel(ROOM);
        // Where the watch is gone nothing is heard any more.
        let _ = self.0.send(Listener { host, into });
        let heard = poll_fn(move |context| heard.poll_recv(context));
        Messages::from_iter([heard.map(Ok).boxed()])
    }
}

impl Teller {
    pub(super) fn new() -> Self {
        let (sender, coming) = mpsc::unbounded_channel();
        Self { hints: Hints(sender), coming, listeners: Vec::new() }
    }

    pub(super) fn hints(&self) -> Hints {
        self.hints.clone()
    }

    pub(super) fn tell(&mut self, messages: &[Result<Inbound, WireError>]) {
        self.listeners.retain(|listener| !listener.into.is_closed());
        while let Ok(listener) = self.coming.try_recv() {
            self.listeners.push(listener);
        }
        for listener in &self.listeners {
            for message in messages.iter().flatten().filter(|message| *message.hostname() == listener.host) {
                let _ = listener.into.try_send(message.clone());
            }
        }
    }
}
