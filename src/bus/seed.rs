//! The nkey seed: read from a file, never shown.

use crate::protocol::encode_signature;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An nkey seed of a user, with its public key.
#[derive(Clone)]
pub struct Seed {
    secret: String,
    pair: nkeys::KeyPair,
    public: String,
    exposed: Option<PathBuf>,
}

/// Why a key file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It could not be opened or read.
    #[error("could not read the key file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It holds nothing.
    #[error("the key file {} is empty; write a seed into it, for example with `homelab-deploy keys new`", .0.display())]
    Empty(PathBuf),
    /// It holds something else.
    #[error("the key file {} holds no nkey seed of a user (a line that starts with SU){hint}", path.display())]
    NotASeed {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        hint: &'static str,
    },
    /// Everybody on this machine can read it.
    #[error("the key file {} can be read by everybody; run `chmod 600 {}` first", .0.display(), .0.display())]
    Exposed(PathBuf),
}

impl Seed {
    /// Reads a seed; a file that everybody can read is refused.
    pub fn read_private(path: &Path) -> Result<Self, SeedError> {
        let seed = Self::read(path)?;
        match seed.exposed {
            Some(path) => Err(SeedError::Exposed(path)),
            None => Ok(seed),
        }
    }

    /// Reads a seed; [`Seed::warning`] tells of a file that everybody can read.
    pub fn read(path: &Path) -> Result<Self, SeedError> {
        let unreadable = |source| SeedError::Unreadable { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(unreadable)?.mode();
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes);
        if text.trim().is_empty() {
            return Err(SeedError::Empty(path.to_owned()));
        }
        let wrong = |hint| SeedError::NotASeed { path: path.to_owned(), hint };
        // `nk -gen user -pubout` writes the public key below the seed.
        let lines = || text.lines().map(str::trim);
        let Some(secret) = lines().find(|line| line.starts_with("SU")) else {
            let public = lines().any(|line| nkeys::KeyPair::from_public_key(line).is_ok());
            let other = lines().any(|line| nkeys::KeyPair::from_seed(line).is_ok());
            return Err(wrong(match (public, other) {
                (true, _) => ": it holds a public key",
                (_, true) => ": it holds the seed of an account, operator or server",
                _ => "",
            }));
        };
        let pair = nkeys::KeyPair::from_seed(secret).map_err(|_| wrong(": the seed is damaged"))?;
        let exposed = (mode & 0o004 != 0).then(|| path.to_owned());
        Ok(Self { secret: secret.to_owned(), public: pair.public_key(), pair, exposed })
    }

    /// The public key, `U…`.
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// What its owner should know about the file.
    pub fn warning(&self) -> Option<String> {
        self.exposed.clone().map(|path| SeedError::Exposed(path).to_string())
    }

    /// Signs `content` and gives the signature as text.
    pub fn sign(&self, content: &[u8]) -> Result<String, nkeys::error::Error> {
        self.pair.sign(content).map(|signature| encode_signature(&signature))
    }

    pub(super) fn secret(&self) -> String {
        self.secret.clone()
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({})", self.public)
    }
}
