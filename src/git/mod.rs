//! Runs git: looks up and chooses commits of remote repositories, verifies their signatures, and passes credentials to their servers.
//!
//! See ARCHITECTURE.md, "The builder".

mod access_tokens;
mod command;
mod commit_cache;
mod commit_choice;
mod commit_log;
mod commit_policy;
mod commit_signature;
mod commit_signers;
mod credentials;
mod error;
mod failure;
mod forge;
mod netrc;
mod refs;
mod remote;
mod ssh;
mod url;

pub use access_tokens::EXPERIMENTAL_FEATURES;
pub use command::{Git, GitError};
pub use commit_choice::CommitChoice;
pub use commit_log::{CommitDistance, CommitLog, LoggedCommit};
pub use commit_policy::{CommitPolicy, PreviousCommits};
pub use commit_signers::{CommitSigners, SignersError};
pub use credentials::{Credentials, CredentialsError, is_loopback, without_port};
pub use error::{CommitRefused, ResolveError};
pub use failure::{access_advice, is_denied, last_lines, read_advice};
pub use forge::{Forge, HostedRepository, PullRequestApi};
pub use remote::Remote;
pub use ssh::{env_var, use_batch_mode};
pub use url::{
    Secrets, UrlParts, path_encoded, percent_decoded, percent_encoded, redact_parameter, ref_encoded,
    without_userinfo,
};
