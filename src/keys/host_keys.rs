//! The hosts of a fleet file with their public keys, by which operators check who has sent a message.

use super::{Credential, FleetFileError, User, parse_fleet_file};
use crate::protocol::{Name, PublicKey};
use std::io;
use std::path::{Path, PathBuf};

/// A host of a fleet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetHost {
    /// Its name.
    pub name: Name,
    /// Its tier.
    pub tier: Name,
    /// The keys that it may sign with.
    pub keys: Vec<PublicKey>,
}

/// Why the hosts of a fleet file are not known.
#[derive(Debug, thiserror::Error)]
pub enum HostKeysError {
    /// It could not be read.
    #[error("failed to read the fleet file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It is not a fleet file.
    #[error("the fleet file {}: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FleetFileError,
    },
}

/// Reads the hosts of a fleet file.
pub fn host_keys(path: &Path) -> Result<Vec<FleetHost>, HostKeysError> {
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|source| HostKeysError::Read { path: path.to_owned(), source })?;
    let invalid = |source| HostKeysError::Invalid { path: path.to_owned(), source };
    Ok(fleet_hosts(&parse_fleet_file(&text).map_err(invalid)?))
}

/// The hosts among the users of a fleet file.
pub fn fleet_hosts(users: &[User]) -> Vec<FleetHost> {
    let host = |user: &User| match &user.credential {
        Credential::Listener { host, tier, .. } => {
            // The fleet file's reader has checked them.
            let keys = user.public_keys().filter_map(|key| PublicKey::parse(key).ok()).collect();
            Some(FleetHost { name: host.clone(), tier: tier.clone(), keys })
        }
        _ => None,
    };
    users.iter().filter_map(host).collect()
}
