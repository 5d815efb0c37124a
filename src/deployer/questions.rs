//! Questions to hosts by name: how a job stands, and what was done before. Whoever does not answer is named.

use super::operator::fresh_id;
use super::{Discovery, Operator};
use crate::bus::{LinkError, Patience};
use crate::protocol::{
    Answer, Ask, DISCOVER, DeployReport, HistoryAnswer, HistoryEntry, Id, Name, ReplyTo, Want, WireError,
    of_answer,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// For hosts that have just answered.
const PRESENT: Patience = Patience { quiet: Duration::from_secs(2), total: Duration::from_secs(2) };
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

impl<T> Told<T> {
    /// Whether the host answered as it should.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(_))
    }
}

impl Operator {
    /// Asks hosts for the report of a job, or of the running or else the last one.
    pub async fn jobs(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
        id: Option<Id>,
    ) -> Result<Replies<Option<Arc<DeployReport>>>, LinkError> {
        let fill = |ask: &mut Ask| (ask.want, ask.id) = (Some(Want::Job), id.clone());
        let read = |answer| match answer {
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
        let read = |answer| match answer {
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
        read: impl Fn(Answer) -> Told<T>,
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
        for answer in present.into_iter().chain(absent) {
            match answer {
                Ok(answer) if hosts.contains(answer.hostname()) => {
                    replies.hosts.push((answer.hostname().clone(), read(answer)));
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
    ) -> Result<Vec<Result<Answer, WireError>>, LinkError> {
        if hosts.is_empty() {
            return Ok(Vec::new());
        }
        let id = fresh_id();
        let mut ask = Ask::new(ReplyTo::answers(id.clone()));
        ask.hosts = hosts.keys().cloned().collect();
        fill(&mut ask);
        let mut missing = hosts;
        let read = |_: &str, payload: &[u8]| Answer::parse(payload);
        let enough = |answer: &Result<Answer, WireError>| {
            if let Ok(answer) = answer
                && let Some(left) = missing.get_mut(answer.hostname())
            {
                *left -= 1;
                if *left == 0 {
                    missing.remove(answer.hostname());
                }
            }
            missing.is_empty()
        };
        let gathered =
            self.bus.gather(DISCOVER, &of_answer(&id), ask.encode(), read, patience, enough).await?;
        Ok(gathered.answers)
    }
}
