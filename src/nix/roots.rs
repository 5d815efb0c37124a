//! Garbage collector roots: links in a folder of ours that keep a store path and all it needs.

use super::call::{Nix, NixCause, NixError, call};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The most that is read of what nix prints for a root, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;

impl Nix {
    /// Keeps a store path for as long as the link `FOLDER/NAME` is there, which it makes or replaces.
    pub async fn keep(&self, folder: &Path, name: &str, store_path: &Path) -> Result<PathBuf, NixError> {
        let root = folder.join(name);
        let doing = || format!("keep {} by the root {}", store_path.display(), root.display());
        // nix replaces any link, and fails on anything else only after it has made a temporary one.
        if root.symlink_metadata().is_ok_and(|found| !found.is_symlink()) {
            return Err(
                NixCause::Odd("something that is no link is there; move it away".into()).when(doing())
            );
        }
        let mut command = self.program("nix-store");
        command.arg("--realise").arg(store_path).arg("--add-root").arg(&root).arg("--indirect");
        call(command, MAX_OUTPUT).await.map_err(|cause| cause.when(doing()))?;
        Ok(root)
    }
}

/// Gives up a root: the next garbage collection may take what only this one kept. One that is gone already is as good.
pub fn drop_root(root: &Path) -> Result<(), NixError> {
    let remove = || -> Result<(), NixCause> {
        match root.symlink_metadata() {
            Ok(found) if !found.is_symlink() => {
                return Err(NixCause::Odd("it is no link; look at what is there".into()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Ok(_) => fs::remove_file(root)?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    };
    remove().map_err(|cause| cause.when(format!("give up the root {}", root.display())))
}
