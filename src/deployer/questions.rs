//! Questions to hosts by name: how a job stands, and what was done before. Whoever does not answer is named.

use super::operator::fresh_id;
use super::query::SignedReply;
use super::{Discovery, Operator};
use crate::bus::{Gathered, LinkError, Patience};
use crate::protocol::{
    Answer, Ask, DeployReport, HistoryAnswer, HistoryEntry, HostAnswer, Id, Name, PublicKey, ReplyTo, Want,
    WireError,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// For hosts that have just answered.
const PRESENT: Patience = Patience { quiet: Duration::from_secs(2), total: Duration::from_secs(2) };
/// How often those are asked that have not answered.
const ROUNDS: usize = 3;
/// For hosts that have not: they may only have been slow.
const ABSENT: Patience = Patience { quiet: Duration::from_millis(500), total: Duration::from_millis(500) };

/// What a host made of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// It answered.
    Answer(T),
    /// Its listener is too old for the question.
    TooOld,
    /// It did not answer.
    Silent,
}

/// What hosts made of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replies<T> {
    /// Each host by name; one twice where two listeners claim the name.
    pub hosts: Vec<(Name, Told<T>)>,
    /// Answers that could not be read.
    pub unreadable: Vec<WireError>,
}

/// What a host says of itself, with the key that has proven it.
pub(super) type SignedHost = (Box<HostAnswer>, Option<PublicKey>);

impl<T> Told<T> {
    /// Whether the host answered as it should.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(_))
    }
}

impl Operator {
    /// Asks hosts for what they say of themselves.
    pub async fn hosts(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
    ) -> Result<Replies<Box<HostAnswer>>, LinkError> {
        let fill = |ask: &mut Ask| ask.want = Some(Want::Host);
        let read = |answer, _| match answer {
            Answer::Host(answer) => Told::Answer(answer),
            _ => Told::TooOld,
        };
        self.ask(hosts, discovery, fill, read).await
    }

    /// The same, each with the key that has proven it.
    pub(super) async fn signed_hosts(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
    ) -> Result<Replies<SignedHost>, LinkError> {
        let fill = |ask: &mut Ask| ask.want = Some(Want::Host);
        let read = |answer, signer| match answer {
            Answer::Host(answer) => Told::Answer((answer, signer)),
            _ => Told::TooOld,
        };
        self.ask(hosts, discovery, fill, read).await
    }

    /// Asks hosts for the report of a job, or of the running or else the last one.
    pub async fn jobs(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
        id: Option<Id>,
    ) -> Result<Replies<Option<Arc<DeployReport>>>, LinkError> {
        let fill = |ask: &mut Ask| (ask.want, ask.id) = (Some(Want::Job), id.clone());
        let read = |answer, _| match answer {
            Answer::Job(answer) => Told::Answer(answer.report),
            _ => Told::TooOld,
        };
        self.ask(hosts, discovery, fill, read).await
    }

    /// Asks hosts for the jobs that ended last, newest first: at most `limit` of each. One that falls silent before it
    /// has told them all counts as silent.
    pub async fn history(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
        limit: usize,
    ) -> Result<Replies<Vec<HistoryEntry>>, LinkError> {
        let first = self.pages(hosts, discovery, limit, None).await?;
        let mut replies = Replies { hosts: Vec::new(), unreadable: first.unreadable };
        for (host, told) in first.hosts {
            let told = match told {
                Told::Answer(page) => {
                    let entries = self.read_on(&host, discovery, limit, page).await?;
                    entries.map_or(Told::Silent, Told::Answer)
                }
                Told::TooOld => Told::TooOld,
                Told::Silent => Told::Silent,
            };
            replies.hosts.push((host, told));
        }
        Ok(replies)
    }

    /// Asks one host for the pages after the first; `None` where it falls silent.
    async fn read_on(
        &self,
        host: &Name,
        discovery: &Discovery,
        limit: usize,
        first: HistoryAnswer,
    ) -> Result<Option<Vec<HistoryEntry>>, LinkError> {
        let (mut entries, mut next) = (first.entries, first.next);
        while entries.len() < limit
            && let Some(before) = next
        {
            let left = limit - entries.len();
            let replies = self.pages(&[host.clone()].into(), discovery, left, Some(before)).await?;
            let page = replies.hosts.into_iter().find_map(|(_, told)| match told {
                Told::Answer(page) => Some(page),
                _ => None,
            });
            let Some(page) = page else { return Ok(None) };
            // A host that promises more and tells nothing would be asked for ever.
            next = page.next.filter(|_| !page.entries.is_empty());
            entries.extend(page.entries);
        }
        entries.truncate(limit);
        Ok(Some(entries))
    }

    async fn pages(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
        limit: usize,
        before: Option<Id>,
    ) -> Result<Replies<HistoryAnswer>, LinkError> {
        let fill = |ask: &mut Ask| {
            ask.want = Some(Want::History);
            ask.limit = u64::try_from(limit).ok();
            ask.before.clone_from(&before);
        };
        let read = |answer, _| match answer {
            Answer::History(answer) => Told::Answer(answer),
            _ => Told::TooOld,
        };
        self.ask(hosts, discovery, fill, read).await
    }

    async fn ask<T>(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
        fill: impl Fn(&mut Ask),
        read: impl Fn(Answer, Option<PublicKey>) -> Told<T>,
    ) -> Result<Replies<T>, LinkError> {
        let here = |host: &&Name| discovery.answered.contains(*host);
        let (present, absent): (Vec<_>, Vec<_>) = hosts.iter().partition(here);
        // Of two listeners of one name both are waited for.
        let listeners = |host: &Name| {
            let host = discovery.fleet.hosts.get(host);
            host.map_or(1, |host| host.claimants(discovery.at).len().max(1))
        };
        let count =
            |hosts: Vec<&Name>| hosts.into_iter().map(|host| (host.clone(), listeners(host))).collect();
        let (present, absent) = tokio::try_join!(
            self.gather(count(present), &fill, PRESENT),
            self.gather(count(absent), &fill, ABSENT)
        )?;
        let mut replies = Replies { hosts: Vec::new(), unreadable: Vec::new() };
        for reply in present.into_iter().chain(absent) {
            match reply.answer {
                Ok(answer) if hosts.contains(answer.hostname()) => {
                    replies.hosts.push((answer.hostname().clone(), read(answer, reply.signer)));
                }
                Ok(_) => {}
                Err(error) => replies.unreadable.push(error),
            }
        }
        let told: HashSet<_> = replies.hosts.iter().map(|(host, _)| host.clone()).collect();
        let silent = hosts.iter().filter(|host| !told.contains(*host));
        replies.hosts.extend(silent.map(|host| (host.clone(), Told::Silent)));
        replies.hosts.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(replies)
    }

    /// The answers of these hosts, until each of them has answered so many times.
    async fn gather(
        &self,
        hosts: HashMap<Name, usize>,
        fill: impl Fn(&mut Ask),
        patience: Patience,
    ) -> Result<Vec<SignedReply>, LinkError> {
        let (mut answers, mut asked) = (Vec::new(), hosts);
        // A question or an answer is lost if a connection ends at that moment.
        for round in 0..ROUNDS {
            if asked.is_empty() {
                break;
            }
            let mut ask = Ask::new(ReplyTo::answers(fresh_id()));
            ask.hosts = asked.keys().cloned().collect();
            fill(&mut ask);
            let mut missing = asked.clone();
            let is_enough = |host: &Name| {
                if let Some(left) = missing.get_mut(host) {
                    *left -= 1;
                    if *left == 0 {
                        missing.remove(host);
                    }
                }
                missing.is_empty()
            };
            let present = round == 0 && patience != ABSENT;
            let patience = if round == 0 { patience } else { ABSENT };
            let replied = self.query(ask, patience, is_enough).await?;
            // Listeners of the older tool reply whatever hosts a query names, also to each further one.
            let is_from_asked = |reply: &SignedReply| {
                reply.answer.as_ref().map_or(true, |answer| asked.contains_key(answer.hostname()))
            };
            answers.extend(replied.replies.into_iter().filter(is_from_asked));
            if replied.ended != Gathered::Interrupted && !present {
                break;
            }
            // Of two listeners of one name, one has answered: that one would answer twice.
            asked.retain(|host, count| missing.get(host) == Some(count));
        }
        Ok(answers)
    }
}
