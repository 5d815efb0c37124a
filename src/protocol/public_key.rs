//! The public half of a key: read from text, and used to look at signatures.

use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What to write where a public key is wrong.
pub const WRITE_KEY: &str = "write the text starting with U that `homelab-deploy keys new` printed";

/// A user's public key, `U…`.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicKey {
    text: String,
    /// Large, and copied with every message.
    pair: Arc<KeyPair>,
}

/// Why a text is no public key. It is never repeated: it could be half a seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Of an account, a server and so on.
    #[error("it is the key of another kind, {0}")]
    OtherKind(String),
    /// Something else altogether.
    #[error("it is not a public key ({0})")]
    NotAKey(String),
}

impl PublicKey {
    /// Reads a public key.
    pub fn parse(text: &str) -> Result<Self, PublicKeyError> {
        let pair = KeyPair::from_public_key(text)
            .map_err(|error| PublicKeyError::NotAKey(error.kind().as_str().to_lowercase()))?;
        match pair.key_pair_type() {
            KeyPairType::User => Ok(Self { text: text.to_owned(), pair: Arc::new(pair) }),
            other => Err(PublicKeyError::OtherKind(format!("{other:?}").to_lowercase())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this key has signed `content` so.
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
