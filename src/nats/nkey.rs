//! The nkey seed: read from a seed file or a `.creds` file, and never shown.

use crate::protocol::encode_signature;
use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A user nkey seed, with its public key.
#[derive(Clone)]
pub struct Nkey {
    pair: nkeys::KeyPair,
    public: String,
    /// The user JWT from a `.creds` file.
    jwt: Option<String>,
    world_readable: Option<PathBuf>,
}

/// Maximum length that is read of a key file, which may be a pipe, in bytes.
const MAX_KEY_FILE: u64 = 1 << 20;

/// The line before the JWT in a `.creds` file.
const JWT_HEADER: &str = "-----BEGIN NATS USER JWT-----";

/// An error from reading a seed.
#[derive(Debug, thiserror::Error)]
pub enum NkeyError {
    /// The file could not be opened or read.
    #[error("could not read the key file {}: {source}", path.display())]
    Unreadable {
        /// The path of the seed file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file is empty.
    #[error("the key file {} is empty; write a seed into it, for example with `homelab-deploy keys new`", .0.display())]
    Empty(PathBuf),
    /// The file does not contain a user seed.
    #[error("the key file {} contains no user seed (a line that starts with SU){hint}", path.display())]
    NoSeed {
        /// The path of the seed file.
        path: PathBuf,
        /// What the file contains instead, if known.
        hint: &'static str,
    },
    /// The file contains several user seeds.
    #[error("the key file {} contains several user seeds; keep the one to use, and move the others to files of their own", .0.display())]
    ManySeeds(PathBuf),
    /// All users of this machine can read the file.
    #[error("the key file {} is readable by all users; run `chmod 600 {}` first", .0.display(), .0.display())]
    WorldReadable(PathBuf),
}

impl Nkey {
    /// Reads a seed, and rejects a file that is readable by all users.
    pub fn read_private(path: &Path) -> Result<Self, NkeyError> {
        let nkey = Self::read(path)?;
        match nkey.world_readable {
            Some(path) => Err(NkeyError::WorldReadable(path)),
            None => Ok(nkey),
        }
    }

    /// Reads a seed. [`Nkey::warning`] reports a file that is readable by all users.
    pub fn read(path: &Path) -> Result<Self, NkeyError> {
        let unreadable = |source| NkeyError::Unreadable { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(unreadable)?.mode();
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_KEY_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Err(NkeyError::Empty(path.to_owned()));
        }
        let wrong = |hint| NkeyError::NoSeed { path: path.to_owned(), hint };
        // `nk -gen user -pubout` writes the public key below the seed. Users may add comments, also on the same line.
        let lines = || text.lines().filter_map(|line| line.split_whitespace().next());
        let mut seeds = lines().filter(|line| line.starts_with("SU"));
        let Some(secret) = seeds.next() else {
            let public = lines().any(|line| nkeys::KeyPair::from_public_key(line).is_ok());
            let other = lines().any(|line| nkeys::KeyPair::from_seed(line).is_ok());
            return Err(wrong(match (public, other) {
                (true, _) => ": it contains a public key",
                (_, true) => ": it contains the seed of an account, operator or server",
                _ => "",
            }));
        };
        if seeds.any(|other| other != secret) {
            return Err(NkeyError::ManySeeds(path.to_owned()));
        }
        let pair = nkeys::KeyPair::from_seed(secret).map_err(|_| wrong(": the seed is damaged"))?;
        let world_readable = (mode & 0o004 != 0).then(|| path.to_owned());
        let jwt = text.split_once(JWT_HEADER).and_then(|(_, rest)| rest.split_whitespace().next());
        Ok(Self { public: pair.public_key(), pair, jwt: jwt.map(ToOwned::to_owned), world_readable })
    }

    /// Generates a key that is only in memory.
    pub fn generate() -> Self {
        let pair = nkeys::KeyPair::new_user();
        Self { public: pair.public_key(), pair, jwt: None, world_readable: None }
    }

    /// The public key, `U…`.
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// The JWT from the same file.
    pub(super) fn jwt(&self) -> Option<&str> {
        self.jwt.as_deref()
    }

    /// A warning for the owner of the file.
    pub fn warning(&self) -> Option<String> {
        self.world_readable.clone().map(|path| NkeyError::WorldReadable(path).to_string())
    }

    /// Signs `content` and returns the encoded signature.
    pub fn sign(&self, content: &[u8]) -> Result<String, nkeys::error::Error> {
        self.sign_raw(content).map(|signature| encode_signature(&signature))
    }

    /// Signs `content` and returns the 64 bytes of the signature.
    pub(super) fn sign_raw(&self, content: &[u8]) -> Result<Vec<u8>, nkeys::error::Error> {
        self.pair.sign(content)
    }
}

impl fmt::Debug for Nkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nkey({})", self.public)
    }
}
