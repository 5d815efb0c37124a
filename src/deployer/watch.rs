//! The fleet as it moves: reports of every operator, presence, and what hosts answer to a slow re-ask.

use super::hints::Teller;
use super::host_messages::{Arrival, HostMessages, Message};
use super::operator::fresh_id;
use super::vouch::Voucher;
use super::{Hints, KnownHosts, Operator, Roster};
use crate::bus::{Bus, Link, LinkError, Received, Refusal, Subscription};
use crate::protocol::{
    Answer, Ask, BUILD_REPORTS, BuildReport, DISCOVER, Id, Inbound, Purpose, REPORTS, REPORTS_PER_HOST,
    ReplyTo, WireError, of_answers_per_host,
};
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

/// The pause between two questions to everybody, which catch what presence missed.
const ASK_AGAIN: Duration = Duration::from_mins(1);
/// The shortest pause between two questions because of hosts whose keys are not known yet.
const EARLY: Duration = Duration::from_secs(3);
/// The pause before asking for what was lost.
const LOST: Duration = Duration::from_secs(1);
/// How many messages are handed on at once.
const BATCH: usize = 512;

/// News of the fleet.
#[derive(Debug)]
pub enum News {
    /// Messages in the order they came.
    Messages(Vec<Message>),
    /// The link changed.
    Link(Link),
    /// The server refused a subject.
    Refused(Refusal),
    /// The builder reported.
    Build(Box<(Id, BuildReport)>),
    /// The server lets this key hear nothing of builds.
    NoBuilds,
}

/// Everything that moves, from now on.
pub struct Watch {
    bus: Bus,
    messages: HostMessages,
    known: KnownHosts,
    builds: Subscription<Result<BuildReport, WireError>>,
    answers_to: ReplyTo,
    link: watch::Receiver<Link>,
    refusals: broadcast::Receiver<Refusal>,
    /// Who was ever seen.
    roster: Roster,
    teller: Teller,
    voucher: Voucher,
    /// How often the link had come about, and what it had dropped, when we last looked.
    connects: u64,
    dropped: u64,
    ask_at: Instant,
    asked_at: Instant,
}

impl Operator {
    /// Watches the fleet. Works on a connection that is not up yet, and through every loss of it. The watch keeps the
    /// roster from now on.
    pub async fn watch(&mut self) -> Result<Watch, LinkError> {
        // First, so that no refusal of what follows is missed.
        let refusals = self.bus.refusals();
        let answers_to = ReplyTo::answers(fresh_id());
        let subjects = [
            REPORTS.to_owned(),
            REPORTS_PER_HOST.to_owned(),
            answers_to.to_string(),
            of_answers_per_host(answers_to.id()),
        ];
        let mut link = self.bus.link();
        link.mark_changed();
        self.roster.begin_query();
        Ok(Watch {
            bus: self.bus.clone(),
            messages: HostMessages::open(&self.bus, &self.known, subjects.iter().map(String::as_str)).await?,
            known: self.known.clone(),
            builds: self.bus.subscribe(BUILD_REPORTS, |_, payload| BuildReport::parse(payload)).await?,
            answers_to,
            link,
            refusals,
            roster: std::mem::take(&mut self.roster),
            teller: Teller::new(),
            voucher: Voucher::new(self.bus.clone()),
            connects: 0,
            dropped: 0,
            ask_at: Instant::now() + ASK_AGAIN,
            asked_at: Instant::now(),
        })
    }
}

/// The report of a build, with its id.
fn build_of(received: Received<Result<BuildReport, WireError>>) -> Option<(Id, BuildReport)> {
    let report = received.message?.ok()?;
    Some((report.id_on(&received.subject)?, report))
}

impl Watch {
    /// The next news. Asks everybody as soon as the link is up, a
    /// minute later, and whenever something was lost.
    pub async fn next(&mut self) -> News {
        loop {
            let first = tokio::select! {
                biased;
                Ok(refusal) = self.refusals.recv() => return match refusal.subject.as_str() {
                    // A key that has nothing to do with builds is as good as any.
                    BUILD_REPORTS => News::NoBuilds,
                    _ => News::Refused(refusal),
                },
                Ok(()) = self.link.changed() => return News::Link(self.on_link().await),
                () = sleep_until(self.ask_at) => {
                    self.ask().await;
                    continue;
                }
                received = self.builds.next() => match build_of(received) {
                    Some(build) => return News::Build(Box::new(build)),
                    None => continue,
                },
                arrival = self.messages.next() => match arrival {
                    Arrival::Message(message) => message,
                    Arrival::Early => {
                        self.ask_soon();
                        continue;
                    }
                    Arrival::NotTaken => continue,
                },
            };
            let mut messages = vec![first];
            while messages.len() < BATCH
                && let Some(message) = self.messages.ready()
            {
                messages.push(message);
            }
            if self.messages.take_early() {
                self.ask_soon();
            }
            self.note(&messages);
            self.teller.tell(&messages);
            return News::Messages(messages);
        }
    }

    /// Who was ever seen, as of now.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Where what it hears of single hosts can be heard too.
    pub fn hints(&self) -> Hints {
        self.teller.hints()
    }

    async fn on_link(&mut self) -> Link {
        let link = self.link.borrow_and_update().clone();
        if link.up && link.connects != self.connects {
            self.ask().await;
        } else if link.dropped != self.dropped {
            // Whoever reads too slowly is not helped by a flood of answers at once.
            self.ask_at = self.ask_at.min(Instant::now() + LOST);
        }
        (self.connects, self.dropped) = (link.connects, link.dropped);
        link
    }

    /// Asks for hosts whose keys are not known yet, but not all the time: anyone can announce a host.
    fn ask_soon(&mut self) {
        let soon = (Instant::now() + LOST).max(self.asked_at + EARLY);
        self.ask_at = self.ask_at.min(soon);
    }

    async fn ask(&mut self) {
        self.asked_at = Instant::now();
        self.ask_at = self.asked_at + ASK_AGAIN;
        // While the link is down nobody hears it; coming up asks.
        let ask = Ask { reply_per_host: Some(true), ..Ask::new(self.answers_to.clone()) };
        let _ = self.bus.publish_signed(Purpose::Query, DISCOVER, None, ask.encode()).await;
    }

    fn note(&mut self, messages: &[Message]) {
        let now = Timestamp::now();
        for message in messages {
            match message {
                Ok(Inbound::Presence(answer) | Inbound::Answer(_, Answer::Host(answer))) => {
                    self.roster.note(answer, &self.known, now);
                }
                Ok(Inbound::Report(report)) => self.voucher.look(report),
                _ => {}
            }
        }
    }
}
