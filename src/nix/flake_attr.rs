//! The name of a host's system below the `nixosConfigurations` of a flake.

use crate::protocol::Name;
use std::fmt;
use std::str::FromStr;

/// Maximum length of a domain name without its final dot, in bytes.
const MAX_BYTES: usize = 253;

/// An attribute name below `nixosConfigurations`, such as the host's name or its fully qualified domain name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlakeAttr(String);

/// An invalid attribute name.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid name below nixosConfigurations {0:?}: expected 1 to {MAX_BYTES} letters, digits, `.`, `_`, `-`, `+` or `'`, \
     as in ns1.example.org"
)]
pub struct FlakeAttrError(String);

impl FlakeAttr {
    /// Accepts only names that nix and the rebuild programs take within quotes without escaping.
    pub fn new(text: &str) -> Result<Self, FlakeAttrError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-+'".contains(c);
        if text.is_empty() || text.len() > MAX_BYTES || !text.chars().all(fits) {
            return Err(FlakeAttrError(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Name> for FlakeAttr {
    fn from(name: &Name) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl FromStr for FlakeAttr {
    type Err = FlakeAttrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for FlakeAttr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
