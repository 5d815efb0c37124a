//! The TOML file that lists a fleet's hosts and operators with their public keys.

use super::Kind;
use super::entry::{Entry, type_of};
use super::permissions::{Credential, MCP_TIER};
use crate::protocol::{Name, NameError, holds_seed};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

const WRITE_TIER: &str = "write tier = \"prod\", or another tier's name";
const WRITE_ROLE: &str = "write role = \"dns\", or leave it out";
const WRITE_TIERS: &str = "write tiers = [\"prod\"], or other tiers' names";
const WRITE_MCP_TIERS: &str = "write tiers = [\"test\"], or leave it out";
const WRITE_KIND: &str = "write deployer, admin, viewer, builder or mcp";

/// Why a fleet file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FleetFileError {
    /// Not TOML.
    #[error("line {line} is not TOML: {why}")]
    NotToml {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        why: String,
    },
    /// A secret stands where only public keys belong.
    #[error(
        "line {line} holds a seed, which is secret; write the public key that belongs to it, the text starting \
         with U, and make a new key if others have seen this file"
    )]
    Seed {
        /// Counted from 1.
        line: usize,
    },
    /// Neither hosts nor operators: a server configured so would let everybody in.
    #[error("it names no host and no operator; write at least one [hosts.<name>] or [operators.<name>]")]
    Empty,
    /// A section that does not exist.
    #[error(
        "there is no section `{0}`; the sections are [hosts.<name>] and [operators.<name>], and above them there may be \
         base_subjects = false"
    )]
    UnknownSection(String),
    /// `hosts = 3`.
    #[error("{0} is not a section; write [{0}.<name>] for each of its entries")]
    NotASection(&'static str),
    /// A host or operator whose name is none.
    #[error("[{section}] has an entry that cannot be named so: {source}")]
    BadName {
        /// `hosts` or `operators`.
        section: &'static str,
        /// What is wrong with the name.
        source: NameError,
    },
    /// A field is missing, unknown or wrong.
    #[error("{path}: {why}; {instead}")]
    Field {
        /// `hosts.ns1.tier`.
        path: String,
        /// What is wrong with it.
        why: String,
        /// What to write.
        instead: String,
    },
    /// One key for two, which would have the permissions of one.
    #[error("{first} and {second} have the same public_key; give each its own by `homelab-deploy keys new`")]
    SameKey {
        /// One entry.
        first: String,
        /// The other.
        second: String,
    },
}

/// Somebody whom the server lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who it is, as in the fleet file: `hosts.ns1`.
    pub entry: String,
    /// The public key, `U…`.
    pub public_key: String,
    /// The key that replaces it: both are accepted until the rotation is finished.
    pub next_public_key: Option<String>,
    /// The first moment at which it is left out of the server's configuration; `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
    /// What it may do.
    pub credential: Credential,
}

impl User {
    /// Its public keys: one, or two during a rotation.
    pub fn public_keys(&self) -> impl Iterator<Item = &str> {
        [Some(&self.public_key), self.next_public_key.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// Since when it is expired, if it is.
    pub fn expired_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at.filter(|expires_at| *expires_at <= now)
    }
}

/// Reads a fleet file: hosts, then operators, each in the order of their names. An admin gets every tier that any
/// entry names.
pub fn parse_fleet_file(text: &str) -> Result<Vec<User>, FleetFileError> {
    // First of all, so that no later error can repeat a seed.
    if let Some(line) = text.lines().position(holds_seed) {
        return Err(FleetFileError::Seed { line: line + 1 });
    }
    let mut file: Table = toml::from_str(text).map_err(|error| FleetFileError::NotToml {
        line: error
            .span()
            .map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1),
        why: error.message().replace('\n', ", "),
    })?;
    let base_subjects = base_subjects(&mut file)?;
    let mut users = section(&mut file, "hosts", host)?;
    users.extend(section(&mut file, "operators", operator)?);
    if let Some(unknown) = file.keys().next() {
        return Err(FleetFileError::UnknownSection(unknown.clone()));
    }
    if users.is_empty() {
        return Err(FleetFileError::Empty);
    }
    check_keys_differ(&users)?;
    give_admins_all_tiers(&mut users);
    for user in &mut users {
        if let Credential::Listener { base_subjects: own, .. } = &mut user.credential {
            *own = base_subjects;
        }
    }
    Ok(users)
}

/// Whether hosts may publish where operators of the older tool hear them; yes, unless the file says no.
fn base_subjects(file: &mut Table) -> Result<bool, FleetFileError> {
    match file.remove("base_subjects") {
        None => Ok(true),
        Some(Value::Boolean(flag)) => Ok(flag),
        Some(other) => Err(FleetFileError::Field {
            path: "base_subjects".to_owned(),
            why: format!("it is {}, not true or false", type_of(&other)),
            instead: "write base_subjects = false, or leave it out".to_owned(),
        }),
    }
}

/// Reads each entry of one section.
fn section(
    file: &mut Table,
    section: &'static str,
    read: fn(&Name, &mut Entry) -> Result<Credential, FleetFileError>,
) -> Result<Vec<User>, FleetFileError> {
    let Some(value) = file.remove(section) else { return Ok(Vec::new()) };
    let Value::Table(entries) = value else { return Err(FleetFileError::NotASection(section)) };
    let user = |(name, value): (String, Value)| {
        let name = Name::new(name).map_err(|source| FleetFileError::BadName { section, source })?;
        let mut entry = Entry::new(format!("{section}.{name}"), value)?;
        let credential = read(&name, &mut entry)?;
        let (public_key, next_public_key) = entry.public_keys()?;
        let expires_at = entry.expires()?;
        Ok(User { entry: entry.path, public_key, next_public_key, expires_at, credential })
    };
    entries.into_iter().map(user).collect()
}

fn host(name: &Name, entry: &mut Entry) -> Result<Credential, FleetFileError> {
    entry.only_fields_of(Kind::Listener)?;
    let tier = entry.required("tier", WRITE_TIER)?;
    let tier = entry.name("tier", tier, WRITE_TIER)?;
    let role = entry.optional_name("role", WRITE_ROLE)?;
    let confirm_peers = entry.flag("confirm_peers")?;
    // What the file says for all hosts is known once every entry is read.
    Ok(Credential::Listener { host: name.clone(), tier, role, confirm_peers, base_subjects: true })
}

fn operator(name: &Name, entry: &mut Entry) -> Result<Credential, FleetFileError> {
    let word = entry.required("kind", WRITE_KIND)?;
    let unknown = |_| entry.wrong("kind", format!("{word:?} is no kind of operator"), WRITE_KIND);
    let kind = word.parse().map_err(unknown)?;
    if kind != Kind::Listener {
        entry.only_fields_of(kind)?;
    }
    match kind {
        Kind::Listener => {
            let instead = format!("write [hosts.{name}] with its tier and public_key");
            Err(entry.wrong("kind", "a listener belongs to a host", instead))
        }
        Kind::Deployer => {
            let tiers: BTreeSet<Name> =
                entry.names("tiers", WRITE_TIERS)?.unwrap_or_default().into_iter().collect();
            if tiers.is_empty() {
                return Err(entry.wrong("tiers", "a deployer needs at least one tier", WRITE_TIERS));
            }
            Ok(Credential::Deployer { tiers, builds: entry.flag("builds")? })
        }
        Kind::Mcp => {
            let tiers = entry.names("tiers", WRITE_MCP_TIERS)?;
            if tiers.is_some_and(|tiers| !tiers.iter().map(Name::as_str).eq([MCP_TIER])) {
                return Err(entry.wrong("tiers", "an mcp deploys to that tier alone", WRITE_MCP_TIERS));
            }
            Ok(Credential::Mcp { builds: entry.flag("builds")? })
        }
        // Its tiers are known once every entry is read.
        Kind::Admin => Ok(Credential::Admin { tiers: BTreeSet::new() }),
        Kind::Viewer => Ok(Credential::Viewer),
        Kind::Builder => Ok(Credential::Builder),
    }
}

fn check_keys_differ(users: &[User]) -> Result<(), FleetFileError> {
    let mut seen = BTreeMap::new();
    for user in users {
        for key in user.public_keys() {
            if let Some(first) = seen.insert(key, &user.entry) {
                return Err(FleetFileError::SameKey { first: first.clone(), second: user.entry.clone() });
            }
        }
    }
    Ok(())
}

fn give_admins_all_tiers(users: &mut [User]) {
    let named = |user: &User| match &user.credential {
        Credential::Listener { tier, .. } => BTreeSet::from([tier.clone()]),
        Credential::Deployer { tiers, .. } => tiers.clone(),
        Credential::Mcp { .. } => Name::new(MCP_TIER).into_iter().collect(),
        Credential::Admin { .. } | Credential::Viewer | Credential::Builder => BTreeSet::new(),
    };
    let every: BTreeSet<Name> = users.iter().flat_map(named).collect();
    for user in users {
        if let Credential::Admin { tiers } = &mut user.credential {
            tiers.clone_from(&every);
        }
    }
}
