//! The unread messages of a subscription, limited in number and in bytes.
//!
//! The client library only limits their number, and a message in its queue can keep a much larger connection buffer
//! alive. Therefore a task copies each message here as soon as it arrives.

use super::Capacity;
use super::connection_state::ConnectionState;
use crate::protocol::MAX_MESSAGE;
use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep_until};

/// The interval at which the number of dropped messages is updated.
const COUNT_INTERVAL: Duration = Duration::from_millis(100);
/// The maximum size of the headers of a message, in bytes. The headers of a signature have fewer than 300.
const MAX_HEADER_BYTES: usize = 4 * 1024;
/// The assumed cost of a message in addition to its payload, in bytes.
const OVERHEAD: usize = 256;

/// The unread messages of a subscription.
pub(super) struct Backlog {
    waiting: mpsc::Receiver<Message>,
    bytes: Arc<AtomicUsize>,
    marks: mpsc::Sender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Backlog {
    /// Creates a backlog. `subscribers` yields the subscription on each successive connection.
    pub(super) fn new(
        subscribers: UnboundedReceiver<Subscriber>,
        capacity: Capacity,
        state: Arc<watch::Sender<ConnectionState>>,
    ) -> Self {
        let (sender, waiting) = mpsc::channel(capacity.messages);
        let (marks, marks_in) = mpsc::channel(1);
        let bytes = Arc::new(AtomicUsize::new(0));
        let intake = Intake {
            sender,
            bytes: bytes.clone(),
            capacity: capacity.bytes,
            state,
            dropped: 0,
            too_large: 0,
            count_at: None,
        };
        let task = tokio::spawn(intake.run(subscribers, marks_in));
        Self { waiting, bytes, marks, task }
    }

    /// Returns the next message. Cancel safe.
    pub(super) async fn next(&mut self) -> Message {
        match self.waiting.recv().await {
            Some(message) => self.release(message),
            // Unreachable: the task holds the sender until this backlog is dropped.
            None => pending().await,
        }
    }

    /// Returns the next message if one is in the backlog.
    pub(super) fn try_next(&mut self) -> Option<Message> {
        let message = self.waiting.try_recv().ok()?;
        Some(self.release(message))
    }

    /// Waits until all messages that have arrived on the connection are in the backlog.
    pub(super) async fn catch_up(&self) {
        let (mark, passed) = oneshot::channel();
        // If the task has ended, no more messages arrive.
        if self.marks.send(mark).await.is_ok() {
            let _ = passed.await;
        }
    }

    /// Ends the subscription.
    pub(super) async fn unsubscribe(mut self) {
        self.task.abort();
        // The error is the cancellation. Dropping the task's subscriber unsubscribes.
        let _ = (&mut self.task).await;
    }

    fn release(&self, message: Message) -> Message {
        self.bytes.fetch_sub(message_cost(&message), Ordering::Relaxed);
        message
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn message_cost(message: &Message) -> usize {
    message.length.saturating_add(OVERHEAD)
}

/// Moves arriving messages into the backlog.
struct Intake {
    sender: mpsc::Sender<Message>,
    bytes: Arc<AtomicUsize>,
    /// The maximum size of all unread messages, in bytes.
    capacity: usize,
    state: Arc<watch::Sender<ConnectionState>>,
    /// Dropped messages that are not yet counted in the connection state.
    dropped: u64,
    too_large: u64,
    /// When the dropped messages are counted.
    count_at: Option<Instant>,
}

impl Intake {
    async fn run(
        mut self,
        mut subscribers: UnboundedReceiver<Subscriber>,
        mut marks: mpsc::Receiver<oneshot::Sender<()>>,
    ) {
        let mut source = None;
        loop {
            let count_at = self.count_at;
            let count = async move {
                match count_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // This task takes all arrived messages before it yields, so that none accumulate in the library.
            tokio::select! {
                message = unconstrained(next_message(&mut source, &mut subscribers)) => self.push(message),
                Some(mark) = marks.recv() => {
                    while let Some(message) =
                        unconstrained(next_message(&mut source, &mut subscribers)).now_or_never()
                    {
                        self.push(message);
                    }
                    // The receiver may have been dropped in the meantime.
                    let _ = mark.send(());
                }
                () = count => self.count(),
            }
        }
    }

    fn push(&mut self, mut message: Message) {
        let is_too_large =
            message.payload.len() > MAX_MESSAGE || message.length > MAX_MESSAGE + MAX_HEADER_BYTES;
        let cost = message_cost(&message);
        if is_too_large {
            self.too_large += 1;
        } else if self.bytes.fetch_add(cost, Ordering::Relaxed) + cost > self.capacity {
            self.bytes.fetch_sub(cost, Ordering::Relaxed);
            self.dropped += 1;
        } else {
            // A slice would keep the complete read buffer alive.
            message.payload = Bytes::copy_from_slice(&message.payload);
            if self.sender.try_send(message).is_ok() {
                return;
            }
            self.bytes.fetch_sub(cost, Ordering::Relaxed);
            self.dropped += 1;
        }
        self.count_at.get_or_insert_with(|| Instant::now() + COUNT_INTERVAL);
    }

    fn count(&mut self) {
        self.count_at = None;
        let (dropped, too_large) = (std::mem::take(&mut self.dropped), std::mem::take(&mut self.too_large));
        if dropped + too_large > 0 {
            self.state.send_modify(|state| {
                state.dropped += dropped;
                state.too_large += too_large;
            });
        }
    }
}

/// Returns the next message of a subscription across connections, in order of arrival. Cancel safe.
async fn next_message(
    source: &mut Option<Subscriber>,
    subscribers: &mut UnboundedReceiver<Subscriber>,
) -> Message {
    loop {
        let current = async {
            match source {
                Some(current) => current.next().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            Some(message) = current => return message,
            next = subscribers.recv() => match next {
                // The current one has ended, or the server had refused it.
                Some(next) => *source = Some(next),
                // The client has been dropped, and this task is about to be aborted.
                None => pending().await,
            },
        }
    }
}
