//! Reading a flake URL, and the sentences for those that cannot be deployed.

use super::{FlakeUrl, Source, authority, name_of};
use crate::nix::secrets::without_userinfo;
use std::path::Path;
use std::str::FromStr;

/// Why a text is no flake URL. The URLs in these texts have lost their credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlakeUrlError {
    /// None of the forms that can be deployed.
    #[error(
        "{0:?} is not a flake URL that can be deployed: use git+https://HOST/PATH, git+ssh://HOST/PATH, \
         git+http://HOST/PATH, git+file:///PATH, github:OWNER/REPO, path:/PATH or an absolute path"
    )]
    UnknownForm(String),
    /// The URL has a `#…` part.
    #[error("the flake URL {0} must not have a `#` part: each host adds its own; leave it out")]
    Fragment(String),
    /// The URL fixes a branch, tag or commit.
    #[error("the flake URL {0} names a revision ({1}): leave it out, each request names its own")]
    NamesRevision(String, String),
    /// A blank, a quote or another character that stands in no URL.
    #[error("the flake URL {0:?} has the character {1:?}: write it percent-encoded")]
    BadCharacter(String, char),
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
            None => Self { source: source(base)?, query },
        };
        match url.unpinned().chars().find(|c| !stands_in_a_url(*c)) {
            Some(c) => Err(FlakeUrlError::BadCharacter(shown(), c)),
            None => Ok(url),
        }
    }
}

/// The work tree of git that a bare path lies in, and where in it. As nix takes it: a `path:` would copy `.git`, and every
/// file that git ignores, into the store, which all users can read.
fn work_tree(base: &str) -> Option<(String, String)> {
    let path = Path::new(base).canonicalize().ok().filter(|_| base.starts_with('/'))?;
    let root = path.ancestors().find(|folder| folder.join(".git").exists())?;
    let folder = path.strip_prefix(root).ok()?;
    Some((root.to_str()?.to_owned(), folder.to_str()?.to_owned()))
}

fn source(base: &str) -> Result<Source, FlakeUrlError> {
    let unknown = || FlakeUrlError::UnknownForm(recognisable(base));
    let path = base.strip_prefix("path:").unwrap_or(base);
    if path.starts_with('/') {
        return Ok(Source::Path(path.to_owned()));
    }
    if let Some(place) = base.strip_prefix("github:") {
        let segments: Vec<&str> = place.split('/').collect();
        return match segments[..] {
            [owner, repo] if !owner.is_empty() && !repo.is_empty() => {
                Ok(Source::GitHub { owner: owner.to_owned(), repo: repo.to_owned() })
            }
            [owner, repo, ref revision @ ..] if !revision.is_empty() => {
                Err(FlakeUrlError::NamesRevision(format!("github:{owner}/{repo}"), revision.join("/")))
            }
            _ => Err(unknown()),
        };
    }
    let (scheme, rest) =
        base.strip_prefix("git+").and_then(|rest| rest.split_once("://")).ok_or_else(unknown)?;
    let host = authority(rest).rsplit('@').next().unwrap_or_default();
    let complete = match scheme {
        "https" | "http" | "ssh" => {
            !host.is_empty() && rest.split_once('/').is_some_and(|(_, path)| !path.is_empty())
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

/// A text that is no URL as it may be shown: what looks like `user:password@` in it is left out.
fn recognisable(text: &str) -> String {
    let text = without_userinfo(text);
    match text.rsplit_once('@') {
        Some((before, after)) if before.contains(':') => format!("…@{after}"),
        _ => text,
    }
}

/// What RFC 3986 allows, with `%` for what is encoded already.
fn stands_in_a_url(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(c)
}
