//! Files and directories that only their owner can read, whatever the umask of this process is.
//!
//! The umask itself stays as it was: every program that is started has it too, and what an activation or a rebuild program
//! writes must often be readable by all.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// What everybody but the owner may do.
const OTHERS: u32 = 0o077;

/// To write a file that is made where there is none, for its owner alone.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Writes a file as a whole, without care for a crash.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    options().truncate(true).open(path)?.write_all(content)
}

/// Makes a directory and all above it that are missing, each for its owner alone.
pub fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes from everybody but the owner what a file or a directory lets them do. Links are not followed, and what belongs to
/// another user stays as it is.
pub fn tighten(path: &Path) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    if found.is_symlink() || found.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let mode = found.mode() & 0o7777;
    if mode & OTHERS != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS))?;
    }
    Ok(())
}

/// The same with all that is in a directory.
pub fn tighten_all(path: &Path) -> io::Result<()> {
    tighten(path)?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            match tighten_all(&entry?.path()) {
                // Another process may have been faster.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
