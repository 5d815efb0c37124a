//! nix and git as programs: which flake, which commit of it, its build, and what becomes of the result in the store.

mod build;
mod call;
mod closure;
mod flake_url;
mod git;
mod hosts;
mod inputs;
mod locked;
mod post_build;
mod process;
mod profile;
mod progress;
mod reboot;
mod refs;
mod remote;
mod resolve_error;
mod roots;
mod secrets;
mod tail;
mod units;

pub use build::{BuildError, BuildOrder};
pub use call::{Nix, NixCause, NixError};
pub use closure::Closure;
pub use flake_url::{FlakeUrl, FlakeUrlError};
pub use git::{Git, GitError};
pub use hosts::Hosts;
pub use locked::{Locked, resolve};
pub use post_build::{PostBuildError, post_build};
pub use profile::{Generation, Profile, SYSTEM_PROFILE, SetTo};
pub use progress::{NixLine, ProgressReader};
pub use reboot::reboot_needed;
pub use resolve_error::ResolveError;
pub use roots::drop_root;
pub use secrets::without_userinfo;
pub use tail::LogTail;
pub use units::{Units, units_of_activation};
