//! The roster: hosts seen before, so that a silent one is missed and not forgotten.

use crate::durable::{self, WriteError};
use crate::fleet::Host;
use crate::protocol::{DEPLOY_TEMPLATES, HostAnswer, Name, expand};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
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
}

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
        Ok(Self { file: Some(file.to_owned()), hosts })
    }

    /// Notes what a host said of itself.
    pub fn note(&mut self, answer: &HostAnswer, now: Timestamp) {
        if let Some(known) = self.hosts.get_mut(&answer.hostname)
            && known.is_told_by(answer)
        {
            let known = Arc::make_mut(known);
            (known.seen, known.offline) = (Some(now), false);
            return;
        }
        let entry = RosterEntry {
            tier: answer.tier.clone(),
            role: answer.role.clone(),
            deploy_subjects: answer.deploy_subjects.clone(),
            seen: Some(now),
            offline: false,
        };
        self.hosts.insert(answer.hostname.clone(), Arc::new(entry));
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
                seen: None,
                offline: true,
            })
        });
    }

    /// Forgets a host; gives whether it was known.
    pub fn forget(&mut self, host: &Name) -> bool {
        self.hosts.remove(host).is_some()
    }

    /// Writes the roster down. Of two commands at once the later one's wins, and the next discovery mends it.
    pub fn save(&self) -> Result<(), RosterError> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)
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
    /// Whether a host says of itself what is known of it.
    fn is_told_by(&self, answer: &HostAnswer) -> bool {
        (&self.tier, &self.role, &self.deploy_subjects)
            == (&answer.tier, &answer.role, &answer.deploy_subjects)
    }

    /// Whether the host belongs to this tier and role.
    pub fn is_of(&self, tier: Option<&Name>, role: Option<&Name>) -> bool {
        tier.is_none_or(|tier| *tier == self.tier) && role.is_none_or(|role| Some(role) == self.role.as_ref())
    }

    /// The host as the fleet shows it until it speaks.
    pub fn recall(&self, name: &Name) -> Host {
        let (tier, role) = (self.tier.clone(), self.role.clone());
        let answer = HostAnswer::new(name.clone(), tier.clone(), role.clone(), self.deploy_subjects.clone());
        let mut host = Host::unknown(name);
        host.tier = Some(tier);
        host.role = role;
        host.seen = self.seen;
        host.answer = Some(Arc::new(answer));
        host.left = true;
        host
    }
}
