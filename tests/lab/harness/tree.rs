//! The root directory that all hosts boot from; `scripts/lab-tree` creates it if it is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

static TREE: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lab-tree");
    let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "no tree to boot from; `make lab` as root installs what it needs");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
});

/// Path of the tree.
pub(super) fn tree() -> &'static Path {
    &TREE
}

/// Path of a script that the harness gives to hosts and closures.
pub(super) fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/guest").join(name)
}
