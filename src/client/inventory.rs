//! The inventory: hosts seen before, so that a silent host is reported as missing.

use super::KnownHosts;
use crate::atomic_file::{self, WriteError};
use crate::fleet::{Host, KnownFlakes};
use crate::ordered::CollectOrdered;
use crate::private_file;
use crate::protocol::{DEPLOY_TEMPLATES, InternedStr, Name, Presence, PublicKey, expand_template};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One host as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryEntry {
    /// Tier of the host.
    pub tier: Name,
    /// Role of the host, if it has one.
    #[serde(default)]
    pub role: Option<Name>,
    /// Subjects that the host listens on.
    pub deploy_subjects: Vec<InternedStr>,
    /// Public key that signs its messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// The first flake URL that the host announced; later ones do not replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake_url: Option<InternedStr>,
    /// The last instance that the host announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InternedStr>,
    /// When the host was last seen, by the operator's clock; `None` for a host that is only expected.
    #[serde(default)]
    pub last_seen: Option<Timestamp>,
    /// Whether the host was silent in the last query, so that later queries do not wait for it.
    #[serde(default)]
    pub offline: bool,
}

/// The hosts seen before in one context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    file: Option<PathBuf>,
    /// The hosts by name; shared with a task that saves the inventory.
    pub hosts: BTreeMap<Name, Arc<InventoryEntry>>,
    accepts_new: bool,
    /// How many new hosts may still be recorded; `None` before the first query.
    capacity: Option<usize>,
    /// New hosts that the last query did not record; at most [`MAX_COUNTED`].
    unrecorded: BTreeSet<Name>,
    /// The flake URLs in the configuration, without credentials. If there are any, no other flake is looked up.
    pub allowed_flakes: BTreeSet<String>,
}

/// Maximum number of new hosts per query if others were seen before, because one host can reply under many names.
const MAX_NEW: usize = 50;
/// Maximum number of unrecorded hosts that are counted.
const MAX_COUNTED: usize = 10_000;

/// Why the inventory cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The file cannot be read.
    #[error("failed to read inventory {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is not a valid inventory.
    #[error("inventory {} is damaged ({source}); delete it to rebuild it from the hosts that reply", path.display())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// The JSON error.
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The directory of the file cannot be created.
    #[error("failed to create directory {} for the inventory: {source}", path.display())]
    CreateDir {
        /// Path of the directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl Inventory {
    /// Reads the inventory of a context. A missing file is an empty inventory.
    pub fn open(file: &Path) -> Result<Self, InventoryError> {
        let hosts = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| InventoryError::Damaged { path: file.to_owned(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(InventoryError::Read { path: file.to_owned(), source }),
        };
        Ok(Self { file: Some(file.to_owned()), hosts, ..Self::default() })
    }

    /// An empty inventory without a file, with these flake URLs from the configuration.
    pub fn allowing(flakes: BTreeSet<String>) -> Self {
        Self { allowed_flakes: flakes, ..Self::default() }
    }

    /// Starts a query: it records up to 50 new hosts, or any number if no host was seen before.
    pub fn begin_query(&mut self) {
        let any = self.accepts_new || self.hosts.values().all(|entry| entry.last_seen.is_none());
        self.capacity = Some(if any { usize::MAX } else { MAX_NEW });
        self.unrecorded.clear();
    }

    /// Records any number of new hosts from now on.
    pub fn accept_new(&mut self) {
        self.accepts_new = true;
    }

    /// Whether any number of new hosts is recorded.
    pub fn accepts_new(&self) -> bool {
        self.accepts_new
    }

    /// Number of new hosts that the query did not record.
    pub fn unrecorded(&self) -> usize {
        self.unrecorded.len()
    }

    /// Whether a host may be recorded: a known one always, a new one while the limit permits it.
    fn has_capacity_for(&mut self, host: &Name) -> bool {
        if self.hosts.contains_key(host) {
            return true;
        }
        match &mut self.capacity {
            Some(0) => {
                if self.unrecorded.len() < MAX_COUNTED {
                    self.unrecorded.insert(host.clone());
                }
                false
            }
            Some(capacity) => {
                *capacity -= 1;
                true
            }
            None => true,
        }
    }

    /// Records the presence of a host, as far as it does not contradict what is known.
    pub fn record(&mut self, answer: &Presence, known: &KnownHosts, now: Timestamp) {
        if !self.has_capacity_for(&answer.hostname) {
            return;
        }
        let known = known.of(&answer.hostname).unwrap_or_default();
        let recorded = self.hosts.get(&answer.hostname);
        // A configured key is not recorded, because it may change in the configuration.
        let public_key = known.keys.into_iter().next().filter(|_| !known.is_configured);
        // Values from before the first proof may come from another sender.
        let is_first_proof =
            |recorded: &&Arc<InventoryEntry>| recorded.public_key.is_none() && public_key.is_some();
        let believed = recorded.filter(|recorded| !is_first_proof(recorded));
        let mut entry = InventoryEntry {
            flake_url: believed.and_then(|recorded| recorded.flake_url.clone()),
            instance: believed.and_then(|recorded| recorded.instance.clone()),
            tier: known.tier.unwrap_or_else(|| answer.tier.clone()),
            role: answer.role.clone(),
            deploy_subjects: known.deploy_subjects,
            public_key,
            last_seen: Some(now),
            offline: false,
        };
        entry.record_flake(answer);
        match self.hosts.get_mut(&answer.hostname) {
            Some(recorded) if recorded.is_same_host(&entry) => {
                let recorded = Arc::make_mut(recorded);
                (recorded.last_seen, recorded.offline) = (Some(now), false);
            }
            _ => {
                self.hosts.insert(answer.hostname.clone(), Arc::new(entry));
            }
        }
    }

    /// Adds an expected host. A host seen before keeps its recorded values. A new one is not waited for and not saved,
    /// because the caller adds it again each time.
    pub fn add_expected(&mut self, host: &Name, tier: &Name, role: Option<&Name>) {
        self.hosts.entry(host.clone()).or_insert_with(|| {
            let subject = |template| expand_template(template, host, tier, role, true).ok().flatten();
            Arc::new(InventoryEntry {
                tier: tier.clone(),
                role: role.cloned(),
                deploy_subjects: DEPLOY_TEMPLATES
                    .into_iter()
                    .filter_map(subject)
                    .map(InternedStr::from)
                    .collect(),
                public_key: None,
                flake_url: None,
                instance: None,
                last_seen: None,
                offline: true,
            })
        });
    }

    /// The known flakes of the hosts, as a snapshot.
    pub fn known_flakes(&self) -> KnownFlakes {
        let of =
            |(name, entry): (&Name, &Arc<InventoryEntry>)| Some((name.clone(), entry.flake_url.clone()?));
        let instanced = self.hosts.iter().filter(|(_, entry)| entry.instance.is_some());
        KnownFlakes {
            allowed: self.allowed_flakes.clone(),
            by_host: self.hosts.iter().filter_map(of).collect_map(),
            with_instance: instanced.map(|(name, _)| name.clone()).collect_set(),
        }
    }

    /// Removes a host and returns whether it was known.
    pub fn forget(&mut self, host: &Name) -> bool {
        self.hosts.remove(host).is_some()
    }

    /// Removes the hosts last seen before `moment` and returns their names.
    pub fn forget_unseen_since(&mut self, moment: Timestamp) -> Vec<Name> {
        let is_silent = |entry: &InventoryEntry| entry.last_seen.is_some_and(|last_seen| last_seen < moment);
        let silent: Vec<_> =
            self.hosts.iter().filter(|(_, entry)| is_silent(entry)).map(|(name, _)| name.clone()).collect();
        for host in &silent {
            self.hosts.remove(host);
        }
        silent
    }

    /// Saves the inventory. If two commands save at the same time, the last one wins; the next discovery repairs the
    /// rest.
    pub fn save(&self) -> Result<(), InventoryError> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(directory) = file.parent() {
            private_file::create_dir(directory)
                .map_err(|source| InventoryError::CreateDir { path: directory.to_owned(), source })?;
        }
        Ok(atomic_file::write_with(file, |out| {
            Ok(serde_json::to_writer_pretty(out, &SeenHosts(&self.hosts))?)
        })?)
    }
}

/// Serializes only the hosts that were ever seen.
struct SeenHosts<'a>(&'a BTreeMap<Name, Arc<InventoryEntry>>);

impl Serialize for SeenHosts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(_, entry)| entry.last_seen.is_some()))
    }
}

impl InventoryEntry {
    /// Whether both entries describe the same host.
    fn is_same_host(&self, other: &Self) -> bool {
        let parts = |entry: &Self| {
            let place = (entry.tier.clone(), entry.role.clone(), entry.deploy_subjects.clone());
            (place, entry.public_key.clone(), entry.flake_url.clone(), entry.instance.clone())
        };
        parts(self) == parts(other)
    }

    /// Keeps the first flake URL and the last instance.
    fn record_flake(&mut self, answer: &Presence) {
        if self.flake_url.is_none() {
            self.flake_url.clone_from(&answer.flake_url);
        }
        if answer.instance.is_some() && self.instance != answer.instance {
            self.instance.clone_from(&answer.instance);
        }
    }

    /// Whether the host belongs to this tier and role; `None` matches any.
    pub fn is_of(&self, tier: Option<&Name>, role: Option<&Name>) -> bool {
        tier.is_none_or(|tier| *tier == self.tier) && role.is_none_or(|role| Some(role) == self.role.as_ref())
    }

    /// The host as the fleet shows it before its first message.
    pub fn to_host(&self, name: &Name) -> Host {
        let (tier, role) = (self.tier.clone(), self.role.clone());
        let mut answer =
            Presence::new(name.clone(), tier.clone(), role.clone(), self.deploy_subjects.clone());
        (answer.flake_url, answer.instance) = (self.flake_url.clone(), self.instance.clone());
        let mut host = Host::unknown(name);
        host.tier = Some(tier);
        host.role = role;
        host.last_seen = self.last_seen;
        host.answer = Some(Arc::new(answer));
        host.offline_announced = true;
        host
    }
}
