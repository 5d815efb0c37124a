//! Updates the inputs of a flake safely: on a new branch, with a build of all hosts. If all hosts build, the base branch is advanced;
//! otherwise a pull request with the failures is opened. An interrupted update leaves the base branch unchanged.
//!
//! See ARCHITECTURE.md, "The builder".

mod build;
mod error;
mod event;
mod forge;
mod forge_http;
mod lock;
mod options;
mod pull_request;
mod remote_url;
mod repository;
mod run;
mod subflake;
mod token;
mod worktree;

pub use error::{FailureKind, FlakeUpdateError};
pub use event::{FlakeUpdateEvent, FlakeUpdateResult, FlakeUpdateState, PullRequest};
pub use forge::ForgeError;
pub use options::{FlakeUpdateOptions, ForgeOptions, RepositorySource};
pub use run::update;
pub use subflake::Subflake;
pub use token::{Token, TokenError};
