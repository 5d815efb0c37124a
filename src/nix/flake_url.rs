//! The flake that a host deploys: the URL forms that can be pinned to one commit, and how they are shown.

mod parse;

use super::secrets::{percent_decoded, with_blotted, without_userinfo};
use std::fmt;
use std::path::Path;

pub use parse::FlakeUrlError;

/// Query parameters that nix knows and that are safe to show; anything else may be a token.
const KNOWN_PARAMETERS: [&str; 10] = [
    "dir",
    "host",
    "submodules",
    "shallow",
    "lfs",
    "allRefs",
    "exportIgnore",
    "narHash",
    "lastModified",
    "revCount",
];

#[derive(Clone, PartialEq, Eq)]
enum Source {
    /// `scheme` without `git+`, and all that follows `://`.
    Git {
        scheme: String,
        rest: String,
    },
    GitHub {
        owner: String,
        repo: String,
    },
    /// An absolute path.
    Path(String),
}

/// A flake URL that names no revision. `Debug` shows it without credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct FlakeUrl {
    source: Source,
    /// `name=value` each, as they were written.
    query: Vec<String>,
}

impl FlakeUrl {
    /// The flake in a folder of a work tree.
    fn in_work_tree(root: String, folder: &str, mut query: Vec<String>) -> Self {
        let within = query.iter().position(|parameter| name_of(parameter) == "dir");
        let within = within.map(|at| query.remove(at)).unwrap_or_default();
        let folders = [folder, within.split_once('=').unwrap_or_default().1];
        let folder = folders.into_iter().filter(|folder| !folder.is_empty()).collect::<Vec<_>>().join("/");
        if !folder.is_empty() {
            query.insert(0, format!("dir={folder}"));
        }
        Self { source: Source::Git { scheme: "file".to_owned(), rest: root }, query }
    }

    /// The URL that git understands; nothing for a `path:`. It holds the credentials.
    pub fn remote(&self) -> Option<String> {
        match &self.source {
            Source::Git { scheme, rest } => Some(format!("{scheme}://{rest}")),
            Source::GitHub { owner, repo } => {
                let host = self.query.iter().find_map(|parameter| parameter.strip_prefix("host="));
                Some(format!("https://{}/{owner}/{repo}.git", host.unwrap_or("github.com")))
            }
            Source::Path(_) => None,
        }
    }

    /// The folder of a `path:`.
    pub(super) fn local_path(&self) -> Option<&Path> {
        match &self.source {
            Source::Path(path) => Some(Path::new(path)),
            _ => None,
        }
    }

    /// The URL as it may be shown: no password, no token.
    pub fn without_credentials(&self) -> String {
        let known = |parameter: &&str| KNOWN_PARAMETERS.contains(&name_of(parameter));
        let query: Vec<&str> = self.query.iter().map(String::as_str).filter(known).collect();
        with_query(&without_userinfo(&self.base()), &query)
    }

    /// Takes the credentials of this URL, and the `user:password@` of any other, out of what git or nix said.
    pub fn scrub(&self, text: &str) -> String {
        let shown = |text: String, (secret, shown): &(String, String)| text.replace(secret, shown);
        let text = self.secrets().iter().fold(without_userinfo(text), shown);
        // nix encodes what it shows in its own way.
        self.secret_parameters().fold(text, |text, name| with_blotted(&text, name, |_| "***".to_owned()))
    }

    /// Blots the credentials of this URL out of a log. The text stays as long as it was, so that offsets hold.
    pub fn mask(&self, text: &str) -> String {
        let blot =
            |text: String, (secret, _): &(String, String)| text.replace(secret, &"*".repeat(secret.len()));
        let text = self.secrets().iter().fold(text.to_owned(), blot);
        self.secret_parameters()
            .fold(text, |text, name| with_blotted(&text, name, |value| "*".repeat(value.len())))
    }

    /// The URL pinned to a commit, and to the full name of the ref that holds it where one is known.
    pub(super) fn at(&self, commit: &str, reference: Option<&str>) -> String {
        let mut query: Vec<&str> = self.query.iter().map(String::as_str).collect();
        if let Source::GitHub { .. } = self.source {
            return with_query(&format!("{}/{commit}", self.base()), &query);
        }
        let reference = reference.map(|reference| format!("ref={reference}"));
        let commit = format!("rev={commit}");
        query.extend(reference.as_deref());
        query.push(&commit);
        with_query(&self.base(), &query)
    }

    /// The URL as nix takes it, naming no revision.
    pub(super) fn unpinned(&self) -> String {
        let query: Vec<&str> = self.query.iter().map(String::as_str).collect();
        with_query(&self.base(), &query)
    }

    fn base(&self) -> String {
        match &self.source {
            Source::Git { scheme, rest } => format!("git+{scheme}://{rest}"),
            Source::GitHub { owner, repo } => format!("github:{owner}/{repo}"),
            Source::Path(path) => format!("path:{path}"),
        }
    }

    /// The names of the parameters that may be secret, and have a value.
    fn secret_parameters(&self) -> impl Iterator<Item = &str> {
        let named = self.query.iter().map(|parameter| (name_of(parameter), parameter));
        let secret = |(name, parameter): &(&str, &String)| {
            !KNOWN_PARAMETERS.contains(name) && name.len() < parameter.len()
        };
        named.filter(secret).map(|(name, _)| name)
    }

    /// Each secret as it could appear by itself, and what stands in its place.
    fn secrets(&self) -> Vec<(String, String)> {
        let mut secrets = Vec::new();
        if let Source::Git { rest, .. } = &self.source
            && let Some((userinfo, _)) = authority(rest).rsplit_once('@')
        {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            // A short user is a name, and as text it could be part of any word.
            for word in [password, if user.len() < 8 { "" } else { user }] {
                for form in [word.to_owned(), percent_decoded(word)] {
                    secrets.push((form, "***".to_owned()));
                }
            }
        }
        for name in self.secret_parameters() {
            let whole = |parameter: &&String| name_of(parameter) == name;
            let parameters = self.query.iter().filter(whole).cloned();
            secrets.extend(parameters.map(|parameter| (parameter, format!("{name}=***"))));
        }
        secrets.retain(|(secret, _)| !secret.is_empty());
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        secrets
    }
}

fn name_of(parameter: &str) -> &str {
    parameter.split('=').next().unwrap_or_default()
}

fn authority(rest: &str) -> &str {
    rest.split('/').next().unwrap_or_default()
}

fn with_query(base: &str, query: &[&str]) -> String {
    if query.is_empty() { base.to_owned() } else { format!("{base}?{}", query.join("&")) }
}

impl fmt::Debug for FlakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FlakeUrl").field(&self.without_credentials()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::FlakeUrl;

    #[test]
    fn every_form_is_pinned_and_keeps_its_parameters() {
        let main = Some("refs/heads/main");
        for (text, reference, pinned) in [
            ("git+https://u:p@h/i", main, "git+https://u:p@h/i?ref=refs/heads/main&rev=C"),
            ("git+http://h/i?dir=a", main, "git+http://h/i?dir=a&ref=refs/heads/main&rev=C"),
            ("git+ssh://git@h/i", Some("refs/tags/v1"), "git+ssh://git@h/i?ref=refs/tags/v1&rev=C"),
            ("git+file:///i?token=x", None, "git+file:///i?token=x&rev=C"),
            ("github:o/r", main, "github:o/r/C"),
            ("github:o/r?dir=a&host=h", None, "github:o/r/C?dir=a&host=h"),
        ] {
            assert_eq!(text.parse::<FlakeUrl>().unwrap().at("C", reference), pinned);
        }
    }
}
