//! Credentials: new seeds, the fleet file with all public keys, and the server permissions derived from it.
//!
//! See ARCHITECTURE.md, "Messages and keys".

mod credential_kind;
mod fleet_file;
mod key_expiry;
mod nats_config;
mod permissions;
mod replay_guard;
mod rotation;
mod signature_check;
mod trusted_key;
mod user_seed;

pub use credential_kind::{CredentialKind, CredentialKindError};
pub use fleet_file::{
    FleetFileError, FleetHost, FleetOperator, User, fleet_hosts, fleet_operators, parse_fleet_file,
    read_fleet_file, read_host_keys,
};
pub use key_expiry::KeyExpiry;
pub use nats_config::{render_authorization, render_authorization_at};
pub use permissions::{Credential, MCP_TIER, Permissions, SubjectRules, permissions};
pub use replay_guard::ReplayGuard;
pub use rotation::{RotationError, find_entry, finish_rotation, start_rotation};
pub use signature_check::{Recipient, SignatureRejection, check_clock, check_lifetime, verify_signer};
pub use trusted_key::{ExpiryError, TrustedKey, TrustedKeyError, parse_expiry};
pub use user_seed::{UserSeed, UserSeedError};
