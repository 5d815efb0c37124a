//! Files and directories, also temporary ones, that only their owner can read, independent of the umask.
//!
//! The umask of the process does not change, because child processes inherit it, and files that an activation or an
//! external rebuild program writes must often be readable by everyone.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Number of attempts to take a lock.
const MAX_LOCK_ATTEMPTS: u32 = 50;
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// The permission bits of the group and others.
const GROUP_AND_OTHERS: u32 = 0o077;
/// The permission bit of a file that every user can read.
const ALL_MAY_READ: u32 = 0o004;

/// Returns options that open a file for writing and create it with mode 0600.
pub fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Writes a file without protection against crashes.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    open_options().truncate(true).open(path)?.write_all(content)
}

/// Why a file with a secret cannot be used.
#[derive(Debug)]
pub enum SecretFileError {
    /// The file could not be opened or read.
    Unreadable(io::Error),
    /// All users of this machine can read the file.
    Exposed,
    /// The file is not one line of printable ASCII characters without spaces.
    NotASecret,
}

/// Reads a secret, such as a token: one word in a file that not all users can read.
pub fn read_secret(path: &Path) -> Result<String, SecretFileError> {
    let mode = fs::metadata(path).map_err(SecretFileError::Unreadable)?.mode();
    if mode & ALL_MAY_READ != 0 {
        return Err(SecretFileError::Exposed);
    }
    let bytes = fs::read(path).map_err(SecretFileError::Unreadable)?;
    let secret = String::from_utf8_lossy(&bytes).trim().to_owned();
    let is_word = !secret.is_empty() && secret.bytes().all(|b| b.is_ascii_graphic());
    if is_word { Ok(secret) } else { Err(SecretFileError::NotASecret) }
}

/// Locks a file, which is created if it is missing, until the returned value is dropped or the process dies. `None` if
/// another process holds the lock.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    // A pipe would block.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    let file = open_options().truncate(false).open(path);
    // An existing file can be locked without write access: the file system may have become read-only.
    let file = file.or_else(|error| File::open(path).map_err(|_| error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locks a file like [`lock`], retrying for a second: another process may only be testing the lock, or a child that a
/// killed process was about to start may hold it for a moment longer. Blocks.
pub fn lock_with_retry(path: &Path) -> io::Result<Option<File>> {
    for _ in 1..MAX_LOCK_ATTEMPTS {
        if let Some(file) = lock(path)? {
            return Ok(Some(file));
        }
        std::thread::sleep(LOCK_RETRY_INTERVAL);
    }
    lock(path)
}

/// Creates a directory and its missing parents, each with mode 0700.
pub fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Creates a directory with mode 0700 in the system's temporary directory. It is removed with its content when the result is dropped.
pub fn temporary_dir(prefix: &str) -> io::Result<TempDir> {
    let private = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(&format!("{prefix}-")).permissions(private).tempdir()
}

/// Removes the permissions of the group and others. Symlinks are not followed, and files of other users are left
/// unchanged.
pub fn restrict(path: &Path) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    if found.is_symlink() || found.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let mode = found.mode() & 0o7777;
    if mode & GROUP_AND_OTHERS != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode & !GROUP_AND_OTHERS))?;
    }
    Ok(())
}

/// Restricts a directory like [`restrict`], with everything in it.
pub fn restrict_all(path: &Path) -> io::Result<()> {
    restrict(path)?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            match restrict_all(&entry?.path()) {
                // Another process may have removed it in the meantime.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
