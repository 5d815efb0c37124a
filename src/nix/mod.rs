//! Runs nix: pins flakes to commits, builds systems, and manages profiles and garbage collector roots.
//!
//! See ARCHITECTURE.md, "The builder".

mod advice;
mod build;
mod closure;
mod command;
mod fetch_cache;
mod flake_attr;
mod flake_url;
mod hosts;
mod inputs;
mod locked;
mod post_build;
mod profile;
mod progress;
mod reboot;
mod roots;
mod units;

pub use build::{BuildError, HostBuildSpec, LogTail};
pub use closure::Closure;
pub use command::{Nix, NixCause, NixError};
pub use flake_attr::{FlakeAttr, FlakeAttrError};
pub use flake_url::{FlakeUrl, FlakeUrlError};
pub use hosts::FlakeHosts;
pub use locked::{LockedFlake, resolve, resolve_allowed};
pub use post_build::{PostBuildError, run_post_build};
pub use profile::{Generation, Profile, SYSTEM_PROFILE, SetGeneration};
pub use progress::{NixLine, ProgressReader};
pub use reboot::reboot_needed;
pub use roots::remove_root;
pub use units::{UnitChanges, parse_unit_changes};
