//! A nix with a separate store: no root, no daemon, no /nix.

use std::path::{Path, PathBuf};

/// Disables binary caches and build users, so that builds run as the user of the tests.
pub(crate) const CONFIGURATION: &str = "substituters =\nsandbox = false\nbuild-users-group =\n";

/// The environment of a nix whose store, state and cache are in `home`.
pub(crate) fn own_store(home: &Path) -> [(&'static str, PathBuf); 6] {
    [
        ("HOME", home.to_owned()),
        ("XDG_CACHE_HOME", home.join("cache")),
        ("NIX_STORE_DIR", home.join("store")),
        ("NIX_STATE_DIR", home.join("var")),
        ("NIX_LOG_DIR", home.join("log")),
        ("NIX_REMOTE", PathBuf::from("local")),
    ]
}
