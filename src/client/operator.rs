//! The operator: a connection, the inventory, discovery, and queries to hosts. Silent hosts are part of the result.

use super::known_hosts::MessageTrust;
use super::{CommitClones, DeployError, Inventory, KnownHost, KnownHosts};
use crate::fleet::Fleet;
use crate::git::Credentials;
use crate::keys::FleetOperator;
use crate::nats::{Client, GatherStatus, GatherTimeout, NatsError, Received, ScatterRequest};
use crate::protocol::{
    DISCOVER, DeployReport, HistoryEntry, HistoryReply, Id, Inbound, Name, Presence, PublicKey, Purpose,
    Query, QueryKind, QueryReply, ReplyTo, UnprovenReason, WireError, per_host_reply_subject, reply_subject,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Maximum number of rounds: a query or reply is lost if a connection ends at that moment.
const ROUNDS: usize = 3;
/// The pause between rounds, in which an ended connection is replaced.
const PAUSE: Duration = Duration::from_millis(100);
/// Timeout for hosts that did not reply in the first round.
const RETRY_TIMEOUT: GatherTimeout =
    GatherTimeout { idle: Duration::from_millis(250), total: Duration::from_millis(500) };
/// Maximum number of hosts named in one query.
const MAX_NAMED_HOSTS: usize = 400;
/// Timeout for hosts that have just replied.
const RESPONDING_TIMEOUT: GatherTimeout =
    GatherTimeout { idle: Duration::from_secs(2), total: Duration::from_secs(2) };

/// Maximum time for the server to answer a ping.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether a presence matches this tier and role; `None` matches any.
fn is_of(answer: &Presence, tier: Option<&Name>, role: Option<&Name>) -> bool {
    tier.is_none_or(|tier| answer.tier == *tier) && role.is_none_or(|role| answer.role.as_ref() == Some(role))
}

/// A user who queries and deploys.
#[derive(Clone)]
pub struct Operator {
    /// Connection to the NATS server.
    pub nats: Client,
    /// The hosts seen before.
    pub inventory: Inventory,
    /// The expected key, tier and subjects of each host.
    pub known: KnownHosts,
    /// Name of the user, as recorded in the hosts' history.
    pub issuer: String,
    /// Credentials for branch lookups.
    pub credentials: Credentials,
    /// The clones with the commits of the flakes; `None` without a cache directory.
    pub clones: Option<CommitClones>,
    /// The directory with the states of the rollouts of this machine; `None` if they are not saved.
    pub rollouts: Option<PathBuf>,
    /// The operators who may control rollouts of this one, in addition to its own key.
    pub operators: Vec<FleetOperator>,
}

/// The result of a discovery.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Every host that replied or is in the inventory.
    pub fleet: Fleet,
    /// The hosts that replied.
    pub answered: HashSet<Name>,
    /// When the discovery ended, by our clock.
    pub at: Timestamp,
    /// Replies that could not be read.
    pub unreadable: Vec<WireError>,
    /// Number of new hosts that replied but were not recorded in the inventory, because there were too many at once.
    pub unrecorded: usize,
}

/// A new id, ordered by time so that deployments sort by creation.
pub(super) fn fresh_id() -> Id {
    let text = uuid::Uuid::now_v7().to_string();
    // A UUID consists of hexadecimal digits and dashes, and a version 7 UUID starts with a digit for centuries.
    Id::new(text).unwrap_or_else(|_| unreachable!("a UUID is an id"))
}

impl Operator {
    /// Subscribes, and fails if the server does not answer or the connection stays lost: requests would be delivered
    /// later, when the operator no longer expects it.
    pub(super) async fn subscribed<T>(
        &self,
        subscriptions: impl Future<Output = Result<T, NatsError>>,
    ) -> Result<T, DeployError> {
        let answered = async {
            let subscribed = subscriptions.await?;
            self.nats.ping_across_reconnects(ANSWER_TIMEOUT).await?;
            Ok(subscribed)
        };
        match timeout(ANSWER_TIMEOUT, answered).await {
            Err(_) | Ok(Err(NatsError::PingTimeout { .. })) => Err(DeployError::ServerSilent(ANSWER_TIMEOUT)),
            Ok(subscribed) => Ok(subscribed?),
        }
    }

    /// An operator that knows the hosts of the inventory and has no credentials for repositories.
    pub fn new(nats: Client, inventory: Inventory, issuer: String) -> Self {
        let known = KnownHosts::new(BTreeMap::new(), false, &inventory, None);
        let (credentials, operators) = (Credentials::default(), Vec::new());
        Self { nats, inventory, known, issuer, credentials, clones: None, rollouts: None, operators }
    }

    /// Trusts the current key, tier and subjects of a host. Returns what was known before, and what is known now.
    pub async fn trust(&mut self, host: &Name) -> Result<(Option<KnownHost>, KnownHost), DeployError> {
        let before = self.known.forget(host);
        let mut query = Query::new(ReplyTo::replies(fresh_id()));
        query.hosts = vec![host.clone()];
        let replied = self.query(query, GatherTimeout::default(), |from| from == host).await;
        let now = Timestamp::now();
        let mut is_found = false;
        for reply in replied.iter().flat_map(|replied| &replied.replies) {
            if let Ok(QueryReply::Host(answer)) = &reply.answer
                && answer.hostname == *host
            {
                self.inventory.forget(host);
                self.inventory.record(answer, &self.known, now);
                is_found = true;
            }
        }
        if !is_found && let Some(before) = &before {
            self.known.restore(host, before.clone());
        }
        replied?;
        if is_found {
            self.inventory.save()?;
            return Ok((before, self.known.of(host).unwrap_or_default()));
        }
        let identities = self.known.identities();
        let doubt =
            identities.into_iter().find_map(|(name, identity)| identity.doubt.filter(|_| name == *host));
        Err(match doubt {
            Some(doubt) => DeployError::NotTrusted { host: host.clone(), doubt: *doubt },
            None => DeployError::NoReply { host: host.clone() },
        })
    }

    /// Discovers hosts. Ends when all hosts of the inventory that were not offline have replied, or 250 ms after the
    /// last reply, at most after 2 s. Queries missing hosts again, then records in the inventory which hosts replied.
    pub async fn discover(
        &mut self,
        tier: Option<&Name>,
        role: Option<&Name>,
    ) -> Result<Discovery, DeployError> {
        // A snapshot from before this discovery changes the inventory.
        let known_flakes = Arc::new(self.inventory.known_flakes());
        self.inventory.begin_query();
        let of_these = |entry: &super::InventoryEntry| entry.is_of(tier, role);
        let expected = self.inventory.hosts.iter().filter(|(_, entry)| of_these(entry) && !entry.offline);
        let mut missing: HashSet<_> = expected.map(|(name, _)| name.clone()).collect();
        // If new hosts are accepted, the query waits for them too.
        let only_known = !missing.is_empty() && !self.inventory.accepts_new();
        let (mut answers, mut gather_timeout) = (Vec::new(), GatherTimeout::default());
        for round in 0..ROUNDS {
            let mut query = Query::new(ReplyTo::replies(fresh_id()));
            (query.tier, query.role) = (tier.cloned(), role.cloned());
            if round > 0 && missing.len() <= MAX_NAMED_HOSTS {
                query.hosts = missing.iter().cloned().collect();
            }
            let replied = self
                .query(query, gather_timeout, |host| {
                    missing.remove(host);
                    only_known && missing.is_empty()
                })
                .await?;
            answers.extend(replied.replies.into_iter().map(|reply| reply.answer));
            let is_again = match replied.ended {
                GatherStatus::Reconnected => true,
                GatherStatus::NoResponders => round == 0,
                GatherStatus::Complete => round == 0 && only_known,
            };
            if !is_again || (only_known && missing.is_empty()) {
                break;
            }
            gather_timeout = if replied.ended == GatherStatus::Reconnected {
                GatherTimeout::default()
            } else {
                RETRY_TIMEOUT
            };
            sleep(PAUSE).await;
        }
        let now = Timestamp::now();
        let mut discovery = Discovery {
            fleet: Fleet::default(),
            answered: HashSet::new(),
            at: now,
            unreadable: Vec::new(),
            unrecorded: 0,
        };
        for answer in &answers {
            if let Ok(QueryReply::Host(answer)) = answer {
                self.inventory.record(answer, &self.known, now);
            }
        }
        discovery.fleet.known_flakes = known_flakes;
        discovery.unrecorded = self.inventory.unrecorded();
        discovery.fleet.expect_hosts(self.inventory.hosts.len());
        for answer in answers {
            match answer {
                // Listeners of the older tool ignore the tier and role of a query.
                Ok(QueryReply::Host(answer)) if !is_of(&answer, tier, role) => {}
                Ok(QueryReply::Host(answer)) => {
                    discovery.answered.insert(answer.hostname.clone());
                    discovery.fleet.apply_presence(*answer, now);
                }
                Ok(_) => {}
                Err(error) => discovery.unreadable.push(error),
            }
        }
        for (name, entry) in &mut self.inventory.hosts {
            if entry.is_of(tier, role) {
                Arc::make_mut(entry).offline = !discovery.answered.contains(name);
                discovery.fleet.restore_host(entry.to_host(name));
            }
        }
        // With a filter it is unknown whether other hosts match it.
        let all = tier.is_none() && role.is_none();
        for (host, identity) in self.known.identities() {
            if all || discovery.fleet.hosts.contains_key(&host) {
                discovery.fleet.apply(Inbound::Identity(host, identity), now);
            }
        }
        self.inventory.save()?;
        Ok(discovery)
    }

    /// Sends a query and returns the valid replies. `is_enough` is called with the host of each proven or allowed one.
    pub(super) async fn query(
        &self,
        mut query: Query,
        gather_timeout: GatherTimeout,
        mut is_enough: impl FnMut(&Name) -> bool,
    ) -> Result<QueryReplies, NatsError> {
        query.reply_per_host = Some(true);
        let id = query.reply_to.id().clone();
        let scatter = ScatterRequest {
            subject: DISCOVER,
            reply: &reply_subject(&id),
            extra_subject: Some(&per_host_reply_subject(&id)),
            purpose: Purpose::Query,
            payload: query.encode(),
        };
        let read = |_: &str, payload: &[u8]| QueryReply::parse(payload);
        let mut replies = Vec::new();
        let take = |received: Received<Result<QueryReply, WireError>>| {
            let (admission, enough) = match &received.message {
                Some(Ok(answer)) => {
                    let host = answer.hostname();
                    let about = if let QueryReply::Host(answer) = answer { Some(&**answer) } else { None };
                    let (admission, _) = self.known.check(self.nats.fleet(), &received, host, about);
                    let enough = admission.is_used() && is_enough(host);
                    (admission, enough)
                }
                _ => (MessageTrust::Unproven(UnprovenReason::Unsigned), false),
            };
            replies.extend(received.message.map(|reply| (admission, reply)));
            enough
        };
        let ended = scatter.send(&self.nats, read, gather_timeout, take).await?;
        // A proven host may have replied after unproven ones, which were still allowed at that moment.
        let unproven = self.known.allows_unproven();
        let counts = |(admission, reply): (MessageTrust, Result<QueryReply, WireError>)| match admission {
            MessageTrust::Unproven(doubt) if !unproven => {
                if let Ok(answer) = &reply {
                    self.known.refuse(answer.hostname(), doubt);
                }
                None
            }
            MessageTrust::Proven(key) => Some(SignedReply { answer: reply, signer: Some(key) }),
            MessageTrust::Unproven(_) => Some(SignedReply { answer: reply, signer: None }),
            MessageTrust::Early | MessageTrust::Refused => None,
        };
        Ok(QueryReplies { replies: replies.into_iter().filter_map(counts).collect(), ended })
    }

    /// Queries hosts for their presence.
    pub async fn hosts(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
    ) -> Result<Replies<Box<Presence>>, NatsError> {
        let fill = |query: &mut Query| query.query = Some(QueryKind::Host);
        let read = |answer, _| match answer {
            QueryReply::Host(answer) => Reply::Ok(answer),
            _ => Reply::Unsupported,
        };
        self.query_hosts(hosts, discovery, fill, read).await
    }

    /// Like [`Operator::hosts`], with the key that proves each reply.
    pub(super) async fn signed_hosts(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
    ) -> Result<Replies<SignedHost>, NatsError> {
        let fill = |query: &mut Query| query.query = Some(QueryKind::Host);
        let read = |answer, signer| match answer {
            QueryReply::Host(answer) => Reply::Ok((answer, signer)),
            _ => Reply::Unsupported,
        };
        self.query_hosts(hosts, discovery, fill, read).await
    }

    /// Queries hosts for the report of the job `id`, or of the running or last one.
    pub async fn jobs(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
        id: Option<Id>,
    ) -> Result<Replies<Option<Arc<DeployReport>>>, NatsError> {
        let fill = |query: &mut Query| (query.query, query.id) = (Some(QueryKind::Job), id.clone());
        let read = |answer, _| match answer {
            QueryReply::Job(answer) => Reply::Ok(answer.report),
            _ => Reply::Unsupported,
        };
        self.query_hosts(hosts, discovery, fill, read).await
    }

    /// Queries hosts for their finished jobs, newest first, at most `limit` each. A host that stops replying before its
    /// history is complete counts as silent.
    pub async fn history(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
        limit: usize,
    ) -> Result<Replies<Vec<HistoryEntry>>, NatsError> {
        let first = self.pages(hosts, discovery, limit, None).await?;
        let mut replies = Replies { hosts: Vec::new(), unreadable: first.unreadable };
        for (host, reply) in first.hosts {
            let reply = match reply {
                Reply::Ok(page) => {
                    let entries = self.read_remaining_pages(&host, discovery, limit, page).await?;
                    entries.map_or(Reply::NoAnswer, Reply::Ok)
                }
                Reply::Unsupported => Reply::Unsupported,
                Reply::NoAnswer => Reply::NoAnswer,
            };
            replies.hosts.push((host, reply));
        }
        Ok(replies)
    }

    /// Queries one host for the pages after the first; `None` if it stops replying.
    async fn read_remaining_pages(
        &self,
        host: &Name,
        discovery: &Discovery,
        limit: usize,
        first: HistoryReply,
    ) -> Result<Option<Vec<HistoryEntry>>, NatsError> {
        let (mut entries, mut next) = (first.entries, first.next);
        while entries.len() < limit
            && let Some(before) = next
        {
            let left = limit - entries.len();
            let replies = self.pages(&[host.clone()].into(), discovery, left, Some(before)).await?;
            let page = replies.hosts.into_iter().find_map(|(_, reply)| match reply {
                Reply::Ok(page) => Some(page),
                _ => None,
            });
            let Some(page) = page else { return Ok(None) };
            // Without this check, a host that promises more but sends nothing would be queried forever.
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
    ) -> Result<Replies<HistoryReply>, NatsError> {
        let fill = |query: &mut Query| {
            query.query = Some(QueryKind::History);
            query.limit = u64::try_from(limit).ok();
            query.before.clone_from(&before);
        };
        let read = |answer, _| match answer {
            QueryReply::History(answer) => Reply::Ok(answer),
            _ => Reply::Unsupported,
        };
        self.query_hosts(hosts, discovery, fill, read).await
    }

    async fn query_hosts<T>(
        &self,
        hosts: &BTreeSet<Name>,
        discovery: &Discovery,
        fill: impl Fn(&mut Query),
        read: impl Fn(QueryReply, Option<PublicKey>) -> Reply<T>,
    ) -> Result<Replies<T>, NatsError> {
        let here = |host: &&Name| discovery.answered.contains(*host);
        let (present, absent): (Vec<_>, Vec<_>) = hosts.iter().partition(here);
        // If two listeners share a name, the query waits for both.
        let listeners = |host: &Name| {
            let host = discovery.fleet.hosts.get(host);
            host.map_or(1, |host| host.active_instances(discovery.at).count().max(1))
        };
        let count =
            |hosts: Vec<&Name>| hosts.into_iter().map(|host| (host.clone(), listeners(host))).collect();
        let (present, absent) = tokio::try_join!(
            self.gather(count(present), &fill, RESPONDING_TIMEOUT),
            self.gather(count(absent), &fill, UNRESPONSIVE_TIMEOUT)
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
        let answered: HashSet<_> = replies.hosts.iter().map(|(host, _)| host.clone()).collect();
        let silent = hosts.iter().filter(|host| !answered.contains(*host));
        replies.hosts.extend(silent.map(|host| (host.clone(), Reply::NoAnswer)));
        replies.hosts.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(replies)
    }

    /// The replies of these hosts, until each one has replied the given number of times.
    async fn gather(
        &self,
        hosts: HashMap<Name, usize>,
        fill: impl Fn(&mut Query),
        gather_timeout: GatherTimeout,
    ) -> Result<Vec<SignedReply>, NatsError> {
        let (mut answers, mut asked) = (Vec::new(), hosts);
        // A query or reply is lost if a connection ends at that moment.
        for round in 0..ROUNDS {
            if asked.is_empty() {
                break;
            }
            let mut query = Query::new(ReplyTo::replies(fresh_id()));
            query.hosts = asked.keys().cloned().collect();
            fill(&mut query);
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
            let present = round == 0 && gather_timeout != UNRESPONSIVE_TIMEOUT;
            let gather_timeout = if round == 0 { gather_timeout } else { UNRESPONSIVE_TIMEOUT };
            let replied = self.query(query, gather_timeout, is_enough).await?;
            // Listeners of the older tool ignore the hosts of a query, and reply in each round.
            let is_from_asked = |reply: &SignedReply| {
                reply.answer.as_ref().map_or(true, |answer| asked.contains_key(answer.hostname()))
            };
            answers.extend(replied.replies.into_iter().filter(is_from_asked));
            if replied.ended != GatherStatus::Reconnected && !present {
                break;
            }
            // If one of two listeners with the same name has replied, it would reply a second time.
            asked.retain(|host, count| missing.get(host) == Some(count));
        }
        Ok(answers)
    }
}

/// The result of a query.
pub(super) struct QueryReplies {
    /// The replies of hosts that are proven or allowed.
    pub(super) replies: Vec<SignedReply>,
    /// Why the query ended.
    pub(super) ended: GatherStatus,
}

/// A valid reply.
pub(super) struct SignedReply {
    /// The reply, or why it is unreadable.
    pub(super) answer: Result<QueryReply, WireError>,
    /// The key that proves its sender, if any.
    pub(super) signer: Option<PublicKey>,
}

/// Timeout for hosts that have not replied: they may only have been slow.
const UNRESPONSIVE_TIMEOUT: GatherTimeout =
    GatherTimeout { idle: Duration::from_millis(500), total: Duration::from_millis(500) };

/// A host's reply to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<T> {
    /// The host replied.
    Ok(T),
    /// The listener is too old for the query.
    Unsupported,
    /// The host did not reply.
    NoAnswer,
}

/// The replies of several hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replies<T> {
    /// Each host by name; twice if two listeners share the name.
    pub hosts: Vec<(Name, Reply<T>)>,
    /// Replies that could not be read.
    pub unreadable: Vec<WireError>,
}

/// A host's presence, with the key that proves it.
pub(super) type SignedHost = (Box<Presence>, Option<PublicKey>);

impl<T> Reply<T> {
    /// Whether the host replied as expected.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }
}
