//! The settings of one section of the file: a context, or the top level for all contexts.

use super::{Location, Setting};
use crate::protocol::{Name, PublicKey, Revision};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use strum::{Display, IntoStaticStr};

/// An alias for a target, as the file defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAlias {
    /// The alias as the file spells it.
    pub name: String,
    /// The target: a subject, a host or another alias.
    pub meaning: String,
}

/// The settings of a section. The top level allows only `branch`, `confirm_tiers` and `aliases`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// The position of the section header.
    pub(super) location: Option<Location>,
    pub(super) nats_url: Option<Setting<String>>,
    pub(super) nkey_file: Option<Setting<PathBuf>>,
    pub(super) tls_ca: Option<Setting<PathBuf>>,
    pub(super) tls_cert: Option<Setting<PathBuf>>,
    pub(super) tls_key: Option<Setting<PathBuf>>,
    pub(super) fleet: Option<Setting<PathBuf>>,
    pub(super) fleet_name: Option<Setting<Name>>,
    pub(super) unproven: Option<Setting<Unproven>>,
    pub(super) flake_credentials: Option<Setting<PathBuf>>,
    pub(super) branch: Option<Setting<Revision>>,
    pub(super) confirm_tiers: Option<Setting<Vec<Name>>>,
    pub(super) nats_hosts: Option<Setting<Vec<Name>>>,
    pub(super) allowed_flakes: Option<Setting<Vec<String>>>,
    pub(super) hosts: BTreeMap<Name, Setting<ExpectedHost>>,
    /// By [`alias_key`].
    pub(super) aliases: BTreeMap<String, Setting<FileAlias>>,
}

/// A key below a table of `[console]`, with its value or values. The console knows which keys and values are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleEntry {
    /// The key.
    pub name: Setting<String>,
    /// The values; one, unless the key takes a list.
    pub values: Vec<Setting<String>>,
}

/// The settings of `[console]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsoleSection {
    pub(super) shell: Option<Setting<String>>,
    pub(super) mouse: Option<Setting<bool>>,
    pub(super) title: Option<Setting<bool>>,
    pub(super) progress: Option<Setting<bool>>,
    pub(super) notify: Option<Setting<bool>>,
    pub(super) bell: Option<Setting<bool>>,
    /// Names of the columns about the deployment.
    pub columns: Option<Setting<Vec<Setting<String>>>>,
    /// Names of the columns about the system.
    pub system_columns: Option<Setting<Vec<Setting<String>>>>,
    /// Keys of commands.
    pub keys: Vec<ConsoleEntry>,
    /// Styles.
    pub theme: Vec<ConsoleEntry>,
    /// Names for the start of a command line.
    pub aliases: Vec<ConsoleEntry>,
}

/// Normalizes an alias, so that spellings that differ in case or in `-` and `_` are the same alias. With
/// `HOMELAB_DEPLOY_ALIAS_` in front, it is the environment variable of the alias.
pub fn alias_key(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// A host that is expected to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedHost {
    /// The tier that the host belongs to.
    pub tier: Name,
    /// The role within the tier.
    pub role: Option<Name>,
    /// The key that signs the messages of the host.
    pub public_key: Option<PublicKey>,
    /// The request subject, if it is not `deploy.<tier>.<hostname>`.
    pub subject: Option<String>,
}

/// How to treat hosts that are not proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Unproven {
    /// Treat them as proven, because the older tool's listeners do not sign.
    Allow,
    /// Show them, and send them nothing.
    Refuse,
}

impl Unproven {
    /// The name in the configuration file.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl FromStr for Unproven {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Allow, Self::Refuse];
        let known = all.into_iter().find(|setting| setting.as_str() == text);
        known.ok_or_else(|| format!("invalid value {text:?}: expected \"allow\" or \"refuse\""))
    }
}
