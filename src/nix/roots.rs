//! Garbage collector roots: links that protect a store path and its dependencies.

use super::command::{Nix, NixCause, NixError, run_command};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Maximum size of nix's output, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;

impl Nix {
    /// Creates or replaces the link `DIR/NAME`, which protects a store path until the link is removed.
    pub async fn add_root(&self, dir: &Path, name: &str, store_path: &Path) -> Result<PathBuf, NixError> {
        let root = dir.join(name);
        let operation = || format!("add the root {} for {}", root.display(), store_path.display());
        // For anything but a link, nix would fail only after it has created a temporary link.
        if root.symlink_metadata().is_ok_and(|found| !found.is_symlink()) {
            return Err(NixCause::UnexpectedOutput("the path exists and is not a link; move it away".into())
                .context(operation()));
        }
        let mut command = self.program("nix-store");
        command.arg("--realise").arg(store_path).arg("--add-root").arg(&root).arg("--indirect");
        run_command(command, MAX_OUTPUT).await.map_err(|cause| cause.context(operation()))?;
        Ok(root)
    }
}

/// Removes a root, so that the next garbage collection may delete what only this root protected. Succeeds if it does not exist.
pub fn remove_root(root: &Path) -> Result<(), NixError> {
    let remove = || -> Result<(), NixCause> {
        match root.symlink_metadata() {
            Ok(found) if !found.is_symlink() => {
                return Err(NixCause::UnexpectedOutput("it is not a link; check what it is".into()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Ok(_) => fs::remove_file(root)?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    };
    remove().map_err(|cause| cause.context(format!("remove the root {}", root.display())))
}
