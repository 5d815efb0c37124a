//! The kinds of credentials.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// The kind of a credential. `permissions` defines what each kind may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "lowercase", parse_err_ty = CredentialKindError, parse_err_fn = CredentialKindError::new)]
pub enum CredentialKind {
    /// A listener of one host.
    Listener,
    /// A person or an automated job that deploys to some tiers.
    Deployer,
    /// A person who may change every tier.
    Admin,
    /// A person with read-only access.
    Viewer,
    /// The builder of the fleet.
    Builder,
    /// An AI assistant, which may only change the tier `test`.
    Mcp,
}

/// The name is not one of a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid kind {0:?}: expected listener, deployer, admin, viewer, builder or mcp")]
pub struct CredentialKindError(String);

impl CredentialKindError {
    fn new(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl CredentialKind {
    /// The name of the kind in arguments and in the fleet file.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
