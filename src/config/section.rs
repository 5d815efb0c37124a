//! What one section of the file says: a context, or the top for all of them.

use super::{ExpectedHost, Place, Setting, Unproven};
use crate::protocol::{Name, Revision};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A name for a target, as the file defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAlias {
    /// The name as it is written.
    pub name: String,
    /// What it stands for: a subject, a host, or another alias.
    pub meaning: String,
}

/// What a section says. At the top of the file only `branch`, `confirm_tiers` and `aliases` can stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// Where it begins.
    pub(super) place: Option<Place>,
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
    pub(super) broker_hosts: Option<Setting<Vec<Name>>>,
    pub(super) allowed_flakes: Option<Setting<Vec<String>>>,
    pub(super) hosts: BTreeMap<Name, Setting<ExpectedHost>>,
    /// By [`alias_key`].
    pub(super) aliases: BTreeMap<String, Setting<FileAlias>>,
}

/// What `[console]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Console {
    pub(super) shell: Option<Setting<String>>,
    pub(super) mouse: Option<Setting<bool>>,
}

/// What two spellings of one alias have in common; with `HOMELAB_DEPLOY_ALIAS_` before it, the variable of the alias.
pub fn alias_key(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}
