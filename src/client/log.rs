//! Follows the log of one job on one host: stored log and live lines, joined without gaps.

mod poll;
mod splice;

pub use splice::LogSplicer;

use super::host_messages::{HostMessages, Message};
use super::operator::fresh_id;
use super::{KnownHosts, MessageTap};
use crate::nats::{Client, ConnectionState, NatsError, PermissionViolation};
use crate::protocol::{
    DISCOVER, Id, Inbound, LogLine, LogReply, Name, PRESENCE, Purpose, Query, QueryKind, QueryReply, ReplyTo,
    log_subject, per_host_reply_subject, per_host_report_subject, report_subject,
};
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use poll::LogPoll;
use std::future::pending;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep_until;

/// An offset past the end of every log, to query its length. Every JSON parser represents this number exactly.
const BEYOND_END: u64 = (1 << 53) - 1;

pub(super) type Messages = SelectAll<BoxStream<'static, Message>>;

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// At this byte; 0 is the first.
    From(u64),
    /// At the first line that starts within the last `n` bytes, or within a line if none does.
    Last(u64),
}

/// An event of a followed log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// The next piece of text; it starts where the previous one ended.
    Text {
        /// Offset of the piece in the log, in bytes.
        offset: u64,
        /// The text, never empty. It is unfiltered and may contain escape sequences.
        text: String,
    },
    /// The host has no such log. No more events follow.
    Missing,
    /// The host did not reply within 2 s: it is offline, or its listener is too old to store logs. Emitted once until
    /// it replies. The query is repeated after a reconnect, on presence, on a live line, and every 15 s.
    NoAnswer,
    /// A silent host replies again and has no new text.
    Recovered,
    /// The job has ended and its log is complete, or the stored part is complete if only that was requested. No more
    /// events follow.
    End,
}

/// How long a log is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FollowUntil {
    /// Until the end of the job.
    End,
    /// Until the end of what is stored at present.
    Now,
}

/// Follows a log.
pub struct LogFollower {
    nats: Client,
    host: Name,
    job: Id,
    start: LogStart,
    answers_to: ReplyTo,
    messages: Messages,
    violations: broadcast::Receiver<PermissionViolation>,
    connection: watch::Receiver<ConnectionState>,
    connects: u64,
    poll: LogPoll,
    /// Length of the stored log at the first reply that reached its end.
    stored_len: Option<u64>,
    /// `None` until the start offset is known.
    splicer: Option<LogSplicer>,
    /// Whether the text starts one byte early, to detect whether a line starts right after it.
    skip_partial_line: bool,
    silent: bool,
    until: FollowUntil,
    pending: Option<LogEvent>,
    is_finished: bool,
}

impl LogFollower {
    /// Subscribes to all messages about the log of `job` on `host`. Waits for the connection if it is down. The host
    /// must have accepted the job, because it has no log before that.
    pub async fn open(
        nats: Client,
        known: &KnownHosts,
        host: Name,
        job: Id,
        start: LogStart,
    ) -> Result<Self, NatsError> {
        let violations = nats.permission_violations();
        // The final report shows that the log is complete, a presence message that the host is back.
        let subjects = [report_subject(&job), per_host_report_subject(&job), PRESENCE.to_owned()];
        let message_tap = subscribe(&nats, known, subjects).await?;
        Self::subscribe_with(nats, known, violations, host, job, start, message_tap).await
    }

    /// Like [`LogFollower::open`], but takes the host's messages from an existing watch.
    pub async fn open_with_tap(
        message_tap: &MessageTap,
        nats: Client,
        known: &KnownHosts,
        host: Name,
        job: Id,
        start: LogStart,
    ) -> Result<Self, NatsError> {
        let violations = nats.permission_violations();
        let message_tap = message_tap.subscribe(host.clone());
        Self::subscribe_with(nats, known, violations, host, job, start, message_tap).await
    }

    async fn subscribe_with(
        nats: Client,
        known: &KnownHosts,
        violations: broadcast::Receiver<PermissionViolation>,
        host: Name,
        job: Id,
        start: LogStart,
        message_tap: Messages,
    ) -> Result<Self, NatsError> {
        let answers_to = ReplyTo::replies(fresh_id());
        let subjects =
            [log_subject(&job, &host), answers_to.to_string(), per_host_reply_subject(answers_to.id())];
        let mut messages = subscribe(&nats, known, subjects).await?;
        messages.extend(message_tap);
        let connection = nats.connection_state();
        let connects = connection.borrow().connects;
        Ok(Self {
            nats,
            host,
            job,
            start,
            answers_to,
            messages,
            violations,
            connection,
            connects,
            poll: LogPoll::new(),
            stored_len: None,
            splicer: match start {
                LogStart::From(byte) => Some(LogSplicer::new(byte)),
                LogStart::Last(_) => None,
            },
            skip_partial_line: false,
            silent: false,
            until: FollowUntil::End,
            pending: None,
            is_finished: false,
        })
    }

    /// Ends at the end of the stored log even if the job is still running.
    #[must_use]
    pub fn until_now(self) -> Self {
        Self { until: FollowUntil::Now, ..self }
    }

    /// The next event; `None` after [`LogEvent::End`], [`LogEvent::Missing`] or an error, which is a permission
    /// violation. A lost connection is not an error. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<LogEvent, NatsError>> {
        loop {
            if let Some(event) = self.text().or_else(|| self.pending.take()) {
                return Some(Ok(event));
            }
            if self.is_finished {
                return None;
            }
            if let Err(error) = self.step().await {
                self.is_finished = true;
                return Some(Err(error));
            }
        }
    }

    /// Length of the stored log, in bytes, at the first reply that reached its end; later text arrived live. `None`
    /// until then.
    pub fn stored_len(&self) -> Option<u64> {
        self.stored_len
    }

    async fn step(&mut self) -> Result<(), NatsError> {
        let connection = self.connection.borrow().clone();
        if connection.up && self.poll.is_due() {
            return self.send_poll(connection.connects).await;
        }
        let deadline = self.poll.deadline();
        let deadline = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Ok(violation) = self.violations.recv() => return self.on_violation(violation),
            // An unreadable message is not for this follower, or the next query repeats its content.
            received = self.messages.select_next_some() => if let Ok(message) = received {
                self.on_message(message);
            },
            Ok(()) = self.connection.changed() => {
                let connection = self.connection.borrow_and_update();
                if connection.up && connection.connects != self.connects {
                    self.connects = connection.connects;
                    self.poll.set_due();
                }
            }
            () = deadline => self.on_deadline(),
        }
        Ok(())
    }

    /// Queries the next part of the log, over connection number `connects`.
    async fn send_poll(&mut self, connects: u64) -> Result<(), NatsError> {
        let mut query = Query::new(self.answers_to.clone());
        (query.query, query.id, query.hosts) =
            (Some(QueryKind::Log), Some(self.job.clone()), vec![self.host.clone()]);
        query.offset = Some(self.splicer.as_ref().map_or(BEYOND_END, LogSplicer::end));
        query.reply_per_host = Some(true);
        match self.nats.publish_signed(Purpose::Query, DISCOVER, None, query.encode()).await {
            // The query is sent again after the reconnect.
            Err(NatsError::Disconnected { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                self.poll.on_sent();
                self.connects = connects;
                Ok(())
            }
        }
    }

    fn on_violation(&self, violation: PermissionViolation) -> Result<(), NatsError> {
        let needed = [log_subject(&self.job, &self.host), self.answers_to.to_string(), DISCOVER.to_owned()];
        if needed.contains(&violation.subject) {
            Err(NatsError::PermissionViolation(violation))
        } else {
            Ok(())
        }
    }

    /// The text that is ready, if any.
    fn text(&mut self) -> Option<LogEvent> {
        let (mut offset, mut text) = self.splicer.as_mut()?.take()?;
        if std::mem::take(&mut self.skip_partial_line) {
            let line = text.find('\n').unwrap_or_else(|| text.ceil_char_boundary(1) - 1);
            offset += line as u64 + 1;
            text.drain(..=line);
        }
        (!text.is_empty()).then_some(LogEvent::Text { offset, text })
    }

    fn on_message(&mut self, message: Inbound) {
        if *message.hostname() != self.host {
            return;
        }
        match message {
            Inbound::Log(line) if line.id == self.job => self.on_line(line),
            Inbound::Report(report) if report.id.as_ref() == Some(&self.job) && report.status.is_final() => {
                self.poll.request();
            }
            Inbound::Presence(answer) if answer.online != Some(false) => self.on_presence(),
            Inbound::Reply(id, answer) if id == *self.answers_to.id() => match answer {
                QueryReply::Log(answer) if answer.id.as_ref() == Some(&self.job) => self.on_answer(answer),
                QueryReply::Host(_) => self.on_no_answer(),
                _ => {}
            },
            _ => {}
        }
    }

    /// Repeats the query of a host that is back: it may have missed the last one.
    fn on_presence(&mut self) {
        if self.silent || self.poll.is_pending() {
            self.poll.set_due();
        }
    }

    fn on_line(&mut self, line: LogLine) {
        let mut gap = false;
        // Without a splicer, the start offset is still unknown; the next query returns this line.
        if let Some(splicer) = &mut self.splicer {
            splicer.add(line.offset, line.text);
            gap = splicer.gap().is_some();
        }
        // The reply to a pending query shows whether the gap remains.
        if (gap && !self.poll.is_pending()) || self.silent {
            self.poll.request();
        }
    }

    fn on_answer(&mut self, answer: LogReply) {
        let was_silent = std::mem::take(&mut self.silent);
        let Some(offset) = answer.offset else {
            self.finish(LogEvent::Missing);
            return;
        };
        let text = answer.text.unwrap_or_default();
        let end = offset.saturating_add(text.len() as u64);
        if answer.eof {
            self.stored_len.get_or_insert(end);
        }
        let Some(splicer) = &mut self.splicer else {
            self.start_at(end);
            self.pending = was_silent.then_some(LogEvent::Recovered);
            return;
        };
        let known = splicer.end();
        splicer.add(offset, text);
        let more = splicer.end() > known && !answer.eof;
        let is_complete = splicer.gap().is_none();
        let is_last_poll = !answer.running || self.until == FollowUntil::Now;
        if answer.eof && is_last_poll && splicer.end() >= end {
            self.finish(LogEvent::End);
        } else {
            if was_silent && splicer.end() == known {
                self.pending = Some(LogEvent::Recovered);
            }
            self.poll.on_reply(more, is_complete);
        }
    }

    /// Sets the start offset once the length of the log is known.
    fn start_at(&mut self, length: u64) {
        let start = match self.start {
            LogStart::From(byte) => byte,
            LogStart::Last(bytes) => length.saturating_sub(bytes),
        };
        self.skip_partial_line = start > 0;
        self.splicer = Some(LogSplicer::new(start.saturating_sub(1)));
        self.poll.set_due();
    }

    fn on_deadline(&mut self) {
        if self.poll.is_pending() && self.connection.borrow().up {
            self.on_no_answer();
        } else {
            self.poll.set_due();
        }
    }

    fn on_no_answer(&mut self) {
        if !self.silent {
            self.silent = true;
            self.pending = Some(LogEvent::NoAnswer);
        }
        self.poll.on_timeout();
    }

    fn finish(&mut self, event: LogEvent) {
        self.pending = Some(event);
        self.is_finished = true;
    }
}

async fn subscribe<const N: usize>(
    nats: &Client,
    known: &KnownHosts,
    subjects: [String; N],
) -> Result<Messages, NatsError> {
    let messages = HostMessages::open(nats, known, subjects.iter().map(String::as_str)).await?;
    Ok(Messages::from_iter([messages.stream().boxed()]))
}
