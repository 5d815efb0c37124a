//! nix and git as programs: which flake, and which commit of it.

mod flake_url;
mod locked;
mod refs;
mod remote;
mod resolve_error;
mod secrets;

pub use flake_url::{FlakeUrl, FlakeUrlError};
pub use locked::{Locked, resolve};
pub use resolve_error::ResolveError;
