//! Public keys, which verify signatures.

use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The advice for an invalid public key.
pub const PUBLIC_KEY_HINT: &str = "write the key starting with U that `homelab-deploy keys new` printed";

/// The public key of a user, `U…`.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicKey {
    text: String,
    /// Shared, because it is large and copied with every message.
    pair: Arc<KeyPair>,
}

/// An invalid public key. The message never repeats it, because it could be part of a seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// The key of an account, a server or another kind.
    #[error("it is a key of type {0}, expected a user key")]
    OtherKind(String),
    /// The string is not a public key at all.
    #[error("it is not a public key ({0})")]
    NotAKey(String),
}

impl PublicKey {
    /// Parses a public key.
    pub fn parse(text: &str) -> Result<Self, PublicKeyError> {
        let pair = KeyPair::from_public_key(text)
            .map_err(|error| PublicKeyError::NotAKey(error.kind().as_str().to_lowercase()))?;
        match pair.key_pair_type() {
            KeyPairType::User => Ok(Self { text: text.to_owned(), pair: Arc::new(pair) }),
            other => Err(PublicKeyError::OtherKind(format!("{other:?}").to_lowercase())),
        }
    }

    /// The key as a string, `U…`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `signature` is a valid signature of `content` by this key.
    pub fn has_signed(&self, content: &[u8], signature: &[u8]) -> bool {
        self.pair.verify(content, signature).is_ok()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(text: String) -> Result<Self, PublicKeyError> {
        Self::parse(&text)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        Self::parse(text)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.text)
    }
}
