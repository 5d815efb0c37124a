//! The API token for the forge, and all other secrets that no message may contain.

use crate::git::{Credentials, Secrets, UrlParts};
use crate::private_file::{SecretFileError, read_secret};
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Minimum length of a secret. Shorter words could be part of any text.
const MIN_LENGTH: usize = 6;

/// A token and the path of its file. `Debug` shows only the path.
#[derive(Clone)]
pub struct Token {
    secret: String,
    file: PathBuf,
}

/// Why a token file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file could not be opened or read.
    #[error("could not read the token file {}: {source}", path.display())]
    Unreadable {
        /// The path of the token file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file does not contain a token.
    #[error("the token file {} has no token: expected the forge's token on one line", .0.display())]
    NotAToken(PathBuf),
    /// All users of this machine can read the file.
    #[error("the token file {} is readable by all users; run `chmod 600 {}` first", .0.display(), .0.display())]
    Exposed(PathBuf),
}

impl Token {
    /// Reads a token. A file that all users can read is refused.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let secret = read_secret(path).map_err(|error| {
            let path = path.to_owned();
            match error {
                SecretFileError::Unreadable(source) => TokenError::Unreadable { path, source },
                SecretFileError::Exposed => TokenError::Exposed(path),
                SecretFileError::NotASecret => TokenError::NotAToken(path),
            }
        })?;
        Ok(Self { secret, file: path.to_owned() })
    }

    /// The token, for the authorization header only.
    pub(super) fn expose(&self) -> &str {
        &self.secret
    }

    /// The token as git credentials for a server, `SCHEME://HOST[:PORT]`.
    pub(super) fn for_git(&self, origin: &str) -> Credentials {
        Credentials::for_origin(origin, "homelab-deploy", &self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Collects the token, and the passwords and users of these credentials and URLs.
pub(super) fn secrets(token: Option<&Token>, credentials: &Credentials, urls: &[&str]) -> Secrets {
    let userinfo =
        |url: &&str| Some(UrlParts::of(url)?.userinfo?.split(':').map(str::to_owned).collect::<Vec<_>>());
    let token = token.map(|token| token.expose().to_owned());
    let words = token.into_iter().chain(credentials.secrets().map(str::to_owned));
    let words = words.chain(urls.iter().filter_map(userinfo).flatten());
    words.filter(|word| word.len() >= MIN_LENGTH).map(|word| (word, "***".to_owned())).collect()
}
