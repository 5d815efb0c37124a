//! Files that survive a power cut: written beside, synced, and moved into place, or synced line by line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}: {source}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// The operating system's reason.
    #[source]
    pub source: io::Error,
}

/// Replaces the file as a whole: after a crash it holds either the old or the new content. Only the owner can read
/// it.
pub fn write(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    write_with(path, |file| file.write_all(content))
}

/// The same with content that is made while it is written.
pub fn write_with(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    put(path, content, |_| Ok(()))
}

/// Replaces the content of a file of others: it keeps its owner and its permissions, and a link to it still leads to it.
pub fn rewrite(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    let failed = |source| WriteError { path: path.to_owned(), source };
    let real = fs::canonicalize(path).map_err(failed)?;
    let old = fs::metadata(&real).map_err(failed)?;
    let keep = |file: &File| {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())
    };
    put(&real, |file| file.write_all(content), keep)
}

fn put(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    finish: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), WriteError> {
    // Two commands may write one file at the same time, each beside it by itself.
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let put = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut file = BufWriter::new(file);
        content(&mut file)?;
        let file = file.into_inner()?;
        finish(&file)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder_of(path)
    };
    put().map_err(|source| {
        let _ = fs::remove_file(&beside);
        WriteError { path: path.to_owned(), source }
    })
}

/// Removes the file, so that it does not come back after a crash. One that is not there is as good.
pub fn remove(path: &Path) -> Result<(), WriteError> {
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder_of(path),
    };
    removed.map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Adds whole lines to the file, which only its owner can read. What a crash has left unfinished at its end becomes a
/// line of its own.
pub fn append(path: &Path, lines: &[u8]) -> Result<(), WriteError> {
    let put = || -> io::Result<()> {
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
        if length == 0 { sync_folder_of(path) } else { Ok(()) }
    };
    put().map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Keeps room on the disk for what will be added to a file. Not every file system can.
#[cfg(target_os = "linux")]
pub fn reserve(file: &File, bytes: u64) {
    use rustix::fs::{FallocateFlags, fallocate};
    if let Ok(metadata) = file.metadata() {
        let _ = fallocate(file, FallocateFlags::KEEP_SIZE, metadata.len(), bytes);
    }
}

/// No listener runs elsewhere: only operators have other systems.
#[cfg(not(target_os = "linux"))]
pub fn reserve(_: &File, _: u64) {}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
