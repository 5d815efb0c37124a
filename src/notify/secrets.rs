//! The secrets of a target: its URL, token and signing secret, read from files at start.

use super::config::{NotifyTarget, TargetKind, TargetUrl, check_url};
use crate::git::{Secrets, UrlParts};
use crate::private_file::{SecretFileError, read_secret};
use crate::protocol::Name;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Minimum length of a secret that is redacted. Shorter words could be part of any text.
const MIN_LENGTH: usize = 6;
/// The prefix of a path in the directory of systemd's credentials.
const CREDENTIALS: &str = "%d";

/// What a target needs in addition to the configuration file. `Debug` shows no secret.
#[derive(Clone)]
pub struct TargetSecrets {
    pub(super) url: String,
    pub(super) token: Option<String>,
    pub(super) signing: Option<String>,
}

/// Why a file of a target cannot be used. No message contains a secret.
#[derive(Debug, thiserror::Error)]
#[error("targets.{target}.{key}: {reason}")]
pub struct TargetSecretError {
    /// The name of the target.
    pub target: Name,
    /// The key of the configuration file that names the file.
    pub key: &'static str,
    /// What is wrong with the file.
    pub reason: String,
}

impl TargetSecrets {
    /// Reads the files of a target. `credentials` is the directory of systemd's credentials.
    pub fn read(
        name: &Name,
        target: &NotifyTarget,
        credentials: Option<&Path>,
    ) -> Result<Self, TargetSecretError> {
        let error = |key, reason| TargetSecretError { target: name.clone(), key, reason };
        let secret = |key, file: &Option<PathBuf>| {
            let read = |file: &PathBuf| read(file, credentials).map_err(|reason| error(key, reason));
            file.as_ref().map(read).transpose()
        };
        let url = match &target.url {
            TargetUrl::Plain(url) => url.clone(),
            TargetUrl::File(file) => {
                let url = read(file, credentials).map_err(|reason| error("url_file", reason))?;
                let checked = check_url(&url, target.kind, target.insecure_http);
                checked.map_err(|reason| {
                    error("url_file", format!("the URL in {}: {reason}", file.display()))
                })?;
                url
            }
        };
        let token = secret("token_file", &target.token_file)?;
        let signing = secret("secret_file", &target.secret_file)?;
        Ok(Self { url, token, signing })
    }

    /// The server of the target for messages: `https://HOST[:PORT]`. The path may be a secret.
    pub fn origin(&self) -> String {
        UrlParts::of(&self.url).map(|parts| parts.origin()).unwrap_or_default()
    }

    /// All words that no message may contain.
    pub(super) fn redacted(&self, kind: TargetKind) -> Secrets {
        let path = UrlParts::of(&self.url).map(|parts| parts.path.to_owned());
        // The topic of ntfy and the path of a webhook work like a password; the one of a Matrix server does not.
        let path = path.filter(|_| kind != TargetKind::Matrix);
        let parts = path.iter().flat_map(|path| path.split(['/', '?', '&', '='])).map(str::to_owned);
        let words = self.token.iter().chain(&self.signing).cloned().chain(path.clone()).chain(parts);
        words.filter(|word| word.len() >= MIN_LENGTH).map(|word| (word, "***".to_owned())).collect()
    }
}

impl fmt::Debug for TargetSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetSecrets").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

fn read(file: &Path, credentials: Option<&Path>) -> Result<String, String> {
    let path = match (file.strip_prefix(CREDENTIALS), credentials) {
        (Ok(name), Some(directory)) => directory.join(name),
        (Ok(_), None) => {
            return Err("%d is the directory of systemd's credentials, but CREDENTIALS_DIRECTORY is not \
                        set: use LoadCredential= in the unit, or write another path"
                .to_owned());
        }
        (Err(_), _) => file.to_owned(),
    };
    let shown = path.display();
    read_secret(&path).map_err(|error| match error {
        SecretFileError::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            format!(
                "could not read {shown}: the user of this process may not; use LoadCredential= in the unit"
            )
        }
        SecretFileError::Unreadable(error) => format!("could not read {shown}: {error}"),
        SecretFileError::Exposed => {
            format!("{shown} is readable by all users; run `chmod 600 {shown}` first")
        }
        SecretFileError::NotASecret => format!("{shown} has no secret: expected one word on one line"),
    })
}
