//! What is known of each host: the key that it signs with, and where it belongs. As ssh does, a host is taken at its word when
//! it is first seen, and held to that word afterwards; a fleet file says it beforehand.

use super::Roster;
use crate::bus::Received;
use crate::protocol::{
    Difference, Doubt, HostAnswer, Identity, Inbound, KEY_HEADER, Name, PublicKey, Purpose, SIGNATURE_HEADER,
    decode_signature, host_of, signed_bytes,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many names that are not known are remembered as unproven.
const MAX_UNPROVEN: usize = 200;

/// How many hosts are remembered: a NATS server without permissions lets anyone make hosts up.
const MAX_HOSTS: usize = 20_000;

/// What is known of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHost {
    /// The keys that it may sign with: two while a key is replaced.
    pub keys: Vec<PublicKey>,
    /// Its tier.
    pub tier: Option<Name>,
    /// Where requests to it go, if that is not `deploy.<tier>.<hostname>`.
    pub subject: Option<String>,
    /// Where it takes requests; empty if that is not known.
    pub deploy_subjects: Vec<String>,
    /// Whether this is written in a fleet file or the configuration, which only their owner changes.
    pub is_configured: bool,
}

/// What is known of every host, shared by all that hear them.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    hosts: BTreeMap<Name, KnownHost>,
    /// The hosts by key.
    owners: HashMap<String, Name>,
    /// Whether a key that is first seen is noted; not if a fleet file names them.
    has_fleet_file: bool,
    /// What is configured for hosts that are not proven.
    allow_unproven: Option<bool>,
    /// What was heard so far.
    identities: HashMap<Name, Identity>,
}

/// What a message is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MessageTrust {
    /// It is from the host that it names, which has signed it with this key.
    Proven(PublicKey),
    /// It may be from anyone and is used all the same, because hosts without proof are allowed.
    Unproven(Doubt),
    /// It is signed by a key that is not known yet, on a subject that anyone may use: a reply on the host's own subject tells
    /// whose key it is. It is not used.
    Early,
    /// It is not used.
    Refused,
}

impl MessageTrust {
    /// Whether the message is used.
    pub(super) fn is_used(&self) -> bool {
        matches!(self, Self::Proven(_) | Self::Unproven(_))
    }
}

impl KnownHosts {
    /// What the inventory says of hosts, and before that a fleet file and the configuration. `allow_unproven` is what is
    /// configured for hosts without proof; by default they are allowed until a key is known.
    pub fn new(
        configured: BTreeMap<Name, KnownHost>,
        has_fleet_file: bool,
        roster: &Roster,
        allow_unproven: Option<bool>,
    ) -> Self {
        let mut state = State { hosts: configured, has_fleet_file, allow_unproven, ..State::default() };
        for (name, entry) in &roster.hosts {
            let known = state.hosts.entry(name.clone()).or_default();
            if known.keys.is_empty() {
                known.keys.extend(entry.public_key.clone());
            }
            // One that is only expected has said nothing yet.
            if entry.seen.is_some() {
                known.tier.get_or_insert_with(|| entry.tier.clone());
                known.deploy_subjects.clone_from(&entry.deploy_subjects);
            }
        }
        for (name, known) in &state.hosts {
            let owned = known.keys.iter().map(|key| (key.as_str().to_owned(), name.clone()));
            state.owners.extend(owned);
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// What is known of a host.
    pub fn of(&self, host: &Name) -> Option<KnownHost> {
        self.state().hosts.get(host).cloned()
    }

    /// Forgets what a host has said of itself, so that its next word counts; gives what was known. What is configured stays.
    pub fn forget(&self, host: &Name) -> Option<KnownHost> {
        let mut state = self.state();
        state.identities.remove(host);
        let known = state.hosts.get(host).filter(|known| !known.is_configured)?.clone();
        state.hosts.remove(host);
        state.owners.retain(|_, owner| owner != host);
        Some(known)
    }

    /// Takes back what was forgotten.
    pub(super) fn restore(&self, host: &Name, known: KnownHost) {
        let mut state = self.state();
        state.owners.extend(known.keys.iter().map(|key| (key.as_str().to_owned(), host.clone())));
        state.hosts.insert(host.clone(), known);
    }

    /// Whether hosts without proof are used.
    pub(super) fn allows_unproven(&self) -> bool {
        self.state().allows_unproven()
    }

    /// What has been heard in the name of each host.
    pub(super) fn identities(&self) -> Vec<(Name, Identity)> {
        let state = self.state();
        let configured = state.hosts.iter().filter(|(host, _)| !state.identities.contains_key(*host));
        let silent = configured.filter_map(|(host, known)| {
            let subject = Some(known.subject.clone()?);
            Some((host.clone(), Identity { subject, ..Identity::default() }))
        });
        let heard = state.identities.iter().map(|(host, identity)| (host.clone(), identity.clone()));
        heard.chain(silent).collect()
    }

    /// Checks who has sent a message, and gives what that changes about its host.
    pub(super) fn check<T>(
        &self,
        fleet: Option<&Name>,
        received: &Received<T>,
        host: &Name,
        answer: Option<&HostAnswer>,
    ) -> (MessageTrust, Option<Inbound>) {
        let signer = signer(fleet, received);
        let mut state = self.state();
        let is_bound = host_of(&received.subject) == Some(host.as_str());
        let proof = signer.and_then(|key| match state.doubt(host, key.clone(), is_bound) {
            None => Ok(key),
            Some(doubt) => Err(doubt),
        });
        let doubt = proof.as_ref().err().cloned();
        let admission = match proof {
            Ok(key) => MessageTrust::Proven(key),
            Err(doubt) if state.allows_unproven() => MessageTrust::Unproven(doubt),
            // A host that has just been started announces itself before it replies.
            Err(Doubt::UnknownKey(_)) if !is_bound && !state.has_fleet_file => MessageTrust::Early,
            Err(_) => MessageTrust::Refused,
        };
        let answer = answer.filter(|_| admission.is_used());
        let doubt = doubt.filter(|_| admission == MessageTrust::Refused);
        let changed = state.note(host, matches!(admission, MessageTrust::Proven(_)), doubt, answer);
        (admission, changed.map(|identity| Inbound::Identity(host.clone(), identity)))
    }

    /// Notes that a message that was used before a key was known is not used any more.
    pub(super) fn refuse(&self, host: &Name, doubt: Doubt) {
        self.state().note(host, false, Some(doubt), None);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is in it is whole after each statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn allows_unproven(&self) -> bool {
        self.allow_unproven.unwrap_or(self.owners.is_empty())
    }

    /// Why a message with a good signature of `key` is not proven to be from `host`. The first key on the host's own
    /// subject is noted as the host's.
    fn doubt(&mut self, host: &Name, key: PublicKey, is_bound: bool) -> Option<Doubt> {
        if let Some(known) = self.hosts.get(host).filter(|known| !known.keys.is_empty()) {
            let is_known = known.keys.contains(&key);
            return (!is_known).then(|| Doubt::OtherKey(key.as_str().to_owned()));
        }
        if let Some(owner) = self.owners.get(key.as_str()) {
            return Some(Doubt::KeyOf(owner.to_string()));
        }
        if self.has_fleet_file || !is_bound || !self.has_room_for(host) {
            return Some(Doubt::UnknownKey(key.as_str().to_owned()));
        }
        self.owners.insert(key.as_str().to_owned(), host.clone());
        self.hosts.entry(host.clone()).or_default().keys.push(key);
        None
    }

    fn has_room_for(&self, host: &Name) -> bool {
        self.hosts.len() < MAX_HOSTS || self.hosts.contains_key(host)
    }

    /// How what a host says of itself differs from what is known; what was not known is noted.
    fn compare(&mut self, answer: &HostAnswer) -> Option<Difference> {
        if !self.has_room_for(&answer.hostname) {
            return None;
        }
        let known = self.hosts.entry(answer.hostname.clone()).or_default();
        let tier = known.tier.get_or_insert_with(|| answer.tier.clone());
        if *tier != answer.tier {
            return Some(Difference::Tier { known: tier.clone(), now: answer.tier.clone() });
        }
        if known.deploy_subjects.is_empty() {
            known.deploy_subjects.clone_from(&answer.deploy_subjects);
        }
        (known.deploy_subjects != answer.deploy_subjects).then(|| Difference::Subjects {
            known: known.deploy_subjects.clone(),
            now: answer.deploy_subjects.clone(),
        })
    }

    /// Notes what a message has shown; gives the identity if that is news.
    fn note(
        &mut self,
        host: &Name,
        proven: bool,
        doubt: Option<Doubt>,
        answer: Option<&HostAnswer>,
    ) -> Option<Identity> {
        if !self.identities.contains_key(host) {
            let unknown = !self.hosts.contains_key(host);
            if unknown && self.identities.len() >= self.hosts.len() + MAX_UNPROVEN {
                return None;
            }
        }
        let differs = answer.map(|answer| self.compare(answer));
        let subject = self.hosts.get(host).and_then(|known| known.subject.clone());
        let identity = self.identities.entry(host.clone()).or_default();
        let before = identity.clone();
        identity.subject = subject;
        identity.proven |= proven;
        if doubt.is_some() {
            identity.doubt = doubt;
        }
        if let Some(differs) = differs {
            identity.differs = differs;
        }
        (*identity != before).then(|| identity.clone())
    }
}

/// The key that has signed a message.
fn signer<T>(fleet: Option<&Name>, received: &Received<T>) -> Result<PublicKey, Doubt> {
    let header = |name: &str| {
        let mut values = received.headers.iter().filter(|(header, _)| header == name);
        values.next().map(|(_, value)| value.as_str()).filter(|_| values.next().is_none())
    };
    let (Some(key), Some(signature)) = (header(KEY_HEADER), header(SIGNATURE_HEADER)) else {
        return Err(Doubt::Unsigned);
    };
    let (Ok(key), Some(signature)) = (PublicKey::parse(key), decode_signature(signature)) else {
        return Err(Doubt::BadSignature);
    };
    let purpose = Purpose::of_response(&received.subject);
    let content = signed_bytes(purpose, fleet, &received.subject, &received.payload);
    if key.has_signed(&content, &signature) { Ok(key) } else { Err(Doubt::BadSignature) }
}
