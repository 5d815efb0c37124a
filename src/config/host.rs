//! A host that the file lists, so that it is missed where it was never heard of.

use crate::protocol::{Name, PublicKey};

/// A host that is expected to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedHost {
    /// Its tier.
    pub tier: Name,
    /// Its role.
    pub role: Option<Name>,
    /// Its public key, which its messages are checked by.
    pub public_key: Option<PublicKey>,
    /// Where it takes requests, if that is not `deploy.<tier>.<hostname>`.
    pub subject: Option<String>,
}
