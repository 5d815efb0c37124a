//! Credentials: new seeds, the file that lists a fleet's public keys, and the server permissions made from it.

mod entry;
mod expiry;
mod fleet_file;
mod host_keys;
mod kind;
mod nats_config;
mod permissions;
mod rotation;
mod seed;
mod signature_check;
mod trusted_key;

pub use expiry::{ExpiryError, parse_expiry};
pub use fleet_file::{FleetFileError, User, parse_fleet_file};
pub use host_keys::{FleetHost, HostKeysError, fleet_hosts, host_keys};
pub use kind::{Kind, UnknownKind};
pub use nats_config::{render_authorization, render_authorization_at};
pub use permissions::{Credential, MCP_TIER, Permissions, Rules, permissions};
pub use rotation::{RotationError, begin_rotation, find_entry, finish_rotation};
pub use seed::{Seed, SeedError};
pub use signature_check::{Refused, Taker, bounded, near, signer};
pub use trusted_key::{TrustedKey, TrustedKeyError};
