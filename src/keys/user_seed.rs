//! A new credential: an nkeys user seed, written once to a file that only its owner can read.

use nkeys::KeyPair;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// An error from generating or writing a seed.
#[derive(Debug, thiserror::Error)]
pub enum UserSeedError {
    /// The nkeys crate returned no seed for a new key.
    #[error("failed to generate a key: {0}")]
    Generate(#[source] nkeys::error::Error),
    /// The file already exists.
    #[error(
        "did not write the seed: {} exists and may hold a key in use; choose another path, or move that file away",
        .0.display()
    )]
    Exists(PathBuf),
    /// The file could not be written.
    #[error(
        "could not write the seed to {}: {source}; choose a path in an existing directory that you can write to",
        path.display()
    )]
    Write {
        /// The path of the seed file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// A new user key. `Debug` shows only the public key.
pub struct UserSeed {
    text: String,
    public_key: String,
}

impl UserSeed {
    /// Generates a new key.
    pub fn generate() -> Result<Self, UserSeedError> {
        let pair = KeyPair::new_user();
        Ok(Self { text: pair.seed().map_err(UserSeedError::Generate)?, public_key: pair.public_key() })
    }

    /// The public key, `U…`, for the server's configuration.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The seed, `SU…`. It is secret and only belongs in the credentials of a connection.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Writes the seed and a line end to a new file with mode 0600. An existing file is never changed.
    pub fn write_new(&self, path: &Path) -> Result<(), UserSeedError> {
        let failed = |source| UserSeedError::Write { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
                match error.kind() {
                    ErrorKind::AlreadyExists => UserSeedError::Exists(path.to_owned()),
                    _ => failed(error),
                }
            })?;
        let written = file.write_all(format!("{}\n", self.text).as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| {
            // A partial seed is useless, and the file would block the next attempt.
            let _ = fs::remove_file(path);
            failed(error)
        })
    }
}

impl fmt::Debug for UserSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSeed").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}
