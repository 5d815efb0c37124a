//! Crash-safe files: written to a temporary file, synced and renamed, or appended and synced line by line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// The maximum size of a file that [`read`] reads, in bytes: far more than any file of this program has.
const MAX_READ: u64 = 16 << 20;

/// An error from writing a file, with its path.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}: {source}", path.display())]
pub struct WriteError {
    /// The file that could not be written.
    pub path: PathBuf,
    /// The operating system's reason.
    #[source]
    pub source: io::Error,
}

/// Reads a file. A file that this program cannot have written is an error of the kind [`io::ErrorKind::InvalidData`]: one
/// that is too large for the memory of a service, or a pipe, which would block.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = check_regular(path)?;
    if found.is_file() && found.len() > MAX_READ {
        let reason = format!("its size is {} bytes, expected at most {MAX_READ}", found.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    fs::read(path)
}

/// The metadata of a file or directory; an error for a pipe and the like, which would block.
pub fn check_regular(path: &Path) -> io::Result<fs::Metadata> {
    let found = fs::metadata(path)?;
    if found.is_file() || found.is_dir() {
        return Ok(found);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"))
}

/// Replaces a file: after a crash it has either the old or the new content. Only the owner can read it.
pub fn write(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    write_with(path, |file| file.write_all(content))
}

/// Replaces a file like [`write()`], with a function that writes the content.
pub fn write_with(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    replace(path, content, |_| Ok(()))
}

/// Replaces the content of another user's file. The owner and permissions stay the same, and symlinks to it keep
/// working.
pub fn rewrite(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    let error = |source| WriteError { path: path.to_owned(), source };
    let real = fs::canonicalize(path).map_err(error)?;
    let old = fs::metadata(&real).map_err(error)?;
    let copy_metadata = |file: &File| {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())
    };
    replace(&real, |file| file.write_all(content), copy_metadata)
}

fn replace(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    finish: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), WriteError> {
    // Two processes may write the same file at the same time, each through its own temporary file.
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        let mut file = BufWriter::new(file);
        content(&mut file)?;
        let file = file.into_inner()?;
        finish(&file)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_parent_dir(path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&temporary);
        WriteError { path: path.to_owned(), source }
    })
}

/// Removes a file durably, so that it does not reappear after a crash. A missing file is not an error.
pub fn remove(path: &Path) -> Result<(), WriteError> {
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_parent_dir(path),
    };
    removed.map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Removes a directory with its content. A missing directory is not an error.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Renames a damaged file or directory to `*.quarantined`, which replaces an earlier one. Returns the new path.
pub fn quarantine(path: &Path) -> io::Result<PathBuf> {
    let quarantined = path.with_extension("quarantined");
    if quarantined.is_dir() {
        remove_dir(&quarantined)?;
    }
    fs::rename(path, &quarantined)?;
    Ok(quarantined)
}

/// Quarantines a damaged file, and describes where it is then.
pub fn quarantine_described(path: &Path) -> String {
    match quarantine(path) {
        Ok(quarantined) => format!("moved to {}", quarantined.display()),
        Err(error) => format!("it could not be quarantined: {error}"),
    }
}

/// Appends whole lines to a file that only the owner can read. An incomplete line that a crash left at the end is
/// terminated first. Returns the open file.
pub fn append(path: &Path, lines: &[u8]) -> Result<File, WriteError> {
    let write = || -> io::Result<File> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        let unfinished = (last != *b"\n").then_some(b'\n');
        let bytes: Vec<u8> = unfinished.into_iter().chain(lines.iter().copied()).collect();
        file.write_all(&bytes)?;
        file.sync_data()?;
        if length == 0 {
            sync_parent_dir(path)?;
        }
        Ok(file)
    };
    write().map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Reserves disk space for data that will be appended to a file. Not every file system supports this.
#[cfg(target_os = "linux")]
pub fn preallocate(file: &File, bytes: u64) {
    use rustix::fs::{FallocateFlags, fallocate};
    if let Ok(metadata) = file.metadata() {
        let _ = fallocate(file, FallocateFlags::KEEP_SIZE, metadata.len(), bytes);
    }
}

/// Only listeners preallocate, and they run on Linux. Operators may use other systems.
#[cfg(not(target_os = "linux"))]
pub fn preallocate(_: &File, _: u64) {}

fn sync_parent_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
