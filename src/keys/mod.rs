//! Credentials: new seeds, the file that lists a fleet's public keys, and the server permissions made from it.

mod entry;
mod fleet_file;
mod kind;
mod nats_config;
mod permissions;
mod public_key;
mod seed;

pub use fleet_file::{FleetFileError, User, parse_fleet_file};
pub use kind::{Kind, UnknownKind};
pub use nats_config::render_authorization;
pub use permissions::{Credential, MCP_TIER, Permissions, Rules, permissions};
pub use public_key::{PublicKey, PublicKeyError, WRITE_KEY};
pub use seed::{Seed, SeedError};
