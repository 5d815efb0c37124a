//! The nkey seed: read from a file, alone or in a `.creds` file, never shown.

use crate::protocol::encode_signature;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An nkey seed of a user, with its public key.
#[derive(Clone)]
pub struct Seed {
    pair: nkeys::KeyPair,
    public: String,
    /// The JWT of the user, from a `.creds` file.
    jwt: Option<String>,
    exposed: Option<PathBuf>,
}

/// The line of a `.creds` file after which the JWT stands.
const JWT_BEGINS: &str = "-----BEGIN NATS USER JWT-----";

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
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Err(SeedError::Empty(path.to_owned()));
        }
        let wrong = |hint| SeedError::NotASeed { path: path.to_owned(), hint };
        // `nk -gen user -pubout` writes the public key below the seed. People add comments, also behind it.
        let lines = || text.lines().filter_map(|line| line.split_whitespace().next());
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
        let jwt = text.split_once(JWT_BEGINS).and_then(|(_, rest)| rest.split_whitespace().next());
        Ok(Self { public: pair.public_key(), pair, jwt: jwt.map(ToOwned::to_owned), exposed })
    }

    /// The public key, `U…`.
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// The JWT that stands beside it.
    pub(super) fn jwt(&self) -> Option<&str> {
        self.jwt.as_deref()
    }

    /// What its owner should know about the file.
    pub fn warning(&self) -> Option<String> {
        self.exposed.clone().map(|path| SeedError::Exposed(path).to_string())
    }

    /// Signs `content` and gives the signature as a string.
    pub fn sign(&self, content: &[u8]) -> Result<String, nkeys::error::Error> {
        self.sign_raw(content).map(|signature| encode_signature(&signature))
    }

    /// Signs `content` and gives the 64 bytes of the signature.
    pub(super) fn sign_raw(&self, content: &[u8]) -> Result<Vec<u8>, nkeys::error::Error> {
        self.pair.sign(content)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({})", self.public)
    }
}
