//! What is known of each host: its key, tier and subjects. As with ssh, the first values that a host announces are
//! trusted and later ones are compared with them. A fleet file sets them in advance.

use super::Inventory;
use crate::keys::FleetHost;
use crate::nats::Received;
use crate::protocol::{
    HostIdentity, Inbound, InternedStr, KEY_HEADER, Name, Presence, PresenceMismatch, PublicKey, Purpose,
    SIGNATURE_HEADER, UnprovenReason, decode_signature, signed_bytes, subject_host,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of unknown hosts that are remembered as unproven.
const MAX_UNPROVEN: usize = 200;

/// Maximum number of remembered hosts, because a NATS server without permissions lets any client invent hosts.
const MAX_HOSTS: usize = 20_000;

/// What is known of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHost {
    /// Keys that it may sign with: two while a key is being replaced.
    pub keys: Vec<PublicKey>,
    /// Tier, once known.
    pub tier: Option<Name>,
    /// Subject for its requests, if it differs from `deploy.<tier>.<hostname>`.
    pub subject: Option<String>,
    /// Subjects that it listens on; empty if unknown.
    pub deploy_subjects: Vec<InternedStr>,
    /// Whether the values come from a fleet file or the configuration, so that messages never change them.
    pub is_configured: bool,
}

impl KnownHost {
    /// A host as a fleet file describes it.
    pub fn of_fleet_file(host: FleetHost) -> (Name, Self) {
        let (keys, tier) = (host.keys, Some(host.tier));
        (host.name, Self { keys, tier, is_configured: true, ..Self::default() })
    }
}

/// What is known of all hosts, shared by all subscriptions.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts(Arc<Mutex<KnownHostsState>>);

#[derive(Debug, Default)]
struct KnownHostsState {
    hosts: BTreeMap<Name, KnownHost>,
    /// The host of each key.
    owners: HashMap<String, Name>,
    /// Whether a fleet file names the keys, so that no new key is recorded.
    has_fleet_file: bool,
    /// The configured policy for unproven hosts.
    allow_unproven: Option<bool>,
    /// What messages have shown about each host.
    identities: HashMap<Name, HostIdentity>,
}

/// How far a message is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MessageTrust {
    /// Signed by the host that it names, with this key.
    Proven(PublicKey),
    /// Not proven, but used because unproven hosts are allowed.
    Unproven(UnprovenReason),
    /// Signed with an unknown key, on a subject that any host may publish to. It is not used: a reply on the host's own
    /// subject will show whose key it is.
    Early,
    /// Not used.
    Refused,
}

impl MessageTrust {
    /// Whether the message is used.
    pub(super) fn is_used(&self) -> bool {
        matches!(self, Self::Proven(_) | Self::Unproven(_))
    }
}

impl KnownHosts {
    /// Combines a fleet file and the configuration with the inventory; the former take precedence. `allow_unproven` is
    /// the configured policy; by default, unproven hosts are allowed until a key is known.
    pub fn new(
        configured: BTreeMap<Name, KnownHost>,
        has_fleet_file: bool,
        inventory: &Inventory,
        allow_unproven: Option<bool>,
    ) -> Self {
        let mut state = KnownHostsState {
            hosts: configured,
            has_fleet_file,
            allow_unproven,
            ..KnownHostsState::default()
        };
        for (name, entry) in &inventory.hosts {
            let known = state.hosts.entry(name.clone()).or_default();
            if known.keys.is_empty() {
                known.keys.extend(entry.public_key.clone());
            }
            // A host that is only expected has not announced anything yet.
            if entry.last_seen.is_some() {
                known.tier.get_or_insert_with(|| entry.tier.clone());
                known.deploy_subjects.clone_from(&entry.deploy_subjects);
            }
        }
        // The nodes of a map whose keys were inserted in order are half empty.
        state.hosts = std::mem::take(&mut state.hosts).into_iter().collect();
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

    /// Forgets what a host has announced, so that its next values are trusted, and returns it. Configured values stay.
    pub fn forget(&self, host: &Name) -> Option<KnownHost> {
        let mut state = self.state();
        state.identities.remove(host);
        let known = state.hosts.get(host).filter(|known| !known.is_configured)?.clone();
        state.hosts.remove(host);
        state.owners.retain(|_, owner| owner != host);
        Some(known)
    }

    /// Restores what was forgotten.
    pub(super) fn restore(&self, host: &Name, known: KnownHost) {
        let mut state = self.state();
        state.owners.extend(known.keys.iter().map(|key| (key.as_str().to_owned(), host.clone())));
        state.hosts.insert(host.clone(), known);
    }

    /// Whether messages of unproven hosts are used.
    pub(super) fn allows_unproven(&self) -> bool {
        self.state().allows_unproven()
    }

    /// What messages have shown about each host.
    pub(super) fn identities(&self) -> Vec<(Name, HostIdentity)> {
        let state = self.state();
        let configured = state.hosts.iter().filter(|(host, _)| !state.identities.contains_key(*host));
        let silent = configured.filter_map(|(host, known)| {
            let subject = Some(known.subject.clone()?);
            Some((
                host.clone(),
                HostIdentity { subject: subject.map(InternedStr::from), ..HostIdentity::default() },
            ))
        });
        let seen = state.identities.iter().map(|(host, identity)| (host.clone(), identity.clone()));
        seen.chain(silent).collect()
    }

    /// Checks the sender of a message. The second value is the changed identity of the host, if it has changed.
    pub(super) fn check<T>(
        &self,
        fleet: Option<&Name>,
        received: &Received<T>,
        host: &Name,
        answer: Option<&Presence>,
    ) -> (MessageTrust, Option<Inbound>) {
        let signer = signer(fleet, received);
        let mut state = self.state();
        let is_bound = subject_host(&received.subject) == Some(host.as_str());
        let proof = signer.and_then(|key| match state.doubt(host, key.clone(), is_bound) {
            None => Ok(key),
            Some(doubt) => Err(doubt),
        });
        let doubt = proof.as_ref().err().cloned();
        let admission = match proof {
            Ok(key) => MessageTrust::Proven(key),
            Err(doubt) if state.allows_unproven() => MessageTrust::Unproven(doubt),
            // A host that has just started publishes its presence before its first reply.
            Err(UnprovenReason::UnknownKey(_)) if !is_bound && !state.has_fleet_file => MessageTrust::Early,
            Err(_) => MessageTrust::Refused,
        };
        let answer = answer.filter(|_| admission.is_used());
        let doubt = doubt.filter(|_| admission == MessageTrust::Refused);
        let changed =
            state.record(host, matches!(admission, MessageTrust::Proven(_)), doubt, is_bound, answer);
        (admission, changed.map(|identity| Inbound::Identity(host.clone(), identity)))
    }

    /// Records that a message is no longer used because a key is known now.
    pub(super) fn refuse(&self, host: &Name, doubt: UnprovenReason) {
        self.state().record(host, false, Some(doubt), true, None);
    }

    fn state(&self) -> MutexGuard<'_, KnownHostsState> {
        // Every statement leaves the state consistent, so a poisoned lock can be used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownHostsState {
    fn allows_unproven(&self) -> bool {
        self.allow_unproven.unwrap_or(self.owners.is_empty())
    }

    /// Why a message with a valid signature of `key` is not proven to be from `host`. The first key on the host's own
    /// subject is recorded as the host's key.
    fn doubt(&mut self, host: &Name, key: PublicKey, is_bound: bool) -> Option<UnprovenReason> {
        if let Some(known) = self.hosts.get(host).filter(|known| !known.keys.is_empty()) {
            let is_known = known.keys.contains(&key);
            return (!is_known).then(|| UnprovenReason::OtherKey(key.as_str().to_owned()));
        }
        if let Some(owner) = self.owners.get(key.as_str()) {
            return Some(UnprovenReason::KeyOf(owner.to_string()));
        }
        if self.has_fleet_file || !is_bound || !self.has_capacity_for(host) {
            return Some(UnprovenReason::UnknownKey(key.as_str().to_owned()));
        }
        self.owners.insert(key.as_str().to_owned(), host.clone());
        self.hosts.entry(host.clone()).or_default().keys.push(key);
        None
    }

    fn has_capacity_for(&self, host: &Name) -> bool {
        self.hosts.len() < MAX_HOSTS || self.hosts.contains_key(host)
    }

    /// How a presence differs from what is known. Unknown values are recorded.
    fn compare(&mut self, answer: &Presence) -> Option<PresenceMismatch> {
        if !self.has_capacity_for(&answer.hostname) {
            return None;
        }
        let known = self.hosts.entry(answer.hostname.clone()).or_default();
        let tier = known.tier.get_or_insert_with(|| answer.tier.clone());
        if *tier != answer.tier {
            return Some(PresenceMismatch::Tier { known: tier.clone(), now: answer.tier.clone() });
        }
        if known.deploy_subjects.is_empty() {
            known.deploy_subjects.clone_from(&answer.deploy_subjects);
        }
        (known.deploy_subjects != answer.deploy_subjects).then(|| PresenceMismatch::Subjects {
            known: known.deploy_subjects.clone(),
            now: answer.deploy_subjects.clone(),
        })
    }

    /// Records what a message has shown and returns the identity if it has changed. `is_bound` is whether only this host
    /// may publish on the subject of the message.
    fn record(
        &mut self,
        host: &Name,
        proven: bool,
        doubt: Option<UnprovenReason>,
        is_bound: bool,
        answer: Option<&Presence>,
    ) -> Option<HostIdentity> {
        if !self.identities.contains_key(host) {
            let unknown = !self.hosts.contains_key(host);
            if unknown && self.identities.len() >= self.hosts.len() + MAX_UNPROVEN {
                return None;
            }
        }
        let differs = answer.map(|answer| self.compare(answer));
        let known = self.hosts.get(host);
        let subject = known.and_then(|known| known.subject.clone());
        let is_forgeable = !is_bound && known.is_some_and(|known| !known.keys.is_empty());
        let identity = self.identities.entry(host.clone()).or_default();
        let before = identity.clone();
        identity.subject = subject.map(InternedStr::from);
        identity.proven |= proven;
        if doubt.is_some() && (!is_forgeable || identity.doubt.is_none() || identity.is_forgeable) {
            (identity.doubt, identity.is_forgeable) = (doubt.map(Box::new), is_forgeable);
        }
        if let Some(differs) = differs {
            identity.differs = differs.map(Box::new);
        }
        (*identity != before).then(|| identity.clone())
    }
}

/// The key that signed a message.
fn signer<T>(fleet: Option<&Name>, received: &Received<T>) -> Result<PublicKey, UnprovenReason> {
    let header = |name: &str| {
        let mut values = received.headers.iter().filter(|(header, _)| header == name);
        values.next().map(|(_, value)| value.as_str()).filter(|_| values.next().is_none())
    };
    let (Some(key), Some(signature)) = (header(KEY_HEADER), header(SIGNATURE_HEADER)) else {
        return Err(UnprovenReason::Unsigned);
    };
    let (Ok(key), Some(signature)) = (PublicKey::parse(key), decode_signature(signature)) else {
        return Err(UnprovenReason::BadSignature);
    };
    let purpose = Purpose::of_response(&received.subject);
    let content = signed_bytes(purpose, fleet, &received.subject, &received.payload);
    if key.has_signed(&content, &signature) { Ok(key) } else { Err(UnprovenReason::BadSignature) }
}
