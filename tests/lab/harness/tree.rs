//! The tree that all hosts boot from, made by `scripts/lab-tree` where it is not there yet.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

static TREE: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lab-tree");
    let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "no tree to boot from; `make lab` as root installs what it needs");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
});

/// Where it lies.
pub(super) fn tree() -> &'static Path {
    &TREE
}

/// The scripts that the harness gives to hosts and closures.
pub(super) fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/guest").join(name)
}
