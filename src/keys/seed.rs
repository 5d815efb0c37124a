//! A new credential: an nkeys user seed, written once to a file that only its owner can read.

use nkeys::KeyPair;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why a seed could not be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The nkeys crate gave no seed for a fresh key.
    #[error("could not make a new key: {0}")]
    Generate(#[source] nkeys::error::Error),
    /// The file is there already.
    #[error(
        "did not write the seed: {} exists and may hold a key in use; name another file, or move that one away",
        .0.display()
    )]
    Exists(PathBuf),
    /// The file could not be written.
    #[error(
        "could not write the seed to {}: {source}; name a file in a folder that exists and that you may write",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// A fresh user key. `Debug` shows the public half only.
pub struct Seed {
    text: String,
    public_key: String,
}

impl Seed {
    /// Makes a new key.
    pub fn generate() -> Result<Self, SeedError> {
        let pair = KeyPair::new_user();
        Ok(Self { text: pair.seed().map_err(SeedError::Generate)?, public_key: pair.public_key() })
    }

    /// The public key, `U…`: what a server is told.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The secret itself, `SU…`. It belongs into a connection's credentials and nowhere else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Writes the seed and a line end to a new file of mode 0600. A file that exists is never touched.
    pub fn write_new(&self, path: &Path) -> Result<(), SeedError> {
        let failed = |source| SeedError::Write { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
                match error.kind() {
                    ErrorKind::AlreadyExists => SeedError::Exists(path.to_owned()),
                    _ => failed(error),
                }
            })?;
        let written = file.write_all(format!("{}\n", self.text).as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| {
            // Half a seed is of no use, and would stand in the way of the next attempt.
            let _ = fs::remove_file(path);
            failed(error)
        })
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}
