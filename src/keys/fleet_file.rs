//! The TOML file that lists a fleet's hosts and operators with their public keys.

use super::permissions::{Credential, MCP_TIER};
use super::{CredentialKind, TrustedKey, parse_expiry};
use crate::config::{ConfigReader, InvalidFile, ProblemKind, Setting, TomlKey, TomlValue};
use crate::ordered::CollectOrdered;
use crate::protocol::{Name, PUBLIC_KEY_HINT, PublicKey};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys of the file itself.
const TOP: [&str; 3] = ["hosts", "operators", "base_subjects"];
const WRITE_KEY: &str = "public_key = \"U…\", as printed by `homelab-deploy keys new`";
const KINDS: &str = "deployer, admin, viewer, builder or mcp";
const WRITE_KIND: &str = "kind = \"deployer\", or admin, viewer, builder or mcp";

/// Why a fleet file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FleetFileError {
    /// The file could not be read.
    #[error("could not read the fleet file {}: {source}", path.display())]
    Read {
        /// The path of the fleet file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file has invalid content.
    #[error(transparent)]
    Invalid(#[from] InvalidFile),
}

/// A user of the NATS server: a host or an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The path in the fleet file, such as `hosts.ns1`.
    pub entry: String,
    /// The public key, `U…`.
    pub public_key: String,
    /// The key that replaces it. Both are accepted until the rotation is finished.
    pub next_public_key: Option<String>,
    /// When the user is removed from the server's configuration; `None` if it never expires.
    pub expires_at: Option<Timestamp>,
    /// The kind of credential, which determines the permissions.
    pub credential: Credential,
}

impl User {
    /// The public keys: one, or two during a rotation.
    pub fn public_keys(&self) -> impl Iterator<Item = &str> {
        [Some(&self.public_key), self.next_public_key.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// The time of expiry, if it is in the past.
    pub fn expired_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at.filter(|expires_at| *expires_at <= now)
    }
}

/// Reads a fleet file. Returns its text and its users.
pub fn read_fleet_file(path: &Path) -> Result<(String, Vec<User>), FleetFileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| FleetFileError::Read { path: path.to_owned(), source })?;
    let users = parse_fleet_file(&text, path)?;
    Ok((text, users))
}

/// Parses the text of the fleet file at `path`. Returns the hosts, then the operators, each sorted by name. An admin gets all tiers in
/// the file.
pub fn parse_fleet_file(text: &str, path: &Path) -> Result<Vec<User>, InvalidFile> {
    ConfigReader::read(text, path, None, read_users)
}

fn read_users(reader: &mut ConfigReader<'_>, file: &Spanned<DeTable<'_>>) -> Vec<User> {
    let (mut users, mut base_subjects) = (Vec::new(), true);
    let mut keys = BTreeMap::new();
    for (key, value) in file.get_ref() {
        match key.get_ref().as_ref() {
            section @ ("hosts" | "operators") => {
                for (key, value) in reader.table(section, value).into_iter().flatten() {
                    let user = read_user(reader, section, key, value);
                    if let Some(user) = &user {
                        check_keys(reader, user, &key.span(), &mut keys);
                    }
                    users.extend(user);
                }
            }
            // Whether hosts may publish on the reply subjects of the older tool.
            "base_subjects" => {
                base_subjects = reader.boolean("base_subjects", value).is_none_or(|flag| flag.value);
            }
            _ => reader.unknown_key(key, "the file", &TOP),
        }
    }
    // A server without users would accept everyone.
    if users.is_empty() && reader.problems.is_empty() {
        let (missing, example) = ("hosts or operators", "at least one [hosts.NAME] or [operators.NAME]");
        reader.push_problem(&(0..0), ProblemKind::Missing { key: "the file".to_owned(), missing, example });
    }
    grant_admins_all_tiers(&mut users);
    for user in &mut users {
        if let Credential::Listener { base_subjects: own, .. } = &mut user.credential {
            *own = base_subjects;
        }
    }
    users
}

/// Requires that no other entry has the keys of this one, because a key has only one set of permissions.
fn check_keys(
    reader: &mut ConfigReader<'_>,
    user: &User,
    span: &Range<usize>,
    keys: &mut BTreeMap<String, String>,
) {
    for key in user.public_keys() {
        if let Some(first) = keys.insert(key.to_owned(), user.entry.clone()) {
            let reason = format!(
                "it has the same public_key as {first}: generate a separate key for each with `homelab-deploy keys new`"
            );
            reader.push_problem(span, ProblemKind::BadValue { key: user.entry.clone(), reason });
        }
    }
}

/// The fields of an entry, as far as they are valid.
#[derive(Default)]
struct FleetFileEntry {
    tier: Option<Name>,
    role: Option<Name>,
    tiers: Option<Vec<Name>>,
    builds: bool,
    confirm_peers: bool,
    public_key: Option<String>,
    next_public_key: Option<String>,
    expires_at: Option<Timestamp>,
}

/// Reads an entry. `None` if it has problems.
fn read_user(
    reader: &mut ConfigReader<'_>,
    section: &str,
    key: &TomlKey<'_>,
    value: &TomlValue<'_>,
) -> Option<User> {
    let before = reader.problems.len();
    let name = reader.name(section, key)?;
    let title = format!("{section}.{name}");
    let fields = reader.table(&title, value)?;
    let kind = if section == "hosts" {
        CredentialKind::Listener
    } else if let Some((_, value)) = fields.iter().find(|(field, _)| field.get_ref() == "kind") {
        operator_kind(reader, &title, value)?
    } else {
        let missing = ProblemKind::Missing { key: title, missing: "kind", example: WRITE_KIND };
        reader.push_problem(&key.span(), missing);
        return None;
    };
    let mut entry = FleetFileEntry::default();
    for (field, value) in fields {
        entry.field(reader, &title, kind, field, value);
    }
    let has = |field: &str| fields.keys().any(|known| known.get_ref() == field);
    let required = [
        ("tier", kind == CredentialKind::Listener, "tier = \"prod\", or another tier's name"),
        ("tiers", kind == CredentialKind::Deployer, "tiers = [\"prod\"], or other tiers' names"),
        ("public_key", true, WRITE_KEY),
    ];
    for (missing, _, example) in required.into_iter().filter(|(field, needed, _)| *needed && !has(field)) {
        reader.push_problem(&key.span(), ProblemKind::Missing { key: title.clone(), missing, example });
    }
    if reader.problems.len() > before {
        return None;
    }
    let tiers = entry.tiers.unwrap_or_default().into_iter().collect_set();
    let credential = match kind {
        CredentialKind::Listener => Credential::Listener {
            host: name,
            tier: entry.tier?,
            role: entry.role,
            confirm_peers: entry.confirm_peers,
            // The value for all hosts is known only after every entry is parsed.
            base_subjects: true,
        },
        CredentialKind::Deployer => Credential::Deployer { tiers, builds: entry.builds },
        CredentialKind::Mcp => Credential::Mcp { builds: entry.builds },
        // The tiers of an admin are known only after every entry is parsed.
        CredentialKind::Admin => Credential::Admin { tiers },
        CredentialKind::Viewer => Credential::Viewer,
        CredentialKind::Builder => Credential::Builder,
    };
    let FleetFileEntry { public_key, next_public_key, expires_at, .. } = entry;
    Some(User { entry: title, public_key: public_key?, next_public_key, expires_at, credential })
}

fn operator_kind(
    reader: &mut ConfigReader<'_>,
    title: &str,
    value: &TomlValue<'_>,
) -> Option<CredentialKind> {
    let path = format!("{title}.kind");
    let word = reader.string(&path, value)?.value;
    match word.parse() {
        Ok(CredentialKind::Listener) => {
            let host = title.replacen("operators", "hosts", 1);
            reader.invalid_value(
                &path,
                value,
                format!("a listener belongs to a host: write [{host}] with its tier"),
            );
            None
        }
        Ok(kind) => Some(kind),
        Err(_) => {
            reader.invalid_value(&path, value, format!("invalid kind {word:?}: expected {KINDS}"));
            None
        }
    }
}

impl FleetFileEntry {
    fn field(
        &mut self,
        reader: &mut ConfigReader<'_>,
        title: &str,
        kind: CredentialKind,
        field: &TomlKey<'_>,
        value: &TomlValue<'_>,
    ) {
        let (path, known) = (format!("{title}.{}", field.get_ref()), fields_of(kind));
        match field.get_ref().as_ref() {
            other if !known.contains(&other) => reader.unknown_key(field, &format!("[{title}]"), known),
            "tier" => self.tier = valid(reader.parse(&path, value)),
            "role" => self.role = valid(reader.parse(&path, value)),
            "tiers" => {
                self.tiers = valid(reader.names(&path, value));
                let tiers = self.tiers.as_deref();
                if kind == CredentialKind::Deployer && tiers == Some(&[]) {
                    reader.invalid_value(&path, value, "a deployer needs at least one tier");
                }
                let is_test = |tiers: &[Name]| tiers.iter().map(Name::as_str).eq([MCP_TIER]);
                if kind == CredentialKind::Mcp && !tiers.is_none_or(is_test) {
                    let reason = "an mcp credential may only deploy to the tier test: write [\"test\"], or leave it out";
                    reader.invalid_value(&path, value, reason);
                }
            }
            "builds" => self.builds = valid(reader.boolean(&path, value)).unwrap_or_default(),
            "confirm_peers" => self.confirm_peers = valid(reader.boolean(&path, value)).unwrap_or_default(),
            own @ ("public_key" | "next_public_key") => {
                let key = public_key(reader, &path, value);
                if key.is_some() && (key == self.public_key || key == self.next_public_key) {
                    reader.invalid_value(&path, value, "public_key and next_public_key are the same");
                }
                *(if own == "public_key" { &mut self.public_key } else { &mut self.next_public_key }) = key;
            }
            "expires" => self.expires_at = expiry(reader, &path, value),
            // `kind` was read before.
            _ => {}
        }
    }
}

fn valid<T>(setting: Option<Setting<T>>) -> Option<T> {
    setting.map(|setting| setting.value)
}

/// Reads a public key. A problem never repeats it, because it could be part of a seed.
fn public_key(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> Option<String> {
    let key = reader.string(path, value)?.value;
    match PublicKey::parse(&key) {
        Ok(_) => Some(key),
        Err(error) => {
            reader.invalid_value(path, value, format!("{error}; {PUBLIC_KEY_HINT}"));
            None
        }
    }
}

/// Reads an expiry date: a string or a TOML date.
fn expiry(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> Option<Timestamp> {
    let text = match value.get_ref() {
        DeValue::Datetime(date) => date.to_string(),
        _ => reader.string(path, value)?.value,
    };
    parse_expiry(&text).map_err(|error| reader.invalid_value(path, value, error)).ok()
}

/// The fields of each kind of entry.
fn fields_of(kind: CredentialKind) -> &'static [&'static str] {
    match kind {
        CredentialKind::Listener => &["tier", "role", "confirm_peers", "public_key", "next_public_key"],
        CredentialKind::Deployer | CredentialKind::Mcp => {
            &["kind", "tiers", "builds", "public_key", "next_public_key", "expires"]
        }
        CredentialKind::Admin | CredentialKind::Viewer | CredentialKind::Builder => {
            &["kind", "public_key", "next_public_key", "expires"]
        }
    }
}

fn grant_admins_all_tiers(users: &mut [User]) {
    let named = |user: &User| match &user.credential {
        Credential::Listener { tier, .. } => BTreeSet::from([tier.clone()]),
        Credential::Deployer { tiers, .. } => tiers.clone(),
        Credential::Mcp { .. } => Name::new(MCP_TIER).into_iter().collect_set(),
        Credential::Admin { .. } | Credential::Viewer | Credential::Builder => BTreeSet::new(),
    };
    let every: BTreeSet<Name> = users.iter().flat_map(named).collect_set();
    for user in users {
        if let Credential::Admin { tiers } = &mut user.credential {
            tiers.clone_from(&every);
        }
    }
}

/// A host of a fleet file, with its public keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetHost {
    /// The host name, from the section's title.
    pub name: Name,
    /// The tier that the host belongs to.
    pub tier: Name,
    /// The keys that the host may sign with: one, or two during a rotation.
    pub keys: Vec<PublicKey>,
}

/// Reads the hosts of a fleet file, with their keys.
pub fn read_host_keys(path: &Path) -> Result<Vec<FleetHost>, FleetFileError> {
    Ok(fleet_hosts(&read_fleet_file(path)?.1))
}

/// An operator of a fleet file who may change hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetOperator {
    /// The keys: one, or two during a rotation.
    pub keys: Vec<TrustedKey>,
    /// The tiers whose hosts it may change.
    pub tiers: BTreeSet<Name>,
}

/// Selects the operators who may change hosts among the users of a fleet file.
pub fn fleet_operators(users: &[User]) -> Vec<FleetOperator> {
    let operator = |user: &User| {
        let tiers = match &user.credential {
            Credential::Deployer { tiers, .. } | Credential::Admin { tiers } => tiers.clone(),
            // An assistant may not control the rollouts of others.
            Credential::Mcp { .. }
            | Credential::Viewer
            | Credential::Builder
            | Credential::Listener { .. } => return None,
        };
        let key = |key| Some(TrustedKey { key: PublicKey::parse(key).ok()?, expires_at: user.expires_at });
        Some(FleetOperator { keys: user.public_keys().filter_map(key).collect(), tiers })
    };
    users.iter().filter_map(operator).collect()
}

/// Selects the hosts among the users of a fleet file.
pub fn fleet_hosts(users: &[User]) -> Vec<FleetHost> {
    let host = |user: &User| match &user.credential {
        Credential::Listener { host, tier, .. } => {
            // The keys are valid, because `parse_fleet_file` has checked them.
            let keys = user.public_keys().filter_map(|key| PublicKey::parse(key).ok()).collect();
            Some(FleetHost { name: host.clone(), tier: tier.clone(), keys })
        }
        _ => None,
    };
    users.iter().filter_map(host).collect()
}
