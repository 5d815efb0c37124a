//! Reading a flake URL, and the sentences for those that cannot be deployed.

use super::{FlakeUrl, Source, advice, authority, name_of};
use crate::nix::Credentials;
use crate::nix::forge::Forge;
use crate::nix::secrets::{path_encoded, without_userinfo};
use std::path::Path;
use std::str::FromStr;

/// Why a text is no flake URL. The URLs in these texts have lost their credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlakeUrlError {
    /// None of the forms that can be deployed.
    #[error(
        "{0:?} is not a flake URL that can be deployed: use git+https://HOST/PATH, git+ssh://HOST/PATH, \
         git+http://HOST/PATH, git+file:///PATH, github:OWNER/REPO, gitlab:OWNER/REPO, sourcehut:~OWNER/REPO, path:/PATH \
         or an absolute path"
    )]
    UnknownForm(String),
    /// Another form of something that can be deployed.
    #[error("{0:?} is not a flake URL that can be deployed: write {1}")]
    WriteAs(String, String),
    /// The URL has a `#…` part.
    #[error("the flake URL {0} must not have a `#` part: each host adds its own; leave it out")]
    Fragment(String),
    /// The URL fixes a branch, tag or commit.
    #[error("the flake URL {0} names a revision ({1}): leave it out, each request names its own")]
    NamesRevision(String, String),
    /// A blank, a quote or another character that stands in no URL.
    #[error("the flake URL {0:?} has the character {1:?}: write it percent-encoded")]
    BadCharacter(String, char),
    /// Not so in a path, of which nix decodes nothing.
    #[error(
        "the path {0:?} has the character {1:?}, which nix does not take there: move the flake to a path without it, or into a \
         git repository"
    )]
    BadPath(String, char),
    /// A `%` that begins no encoded character.
    #[error("the flake URL {0:?} has a `%` without two hexadecimal digits after it: write %25 for a `%`")]
    BadEncoding(String),
    /// The user or the password holds a line end or the like.
    #[error("the flake URL {0} has a control character in its credentials: leave it out")]
    BadCredentials(String),
}

impl FromStr for FlakeUrl {
    type Err = FlakeUrlError;

    fn from_str(text: &str) -> Result<Self, FlakeUrlError> {
        // Whatever is wrong with the text, its query may hold a token.
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let shown = || without_userinfo(base);
        if text.contains('#') {
            return Err(FlakeUrlError::Fragment(without_userinfo(
                base.split('#').next().unwrap_or_default(),
            )));
        }
        let query: Vec<String> =
            query.split('&').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if let Some(part) = query.iter().find(|part| ["ref", "rev"].contains(&name_of(part))) {
            return Err(FlakeUrlError::NamesRevision(shown(), part.clone()));
        }
        let url = match work_tree(base) {
            Some((root, folder)) => Self::in_work_tree(root, &folder, query),
            None => {
                let credentials = Credentials::default();
                Self { source: source(base)?, query, credentials, held_credentials: false }.without_userinfo()
            }
        };
        if url.credentials.has_control_characters() {
            return Err(FlakeUrlError::BadCredentials(shown()));
        }
        // What was taken out of it is encoded as the rest.
        let written = if base.contains("://") { base } else { "" };
        let stray = url.unpinned().chars().chain(written.chars()).find(|c| !stands_in_a_url(*c));
        match (&url.source, stray) {
            (Source::Path(path), Some(c)) if !path.chars().all(stands_in_a_url) => {
                Err(FlakeUrlError::BadPath(path.clone(), c))
            }
            (Source::Path(path), None) if path.contains('%') => {
                Err(FlakeUrlError::BadPath(path.clone(), '%'))
            }
            (_, Some(c)) => Err(FlakeUrlError::BadCharacter(shown(), c)),
            (_, None) if !is_encoded(&url.unpinned()) => Err(FlakeUrlError::BadEncoding(shown())),
            (_, None) => Ok(url),
        }
    }
}

impl FlakeUrl {
    /// Takes the credentials out of the URL, so that no program gets them as an argument.
    fn without_userinfo(mut self) -> Self {
        if let Source::Git { scheme, rest } = &mut self.source
            && let Some((url, credentials)) = Credentials::taken_from(&format!("{scheme}://{rest}"))
        {
            // Of ssh only what has a password comes here.
            self.held_credentials = credentials.is_empty() || credentials.secrets().next().is_some();
            self.credentials = credentials;
            url.split_once("://").unwrap_or_default().1.clone_into(rest);
        }
        self
    }
}

/// The work tree of git that a bare path lies in, and where in it. As nix takes it: a `path:` would copy `.git`, and every
/// file that git ignores, into the store, which all users can read.
fn work_tree(base: &str) -> Option<(String, String)> {
    let path = Path::new(base).canonicalize().ok().filter(|_| base.starts_with('/'))?;
    let root = path.ancestors().find(|folder| folder.join(".git").exists())?;
    let folder = path.strip_prefix(root).ok()?;
    Some((path_encoded(root.to_str()?), path_encoded(folder.to_str()?)))
}

fn source(base: &str) -> Result<Source, FlakeUrlError> {
    let unknown = || match advice::instead_of(base) {
        Some(form) => FlakeUrlError::WriteAs(recognisable(base), form),
        None => FlakeUrlError::UnknownForm(recognisable(base)),
    };
    let path = base.strip_prefix("path:").unwrap_or(base);
    if path.starts_with('/') {
        return Ok(Source::Path(path.to_owned()));
    }
    if let Some((forge, place)) = Forge::of(base) {
        let place = place.strip_suffix('/').unwrap_or(place);
        let segments: Vec<&str> = place.split('/').collect();
        return match segments[..] {
            [owner, repo] if !owner.is_empty() && !repo.is_empty() => {
                // No forge lets the name of a repository end so.
                let repo = repo.strip_suffix(".git").filter(|repo| !repo.is_empty()).unwrap_or(repo);
                Ok(Source::Forge { forge, owner: owner.to_owned(), repo: repo.to_owned() })
            }
            [owner, repo, ref revision @ ..] if !revision.is_empty() => Err(FlakeUrlError::NamesRevision(
                format!("{}:{owner}/{repo}", forge.scheme()),
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
        Ok(Source::Git { scheme: scheme.to_owned(), rest: rest.to_owned() })
    } else {
        Err(unknown())
    }
}

/// Whether a number follows the host, or nothing.
fn is_port(host: &str) -> bool {
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

/// Whether two digits follow each `%`.
fn is_encoded(url: &str) -> bool {
    url.split('%').skip(1).all(|after| {
        after.as_bytes().first_chunk::<2>().is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

/// A text that is no URL as it may be shown: what looks like `user:password@` in it is left out.
fn recognisable(text: &str) -> String {
    let text = without_userinfo(text);
    // What follows a scheme has lost its user and password, unless it is written in an odd way.
    let start = text.find("://").map_or(0, |at| at + 3);
    match text.rsplit_once('@') {
        Some((before, after)) if before.get(start..).is_some_and(|before| before.contains(':')) => {
            format!("…@{after}")
        }
        _ => text,
    }
}

/// What RFC 3986 allows, with `%` for what is encoded already.
fn stands_in_a_url(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(c)
}
