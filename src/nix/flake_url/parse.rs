//! Parses flake URLs, and explains why one cannot be deployed.

use super::{FlakeSource, FlakeUrl, advice, authority, parameter_name};
use crate::git::{Credentials, Forge, path_encoded, without_userinfo};
use std::path::Path;
use std::str::FromStr;

/// Why a flake URL is invalid. Messages show URLs without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlakeUrlError {
    /// The URL has none of the supported forms.
    #[error(
        "{0:?} is not a flake URL that can be deployed: use git+https://HOST/PATH, git+ssh://HOST/PATH, \
         git+http://HOST/PATH, git+file:///PATH, github:OWNER/REPO, gitlab:OWNER/REPO, sourcehut:~OWNER/REPO, path:/PATH \
         or an absolute path"
    )]
    UnknownForm(String),
    /// The URL can be written in a supported form, which is the second field.
    #[error("{0:?} is not a flake URL that can be deployed: write {1}")]
    WriteAs(String, String),
    /// The URL has a fragment.
    #[error("the flake URL {0} must not have a `#` part: each host adds its own; remove it")]
    Fragment(String),
    /// The URL names a branch, tag or commit.
    #[error("the flake URL {0} names a revision ({1}): remove it, each request names its own")]
    NamesRevision(String, String),
    /// The URL has a blank, a quote or another character that is not allowed in URLs.
    #[error("the flake URL {0:?} has the character {1:?}: write it percent-encoded")]
    BadCharacter(String, char),
    /// The path has such a character. Encoding does not help because nix does not decode paths.
    #[error(
        "the path {0:?} has the character {1:?}, which nix does not allow there: move the flake to a path without it, or into a \
         git repository"
    )]
    BadPath(String, char),
    /// The URL has a `%` that does not start an encoded character.
    #[error("the flake URL {0:?} has a `%` without two hexadecimal digits after it: write %25 for a `%`")]
    BadEncoding(String),
    /// The user or password contains a control character such as a line break.
    #[error("the flake URL {0} has a control character in its credentials: remove it")]
    BadCredentials(String),
}

impl FromStr for FlakeUrl {
    type Err = FlakeUrlError;

    fn from_str(text: &str) -> Result<Self, FlakeUrlError> {
        // Errors never show the query because it may contain a token.
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let shown = || without_userinfo(base);
        if text.contains('#') {
            return Err(FlakeUrlError::Fragment(without_userinfo(
                base.split('#').next().unwrap_or_default(),
            )));
        }
        let query: Vec<String> =
            query.split('&').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if let Some(part) = query.iter().find(|part| ["ref", "rev"].contains(&parameter_name(part))) {
            return Err(FlakeUrlError::NamesRevision(shown(), part.clone()));
        }
        let url = match work_tree(base) {
            Some((root, dir)) => Self::in_work_tree(root, &dir, query),
            None => {
                let credentials = Credentials::default();
                Self { source: source(base)?, query, credentials, held_credentials: false }.without_userinfo()
            }
        };
        if url.credentials.has_control_characters() {
            return Err(FlakeUrlError::BadCredentials(shown()));
        }
        // The credentials that were removed must be encoded correctly too.
        let written = if base.contains("://") { base } else { "" };
        let stray = url.unpinned().chars().chain(written.chars()).find(|c| !is_url_char(*c));
        match (&url.source, stray) {
            (FlakeSource::Path(path), Some(c)) if !path.chars().all(is_url_char) => {
                Err(FlakeUrlError::BadPath(path.clone(), c))
            }
            (FlakeSource::Path(path), None) if path.contains('%') => {
                Err(FlakeUrlError::BadPath(path.clone(), '%'))
            }
            (_, Some(c)) => Err(FlakeUrlError::BadCharacter(shown(), c)),
            (_, None) if !is_encoded(&url.unpinned()) => Err(FlakeUrlError::BadEncoding(shown())),
            (_, None) => Ok(url),
        }
    }
}

impl FlakeUrl {
    /// Moves the credentials out of the URL, so that no program gets them as an argument.
    fn without_userinfo(mut self) -> Self {
        if let FlakeSource::Git { scheme, rest } = &mut self.source
            && let Some((url, credentials)) = Credentials::split_url(&format!("{scheme}://{rest}"))
        {
            // Empty credentials mean an ssh URL with a password, which was dropped.
            self.held_credentials = credentials.is_empty() || credentials.secrets().next().is_some();
            self.credentials = credentials;
            url.split_once("://").unwrap_or_default().1.clone_into(rest);
        }
        self
    }
}

/// The root of the git work tree that contains a bare path, and the path relative to it.
///
/// nix interprets bare paths the same way. A `path:` would copy `.git` and all ignored files into the store, which all users can
/// read.
fn work_tree(base: &str) -> Option<(String, String)> {
    let path = Path::new(base).canonicalize().ok().filter(|_| base.starts_with('/'))?;
    let root = path.ancestors().find(|dir| dir.join(".git").exists())?;
    let dir = path.strip_prefix(root).ok()?;
    Some((path_encoded(root.to_str()?), path_encoded(dir.to_str()?)))
}

fn source(base: &str) -> Result<FlakeSource, FlakeUrlError> {
    let unknown = || match advice::suggest(base) {
        Some(form) => FlakeUrlError::WriteAs(without_password(base), form),
        None => FlakeUrlError::UnknownForm(without_password(base)),
    };
    let path = base.strip_prefix("path:").unwrap_or(base);
    if path.starts_with('/') {
        return Ok(FlakeSource::Path(path.to_owned()));
    }
    if let Some((forge, place)) = Forge::of_flake_url(base) {
        let place = place.strip_suffix('/').unwrap_or(place);
        let segments: Vec<&str> = place.split('/').collect();
        return match segments[..] {
            [owner, repo] if !owner.is_empty() && !repo.is_empty() => {
                // On no forge can a repository name end in `.git`.
                let repo = repo.strip_suffix(".git").filter(|repo| !repo.is_empty()).unwrap_or(repo);
                Ok(FlakeSource::Forge { forge, owner: owner.to_owned(), repo: repo.to_owned() })
            }
            [owner, repo, ref revision @ ..] if !revision.is_empty() => Err(FlakeUrlError::NamesRevision(
                format!("{}:{owner}/{repo}", forge.name()),
                revision.join("/"),
            )),
            _ => Err(unknown()),
        };
    }
    let (scheme, rest) =
        base.strip_prefix("git+").and_then(|rest| rest.split_once("://")).ok_or_else(unknown)?;
    let host = authority(rest).rsplit('@').next().unwrap_or_default();
    let complete = match scheme {
        "https" | "http" | "ssh" => {
            !host.is_empty()
                && is_port(host)
                && rest.split_once('/').is_some_and(|(_, path)| !path.is_empty())
        }
        "file" => rest.starts_with('/') && rest.len() > 1,
        _ => false,
    };
    if complete {
        Ok(FlakeSource::Git { scheme: scheme.to_owned(), rest: rest.to_owned() })
    } else {
        Err(unknown())
    }
}

/// Whether the port of the host is a number or absent.
fn is_port(host: &str) -> bool {
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

/// Whether two hexadecimal digits follow each `%`.
fn is_encoded(url: &str) -> bool {
    url.split('%').skip(1).all(|after| {
        after.as_bytes().first_chunk::<2>().is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

/// An invalid URL for display, without anything that looks like `user:password@`.
fn without_password(text: &str) -> String {
    let text = without_userinfo(text);
    // `without_userinfo` handles regular URLs. This removes credentials that are malformed or follow no scheme.
    let start = text.find("://").map_or(0, |at| at + 3);
    match text.rsplit_once('@') {
        Some((before, after)) if before.get(start..).is_some_and(|before| before.contains(':')) => {
            format!("…@{after}")
        }
        _ => text,
    }
}

/// Whether RFC 3986 allows the character in a URL. `%` is allowed as the start of an encoded character.
fn is_url_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(c)
}
