//! nix and git as programs: which flake, which commit of it, and how far a build is.

mod flake_url;
mod locked;
mod process;
mod progress;
mod refs;
mod remote;
mod resolve_error;
mod secrets;

pub use flake_url::{FlakeUrl, FlakeUrlError};
pub use locked::{Locked, resolve};
pub use progress::{NixLine, ProgressReader};
pub use resolve_error::ResolveError;
