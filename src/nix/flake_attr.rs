//! The name of a system below the `nixosConfigurations` of a flake.

use crate::protocol::Name;
use std::fmt;
use std::str::FromStr;

/// The length of the longest domain name, without the dot at its end.
const MAX_BYTES: usize = 253;

/// The name of an attribute below `nixosConfigurations`, as the host's own name or its full domain name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlakeAttr(String);

/// Why a text is no name of a system.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no name below nixosConfigurations; give its name alone, of 1 to {MAX_BYTES} letters, digits, `.`, `_`, `-`, `+` or `'`, \
     as in ns1.example.org"
)]
pub struct FlakeAttrError(String);

impl FlakeAttr {
    /// Takes a name that nix and every program that rebuilds take within quotes without an escape.
    pub fn new(text: &str) -> Result<Self, FlakeAttrError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-+'".contains(c);
        if text.is_empty() || text.len() > MAX_BYTES || !text.chars().all(fits) {
            return Err(FlakeAttrError(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
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
