//! The roster: hosts seen before, so that a silent one is missed and not forgotten.

use super::KnownHosts;
use crate::durable::{self, WriteError};
use crate::fleet::{Host, KnownFlakes};
use crate::private;
use crate::protocol::{DEPLOY_TEMPLATES, HostAnswer, Name, PublicKey, SharedText, expand};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One host as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// Its tier.
    pub tier: Name,
    /// Its role.
    #[serde(default)]
    pub role: Option<Name>,
    /// Where it takes requests.
    pub deploy_subjects: Vec<String>,
    /// The key that its messages are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// The flake that it named when it was first seen with one; no later one replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake_url: Option<SharedText>,
    /// The instance that it sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<SharedText>,
    /// The last sign of life, by the operator's clock; none of a host that is only expected.
    #[serde(default)]
    pub seen: Option<Timestamp>,
    /// Whether it was silent when last asked; then nobody waits for it.
    #[serde(default)]
    pub offline: bool,
}

/// The hosts seen before in one context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    file: Option<PathBuf>,
    /// The hosts by name; shared with whoever writes the roster down meanwhile.
    pub hosts: BTreeMap<Name, Arc<RosterEntry>>,
    accepts_new: bool,
    /// How many new hosts may still be noted; `None` before the first query.
    room: Option<usize>,
    /// Hosts that were not noted in this query; at most [`MAX_COUNTED`].
    unlisted: BTreeSet<Name>,
    /// The flakes that the configuration names, without credentials; where it names any, no other is asked.
    pub allowed_flakes: BTreeSet<String>,
}

/// How many new hosts one query notes, if others were seen before: one host can answer in many names.
const MAX_NEW: usize = 50;
/// How many hosts that were not noted are counted.
const MAX_COUNTED: usize = 10_000;

/// Why the roster could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// It could not be read.
    #[error("could not read the roster {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It is no roster.
    #[error("the roster {} is damaged ({source}); remove it, and it is made anew from the hosts that answer", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Its folder could not be made.
    #[error("could not make the folder {} for the roster: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl Roster {
    /// Reads the roster of a context; one that does not exist yet is empty.
    pub fn open(file: &Path) -> Result<Self, RosterError> {
        let hosts = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| RosterError::Damaged { path: file.to_owned(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(RosterError::Read { path: file.to_owned(), source }),
        };
        Ok(Self { file: Some(file.to_owned()), hosts, ..Self::default() })
    }

    /// An empty one that is kept nowhere. The configuration names these flakes.
    pub fn allowing(flakes: BTreeSet<String>) -> Self {
        Self { allowed_flakes: flakes, ..Self::default() }
    }

    /// Begins a query: from now on it notes 50 new hosts, or any number if no host was seen before.
    pub fn begin_query(&mut self) {
        let any = self.accepts_new || self.hosts.values().all(|entry| entry.seen.is_none());
        self.room = Some(if any { usize::MAX } else { MAX_NEW });
        self.unlisted.clear();
    }

    /// Notes every new host from now on.
    pub fn accept_new(&mut self) {
        self.accepts_new = true;
    }

    /// Whether every new host is noted.
    pub fn accepts_new(&self) -> bool {
        self.accepts_new
    }

    /// How many new hosts the query did not note.
    pub fn unlisted(&self) -> usize {
        self.unlisted.len()
    }

    /// Whether a host is noted; a new one only while there is room.
    fn admits(&mut self, host: &Name) -> bool {
        if self.hosts.contains_key(host) {
            return true;
        }
        match &mut self.room {
            Some(0) => {
                if self.unlisted.len() < MAX_COUNTED {
                    self.unlisted.insert(host.clone());
                }
                false
            }
            Some(room) => {
                *room -= 1;
                true
            }
            None => true,
        }
    }

    /// Notes what a host said of itself, as far as that is what it is held to.
    pub fn note(&mut self, answer: &HostAnswer, known: &KnownHosts, now: Timestamp) {
        if !self.admits(&answer.hostname) {
            return;
        }
        let known = known.of(&answer.hostname).unwrap_or_default();
        let noted = self.hosts.get(&answer.hostname);
        // What is configured may change there.
        let public_key = known.keys.into_iter().next().filter(|_| !known.is_configured);
        // What was said before the host was proven may have been said by another.
        let is_first_proof = |noted: &&Arc<RosterEntry>| noted.public_key.is_none() && public_key.is_some();
        let believed = noted.filter(|noted| !is_first_proof(noted));
        let mut entry = RosterEntry {
            flake_url: believed.and_then(|noted| noted.flake_url.clone()),
            instance: believed.and_then(|noted| noted.instance.clone()),
            tier: known.tier.unwrap_or_else(|| answer.tier.clone()),
            role: answer.role.clone(),
            deploy_subjects: known.deploy_subjects,
            public_key,
            seen: Some(now),
            offline: false,
        };
        entry.note_flake(answer);
        match self.hosts.get_mut(&answer.hostname) {
            Some(noted) if noted.is_as(&entry) => {
                let noted = Arc::make_mut(noted);
                (noted.seen, noted.offline) = (Some(now), false);
            }
            _ => {
                self.hosts.insert(answer.hostname.clone(), Arc::new(entry));
            }
        }
    }

    /// Expects a host. Where it was seen before, what it said of itself stands; else nobody waits for it, and it is not
    /// written down: whoever expects it says so again.
    pub fn expect(&mut self, host: &Name, tier: &Name, role: Option<&Name>) {
        self.hosts.entry(host.clone()).or_insert_with(|| {
            let subject = |template| expand(template, host, tier, role, true).ok().flatten();
            Arc::new(RosterEntry {
                tier: tier.clone(),
                role: role.cloned(),
                deploy_subjects: DEPLOY_TEMPLATES.into_iter().filter_map(subject).collect(),
                public_key: None,
                flake_url: None,
                instance: None,
                seen: None,
                offline: true,
            })
        });
    }

    /// What is known of the flakes of hosts as of now.
    pub fn known_flakes(&self) -> KnownFlakes {
        let of = |(name, entry): (&Name, &Arc<RosterEntry>)| Some((name.clone(), entry.flake_url.clone()?));
        let instanced = self.hosts.iter().filter(|(_, entry)| entry.instance.is_some());
        KnownFlakes {
            allowed: self.allowed_flakes.clone(),
            of: self.hosts.iter().filter_map(of).collect(),
            instanced: instanced.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Forgets a host; gives whether it was known.
    pub fn forget(&mut self, host: &Name) -> bool {
        self.hosts.remove(host).is_some()
    }

    /// Forgets the hosts that were seen last before `moment`; gives which.
    pub fn forget_silent(&mut self, moment: Timestamp) -> Vec<Name> {
        let is_silent = |entry: &RosterEntry| entry.seen.is_some_and(|seen| seen < moment);
        let silent: Vec<_> =
            self.hosts.iter().filter(|(_, entry)| is_silent(entry)).map(|(name, _)| name.clone()).collect();
        for host in &silent {
            self.hosts.remove(host);
        }
        silent
    }

    /// Writes the roster down. Of two commands at once the later one's wins, and the next discovery mends it.
    pub fn save(&self) -> Result<(), RosterError> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(folder) = file.parent() {
            private::directory(folder)
                .map_err(|source| RosterError::Folder { path: folder.to_owned(), source })?;
        }
        Ok(durable::write_with(file, |out| Ok(serde_json::to_writer_pretty(out, &Seen(&self.hosts))?))?)
    }
}

/// The hosts that were ever seen.
struct Seen<'a>(&'a BTreeMap<Name, Arc<RosterEntry>>);

impl Serialize for Seen<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(_, entry)| entry.seen.is_some()))
    }
}

impl RosterEntry {
    /// Whether it says the same of the host.
    fn is_as(&self, other: &Self) -> bool {
        let parts = |entry: &Self| {
            let place = (entry.tier.clone(), entry.role.clone(), entry.deploy_subjects.clone());
            (place, entry.public_key.clone(), entry.flake_url.clone(), entry.instance.clone())
        };
        parts(self) == parts(other)
    }

    /// Keeps the first flake, and the last instance.
    fn note_flake(&mut self, answer: &HostAnswer) {
        if self.flake_url.is_none() {
            self.flake_url.clone_from(&answer.flake_url);
        }
        if answer.instance.is_some() && self.instance != answer.instance {
            self.instance.clone_from(&answer.instance);
        }
    }

    /// Whether the host belongs to this tier and role.
    pub fn is_of(&self, tier: Option<&Name>, role: Option<&Name>) -> bool {
        tier.is_none_or(|tier| *tier == self.tier) && role.is_none_or(|role| Some(role) == self.role.as_ref())
    }

    /// The host as the fleet shows it until it speaks.
    pub fn recall(&self, name: &Name) -> Host {
        let (tier, role) = (self.tier.clone(), self.role.clone());
        let mut answer =
            HostAnswer::new(name.clone(), tier.clone(), role.clone(), self.deploy_subjects.clone());
        (answer.flake_url, answer.instance) = (self.flake_url.clone(), self.instance.clone());
        let mut host = Host::unknown(name);
        host.tier = Some(tier);
        host.role = role;
        host.seen = self.seen;
        host.answer = Some(Arc::new(answer));
        host.left = true;
        host
    }
}
