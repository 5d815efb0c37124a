//! The token for the forge: read from a file, never shown.

use crate::nix::Credentials;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A token, and the file it came from.
#[derive(Clone)]
pub struct Token {
    secret: String,
    file: PathBuf,
}

/// Why a token file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It could not be opened or read.
    #[error("could not read the token file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It holds nothing that could be a token.
    #[error("the token file {} holds no token: write the token of the forge into it, on one line", .0.display())]
    NotAToken(PathBuf),
    /// Everybody on this machine can read it.
    #[error("the token file {} can be read by everybody; run `chmod 600 {}` first", .0.display(), .0.display())]
    Exposed(PathBuf),
}

impl Token {
    /// Reads a token; a file that everybody can read is refused.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(unreadable)?.mode();
        if mode & 0o004 != 0 {
            return Err(TokenError::Exposed(path.to_owned()));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let secret = String::from_utf8_lossy(&bytes).trim().to_owned();
        if secret.is_empty() || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TokenError::NotAToken(path.to_owned()));
        }
        Ok(Self { secret, file: path.to_owned() })
    }

    /// The token itself. It belongs into a header and nowhere else.
    pub(super) fn expose(&self) -> &str {
        &self.secret
    }

    /// The same for git at this server, `SCHEME://HOST[:PORT]`.
    pub(super) fn for_git(&self, origin: &str) -> Credentials {
        Credentials::of(origin, "homelab-deploy", &self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("file", &self.file).finish_non_exhaustive()
    }
}
