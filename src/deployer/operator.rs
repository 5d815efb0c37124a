//! The operator: a connection, the roster, and the questions that can be asked.

use super::{DeployError, Roster};
use crate::bus::{Bus, Patience};
use crate::fleet::Fleet;
use crate::protocol::{Answer, Ask, DISCOVER, Id, Name, ReplyTo, WireError, of_answer};
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;

/// Whoever asks and deploys.
#[derive(Clone)]
pub struct Operator {
    /// The connection.
    pub bus: Bus,
    /// The hosts seen before.
    pub roster: Roster,
    /// Who this is, for the hosts' history.
    pub issuer: String,
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
}

/// A fresh id: ordered by time, so that deployments sort as they were made.
pub(super) fn fresh_id() -> Id {
    let text = uuid::Uuid::now_v7().to_string();
    // A UUID is hexadecimal digits and dashes, and starts with a digit for centuries to come.
    Id::new(text).unwrap_or_else(|_| unreachable!("a UUID is an id"))
}

impl Operator {
    /// Asks who is there. Ends when every host of the roster that was not offline has answered, else 250 ms after the
    /// last answer, 2 s at most; then notes in the roster who is there and who is silent.
    pub async fn discover(
        &mut self,
        tier: Option<&Name>,
        role: Option<&Name>,
    ) -> Result<Discovery, DeployError> {
        let id = fresh_id();
        let mut ask = Ask::new(ReplyTo::answers(id.clone()));
        ask.tier = tier.cloned();
        ask.role = role.cloned();
        let of_these = |entry: &super::RosterEntry| entry.is_of(tier, role);
        let expected = self.roster.hosts.iter().filter(|(_, entry)| of_these(entry) && !entry.offline);
        let mut missing: HashSet<_> = expected.map(|(name, _)| name.clone()).collect();
        let warm = !missing.is_empty();
        let gathered = self
            .bus
            .gather(
                DISCOVER,
                &of_answer(&id),
                ask.encode(),
                |_, payload| Answer::parse(payload),
                Patience::default(),
                |answer| {
                    if let Ok(answer) = answer {
                        missing.remove(answer.hostname());
                    }
                    warm && missing.is_empty()
                },
            )
            .await?;
        let now = Timestamp::now();
        let mut discovery =
            Discovery { fleet: Fleet::default(), answered: HashSet::new(), at: now, unreadable: Vec::new() };
        for answer in gathered.answers {
            match answer {
                Ok(Answer::Host(answer)) => {
                    self.roster.note(&answer, now);
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
        self.roster.save()?;
        Ok(discovery)
    }
}
