//! The kinds of credentials that exist.

use std::fmt;
use std::str::FromStr;

/// What a credential is for. See `permissions` for what each may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One host's listener.
    Listener,
    /// A person or a job that deploys to some tiers.
    Deployer,
    /// A person who may change every tier.
    Admin,
    /// Somebody who may only look.
    Viewer,
    /// The builder.
    Builder,
    /// An assistant, which may change the tier `test` only.
    Mcp,
}

/// A word that names no kind of credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of credential; there are listener, deployer, admin, viewer, builder and mcp")]
pub struct UnknownKind(pub String);

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Listener, Self::Deployer, Self::Admin, Self::Viewer, Self::Builder, Self::Mcp];

    /// The word for it, as it stands in arguments and in the fleet file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
            Self::Viewer => "viewer",
            Self::Builder => "builder",
            Self::Mcp => "mcp",
        }
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
