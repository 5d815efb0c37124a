//! Follows the log of one job on one host: what is kept there and what comes live, joined without a gap.

mod hear;
mod join;
mod question;

pub use join::Joiner;

use super::host_messages::{HostMessages, Message};
use super::operator::fresh_id;
use super::{Hints, KnownHosts};
use crate::bus::{Bus, Link, LinkError, Refusal};
use crate::protocol::{
    Ask, DISCOVER, Id, Name, PRESENCE, Purpose, ReplyTo, Want, of_answers_per_host, of_log, of_report,
    of_reports_per_host,
};
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use question::Question;
use std::future::pending;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep_until;

/// Past the end of every log, which tells its length; every reader of JSON holds this number exactly.
const PAST_THE_END: u64 = (1 << 53) - 1;

pub(super) type Messages = SelectAll<BoxStream<'static, Message>>;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// With this byte: 0 is the first.
    From(u64),
    /// With the first line that begins within the last so many bytes; where no line ends there, within that line.
    Last(u64),
}

/// News of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogNews {
    /// The next piece; it begins where the one before has ended.
    Text {
        /// Where it begins in the log, in bytes.
        offset: u64,
        /// The text, never empty. It is as the program wrote it: escape sequences and all.
        text: String,
    },
    /// The host keeps no such log; there is no more to come.
    Missing,
    /// The host did not answer within 2 s: it is away, or its listener is too old to keep logs. Told once until it does
    /// answer. It is asked again when the link returns, when it announces itself or a live line arrives, and every 15 s.
    Silent,
    /// A host that was silent answers again, and has nothing new to tell.
    Back,
    /// The job has ended and its whole log has been told, or its present part where no more was wanted; there is no
    /// more to come.
    End,
}

/// How long a log is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// To the end of its job.
    End,
    /// To what is there at present.
    Now,
}

/// A log that is followed.
pub struct LogFollow {
    bus: Bus,
    host: Name,
    job: Id,
    start: LogStart,
    answers_to: ReplyTo,
    messages: Messages,
    refusals: broadcast::Receiver<Refusal>,
    link: watch::Receiver<Link>,
    connects: u64,
    question: Question,
    /// How much was there when the host first told its end.
    kept: Option<u64>,
    /// None until it is known where the text begins.
    joiner: Option<Joiner>,
    /// Whether the text to come begins one byte early, to see whether a line begins after that.
    within_line: bool,
    silent: bool,
    until: Until,
    pending: Option<LogNews>,
    over: bool,
}

impl LogFollow {
    /// Subscribes to all that may tell of the log of `job` on `host`. Where the link is down it waits for it. The host
    /// must have accepted the job: before that it keeps no such log.
    pub async fn open(
        bus: Bus,
        known: &KnownHosts,
        host: Name,
        job: Id,
        start: LogStart,
    ) -> Result<Self, LinkError> {
        let refusals = bus.refusals();
        // The verdict tells that the log has ended, an announcement that the host is back.
        let subjects = [of_report(&job), of_reports_per_host(&job), PRESENCE.to_owned()];
        let hints = hear(&bus, known, subjects).await?;
        Self::hearing(bus, known, refusals, host, job, start, hints).await
    }

    /// As [`LogFollow::open`], beside a watch that hears of the host anyway.
    pub async fn beside(
        hints: &Hints,
        bus: Bus,
        known: &KnownHosts,
        host: Name,
        job: Id,
        start: LogStart,
    ) -> Result<Self, LinkError> {
        let refusals = bus.refusals();
        let hints = hints.of(host.clone());
        Self::hearing(bus, known, refusals, host, job, start, hints).await
    }

    async fn hearing(
        bus: Bus,
        known: &KnownHosts,
        refusals: broadcast::Receiver<Refusal>,
        host: Name,
        job: Id,
        start: LogStart,
        hints: Messages,
    ) -> Result<Self, LinkError> {
        let answers_to = ReplyTo::answers(fresh_id());
        let subjects = [of_log(&job, &host), answers_to.to_string(), of_answers_per_host(answers_to.id())];
        let mut messages = hear(&bus, known, subjects).await?;
        messages.extend(hints);
        let link = bus.link();
        let connects = link.borrow().connects;
        Ok(Self {
            bus,
            host,
            job,
            start,
            answers_to,
            messages,
            refusals,
            link,
            connects,
            question: Question::new(),
            kept: None,
            joiner: match start {
                LogStart::From(byte) => Some(Joiner::new(byte)),
                LogStart::Last(_) => None,
            },
            within_line: false,
            silent: false,
            until: Until::End,
            pending: None,
            over: false,
        })
    }

    /// Ends with what is there at present, also where the job goes on.
    #[must_use]
    pub fn until_now(self) -> Self {
        Self { until: Until::Now, ..self }
    }

    /// The next news; `None` after [`LogNews::End`], [`LogNews::Missing`] or an error: a refused subject. A
    /// lost link is none. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<LogNews, LinkError>> {
        loop {
            if let Some(news) = self.text().or_else(|| self.pending.take()) {
                return Some(Ok(news));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.step().await {
                self.over = true;
                return Some(Err(error));
            }
        }
    }

    /// How much of the log there was when the host was first heard to have told it all, in bytes: what lies behind that
    /// came live. `None` until then.
    pub fn kept(&self) -> Option<u64> {
        self.kept
    }

    async fn step(&mut self) -> Result<(), LinkError> {
        let link = self.link.borrow().clone();
        if link.up && self.question.is_due() {
            return self.ask(link.connects).await;
        }
        let alarm = self.question.alarm();
        let alarm = async {
            match alarm {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Ok(refusal) = self.refusals.recv() => return self.on_refusal(refusal),
            // What cannot be read is for others, or is asked for again.
            received = self.messages.select_next_some() => if let Ok(message) = received {
                self.on_message(message);
            },
            Ok(()) = self.link.changed() => {
                let link = self.link.borrow_and_update();
                if link.up && link.connects != self.connects {
                    self.connects = link.connects;
                    self.question.pass();
                }
            }
            () = alarm => self.on_alarm(),
        }
        Ok(())
    }

    /// Asks for what comes next, over the connection of this number.
    async fn ask(&mut self, connects: u64) -> Result<(), LinkError> {
        let mut ask = Ask::new(self.answers_to.clone());
        (ask.want, ask.id, ask.hosts) = (Some(Want::Log), Some(self.job.clone()), vec![self.host.clone()]);
        ask.offset = Some(self.joiner.as_ref().map_or(PAST_THE_END, Joiner::end));
        ask.reply_per_host = Some(true);
        match self.bus.publish_signed(Purpose::Query, DISCOVER, None, ask.encode()).await {
            // Coming back asks again.
            Err(LinkError::Down { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                self.question.asked();
                self.connects = connects;
                Ok(())
            }
        }
    }

    fn on_refusal(&self, refusal: Refusal) -> Result<(), LinkError> {
        let needed = [of_log(&self.job, &self.host), self.answers_to.to_string(), DISCOVER.to_owned()];
        if needed.contains(&refusal.subject) { Err(LinkError::Refused(refusal)) } else { Ok(()) }
    }

    /// What can be told of the text.
    fn text(&mut self) -> Option<LogNews> {
        let (mut offset, mut text) = self.joiner.as_mut()?.take()?;
        if std::mem::take(&mut self.within_line) {
            let line = text.find('\n').unwrap_or_else(|| text.ceil_char_boundary(1) - 1);
            offset += line as u64 + 1;
            text.drain(..=line);
        }
        (!text.is_empty()).then_some(LogNews::Text { offset, text })
    }
}

async fn hear<const N: usize>(
    bus: &Bus,
    known: &KnownHosts,
    subjects: [String; N],
) -> Result<Messages, LinkError> {
    let messages = HostMessages::open(bus, known, subjects.iter().map(String::as_str)).await?;
    Ok(Messages::from_iter([messages.stream().boxed()]))
}
