//! The operator: a connection, the roster, and the questions that can be asked.

use super::{DeployError, KnownHost, KnownHosts, Roster};
use crate::bus::{Bus, Gathered, Patience};
use crate::fleet::Fleet;
use crate::nix::Credentials;
use crate::protocol::{Answer, Ask, HostAnswer, Id, Inbound, Name, ReplyTo, WireError};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How often it is asked who is there: a query or a reply is lost if a connection ends at that moment.
const ROUNDS: usize = 3;
/// The pause between: within it a connection that has ended is replaced.
const PAUSE: Duration = Duration::from_millis(100);
/// For hosts that did not reply the first time.
const AGAIN: Patience = Patience { quiet: Duration::from_millis(250), total: Duration::from_millis(500) };
/// How many hosts one query names.
const NAMED: usize = 400;

/// Whether a host that replied is of this tier and role, where they are given.
fn is_of(answer: &HostAnswer, tier: Option<&Name>, role: Option<&Name>) -> bool {
    tier.is_none_or(|tier| answer.tier == *tier) && role.is_none_or(|role| answer.role.as_ref() == Some(role))
}

/// Whoever asks and deploys.
#[derive(Clone)]
pub struct Operator {
    /// The connection.
    pub bus: Bus,
    /// The hosts seen before.
    pub roster: Roster,
    /// What each host is held to.
    pub known: KnownHosts,
    /// Who this is, for the hosts' history.
    pub issuer: String,
    /// For the repositories whose heads are looked up.
    pub credentials: Credentials,
}

/// What a discovery brought.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Every host that answered or is in the roster.
    pub fleet: Fleet,
    /// The hosts that answered.
    pub answered: HashSet<Name>,
    /// When it ended, by our clock.
    pub at: Timestamp,
    /// Answers that could not be read.
    pub unreadable: Vec<WireError>,
    /// How many new hosts answered that were not noted in the roster, because they were too many at once.
    pub unlisted: usize,
}

/// A fresh id: ordered by time, so that deployments sort as they were made.
pub(super) fn fresh_id() -> Id {
    let text = uuid::Uuid::now_v7().to_string();
    // A UUID is hexadecimal digits and dashes, and starts with a digit for centuries to come.
    Id::new(text).unwrap_or_else(|_| unreachable!("a UUID is an id"))
}

impl Operator {
    /// An operator that knows of the hosts what the inventory says, and has no credentials for repositories.
    pub fn new(bus: Bus, roster: Roster, issuer: String) -> Self {
        let known = KnownHosts::new(BTreeMap::new(), false, &roster, None);
        Self { bus, roster, known, issuer, credentials: Credentials::default() }
    }

    /// Takes a host at its word anew: the key that it signs with now, its tier and where it takes requests. Gives what was
    /// known before, and what is known now.
    pub async fn trust(&mut self, host: &Name) -> Result<(Option<KnownHost>, KnownHost), DeployError> {
        let before = self.known.forget(host);
        let mut ask = Ask::new(ReplyTo::answers(fresh_id()));
        ask.hosts = vec![host.clone()];
        let replied = self.query(ask, Patience::default(), |from| from == host).await;
        let now = Timestamp::now();
        let mut heard = false;
        for reply in replied.iter().flat_map(|replied| &replied.replies) {
            if let Ok(Answer::Host(answer)) = &reply.answer
                && answer.hostname == *host
            {
                self.roster.forget(host);
                self.roster.note(answer, &self.known, now);
                heard = true;
            }
        }
        if !heard && let Some(before) = &before {
            self.known.restore(host, before.clone());
        }
        replied?;
        if heard {
            self.roster.save()?;
            return Ok((before, self.known.of(host).unwrap_or_default()));
        }
        let identities = self.known.identities();
        let doubt =
            identities.into_iter().find_map(|(name, identity)| identity.doubt.filter(|_| name == *host));
        Err(match doubt {
            Some(doubt) => DeployError::NotTrusted { host: host.clone(), doubt },
            None => DeployError::NoReply { host: host.clone() },
        })
    }

    /// Asks who is there. Ends when every host of the roster that was not offline has answered, else 250 ms after the
    /// last answer, 2 s at most; asks those of them once more that did not answer; then notes in the roster who is there and who is silent.
    pub async fn discover(
        &mut self,
        tier: Option<&Name>,
        role: Option<&Name>,
    ) -> Result<Discovery, DeployError> {
        // Before this discovery adds to it.
        let known_flakes = Arc::new(self.roster.known_flakes());
        self.roster.begin_query();
        let of_these = |entry: &super::RosterEntry| entry.is_of(tier, role);
        let expected = self.roster.hosts.iter().filter(|(_, entry)| of_these(entry) && !entry.offline);
        let mut missing: HashSet<_> = expected.map(|(name, _)| name.clone()).collect();
        // New hosts are waited for if they are wanted.
        let warm = !missing.is_empty() && !self.roster.accepts_new();
        let (mut answers, mut patience) = (Vec::new(), Patience::default());
        for round in 0..ROUNDS {
            let mut ask = Ask::new(ReplyTo::answers(fresh_id()));
            (ask.tier, ask.role) = (tier.cloned(), role.cloned());
            if round > 0 && missing.len() <= NAMED {
                ask.hosts = missing.iter().cloned().collect();
            }
            let replied = self
                .query(ask, patience, |host| {
                    missing.remove(host);
                    warm && missing.is_empty()
                })
                .await?;
            answers.extend(replied.replies.into_iter().map(|reply| reply.answer));
            let is_again = match replied.ended {
                Gathered::Interrupted => true,
                Gathered::NoListener => round == 0,
                Gathered::InTime => round == 0 && warm,
            };
            if !is_again || (warm && missing.is_empty()) {
                break;
            }
            patience = if replied.ended == Gathered::Interrupted { Patience::default() } else { AGAIN };
            sleep(PAUSE).await;
        }
        let now = Timestamp::now();
        let mut discovery = Discovery {
            fleet: Fleet::default(),
            answered: HashSet::new(),
            at: now,
            unreadable: Vec::new(),
            unlisted: 0,
        };
        for answer in &answers {
            if let Ok(Answer::Host(answer)) = answer {
                self.roster.note(answer, &self.known, now);
            }
        }
        discovery.fleet.known_flakes = known_flakes;
        discovery.unlisted = self.roster.unlisted();
        discovery.fleet.expect_hosts(self.roster.hosts.len());
        for answer in answers {
            match answer {
                // Listeners of the older tool reply whatever tier or role a query names.
                Ok(Answer::Host(answer)) if !is_of(&answer, tier, role) => {}
                Ok(Answer::Host(answer)) => {
                    discovery.answered.insert(answer.hostname.clone());
                    discovery.fleet.apply_host(*answer, now);
                }
                Ok(_) => {}
                Err(error) => discovery.unreadable.push(error),
            }
        }
        for (name, entry) in &mut self.roster.hosts {
            if entry.is_of(tier, role) {
                Arc::make_mut(entry).offline = !discovery.answered.contains(name);
                discovery.fleet.recall(entry.recall(name));
            }
        }
        // Of others it is not known whether they belong to these.
        let all = tier.is_none() && role.is_none();
        for (host, identity) in self.known.identities() {
            if all || discovery.fleet.hosts.contains_key(&host) {
                discovery.fleet.apply(Inbound::Identity(host, identity), now);
            }
        }
        self.roster.save()?;
        Ok(discovery)
    }
}
