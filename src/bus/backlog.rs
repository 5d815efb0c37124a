//! The messages of one subscription that wait to be read, bounded in number and in bytes.
//!
//! The client library bounds their number only, and a message there can keep a buffer of the connection alive that is much
//! larger than itself. So a task moves each message here as soon as it arrives.

use super::Capacity;
use super::link::Link;
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

/// The pause between two updates of the number of dropped messages.
const COUNT_PAUSE: Duration = Duration::from_millis(100);
/// The most that headers may add to a message, in bytes: those of a signature have fewer than 300.
const MAX_HEADERS: usize = 4 * 1024;
/// What a message costs beside its payload, in bytes.
const OVERHEAD: usize = 256;

/// Messages that wait to be read.
pub(super) struct Backlog {
    waiting: mpsc::Receiver<Message>,
    bytes: Arc<AtomicUsize>,
    marks: mpsc::Sender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Backlog {
    /// `subscribers` brings the subscription on each connection, one after the other.
    pub(super) fn new(
        subscribers: UnboundedReceiver<Subscriber>,
        capacity: Capacity,
        link: Arc<watch::Sender<Link>>,
    ) -> Self {
        let (sender, waiting) = mpsc::channel(capacity.messages);
        let (marks, marks_in) = mpsc::channel(1);
        let bytes = Arc::new(AtomicUsize::new(0));
        let intake = Intake {
            sender,
            bytes: bytes.clone(),
            capacity: capacity.bytes,
            link,
            dropped: 0,
            too_large: 0,
            count_at: None,
        };
        let task = tokio::spawn(intake.run(subscribers, marks_in));
        Self { waiting, bytes, marks, task }
    }

    /// The next message. Cancel safe.
    pub(super) async fn next(&mut self) -> Message {
        match self.waiting.recv().await {
            Some(message) => self.taken(message),
            // Cannot be: the task ends with this alone.
            None => pending().await,
        }
    }

    /// The next message that is already here.
    pub(super) fn ready(&mut self) -> Option<Message> {
        let message = self.waiting.try_recv().ok()?;
        Some(self.taken(message))
    }

    /// Waits until everything is here that has arrived on the connection by now.
    pub(super) async fn catch_up(&self) {
        let (mark, passed) = oneshot::channel();
        // Without the task nothing more arrives.
        if self.marks.send(mark).await.is_ok() {
            let _ = passed.await;
        }
    }

    /// Ends the subscription.
    pub(super) async fn end(mut self) {
        self.task.abort();
        // It fails because the task was aborted: with it the library unsubscribes.
        let _ = (&mut self.task).await;
    }

    fn taken(&self, message: Message) -> Message {
        self.bytes.fetch_sub(cost(&message), Ordering::Relaxed);
        message
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn cost(message: &Message) -> usize {
    message.length.saturating_add(OVERHEAD)
}

/// Takes messages in as they arrive.
struct Intake {
    sender: mpsc::Sender<Message>,
    bytes: Arc<AtomicUsize>,
    /// How many bytes may wait.
    capacity: usize,
    link: Arc<watch::Sender<Link>>,
    /// Dropped messages that the link does not count yet.
    dropped: u64,
    too_large: u64,
    /// When it counts them.
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
            // All that has arrived is taken before this task yields, so that nothing piles up in the library.
            tokio::select! {
                message = unconstrained(next_of(&mut source, &mut subscribers)) => self.put(message),
                Some(mark) = marks.recv() => {
                    while let Some(message) =
                        unconstrained(next_of(&mut source, &mut subscribers)).now_or_never()
                    {
                        self.put(message);
                    }
                    // Whoever waited may have given up.
                    let _ = mark.send(());
                }
                () = count => self.count(),
            }
        }
    }

    fn put(&mut self, mut message: Message) {
        let is_too_large = message.payload.len() > MAX_MESSAGE || message.length > MAX_MESSAGE + MAX_HEADERS;
        let cost = cost(&message);
        if is_too_large {
            self.too_large += 1;
        } else if self.bytes.fetch_add(cost, Ordering::Relaxed) + cost > self.capacity {
            self.bytes.fetch_sub(cost, Ordering::Relaxed);
            self.dropped += 1;
        } else {
            // A slice would keep all of the buffer that it was read into.
            message.payload = Bytes::copy_from_slice(&message.payload);
            if self.sender.try_send(message).is_ok() {
                return;
            }
            self.bytes.fetch_sub(cost, Ordering::Relaxed);
            self.dropped += 1;
        }
        self.count_at.get_or_insert_with(|| Instant::now() + COUNT_PAUSE);
    }

    fn count(&mut self) {
        self.count_at = None;
        let (dropped, too_large) = (std::mem::take(&mut self.dropped), std::mem::take(&mut self.too_large));
        if dropped + too_large > 0 {
            self.link.send_modify(|link| {
                link.dropped += dropped;
                link.too_large += too_large;
            });
        }
    }
}

/// The next message of a subscription that goes on with the next connection. What arrived before comes first. Cancel safe.
async fn next_of(
    source: &mut Option<Subscriber>,
    subscribers: &mut UnboundedReceiver<Subscriber>,
) -> Message {
    loop {
        if let Some(current) = source
            && let Some(message) = current.next().await
        {
            return message;
        }
        *source = None;
        match subscribers.recv().await {
            Some(next) => *source = Some(next),
            // The connection is given up, and with it this task ends.
            None => pending().await,
        }
    }
}
