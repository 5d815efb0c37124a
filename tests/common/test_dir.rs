//! A temporary directory of a test.

use super::processes::kill_users;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A temporary directory. On drop, every process that uses it is killed, because it could write there again, and then
/// the directory is removed.
pub struct TestDir(Option<TempDir>);

impl TestDir {
    pub fn new() -> Self {
        Self(Some(TempDir::new().unwrap()))
    }

    pub fn new_in(parent: &Path) -> Self {
        Self(Some(TempDir::new_in(parent).unwrap()))
    }

    pub fn path(&self) -> &Path {
        self.0.as_ref().unwrap().path()
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let path = self.0.take().unwrap().keep();
        kill_users(&path);
        let removed = fs::remove_dir_all(&path).or_else(|_| {
            // nix makes store paths read-only, which prevents their removal.
            let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&path).status();
            fs::remove_dir_all(&path)
        });
        let is_gone = !path.exists();
        assert!(is_gone || std::thread::panicking(), "failed to remove {}: {removed:?}", path.display());
    }
}
