//! The flake that a host deploys: the URL forms that can be pinned to one commit, and how they are shown.

mod advice;
mod parse;

use super::Credentials;
use super::credentials::is_loopback;
use super::forge::Forge;
use super::secrets::{
    path_encoded, percent_decoded, percent_encoded, ref_encoded, with_blotted, without_userinfo,
};
use std::fmt;
use std::path::{Path, PathBuf};
use tokio::process::Command;

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
    /// `scheme` without `git+`, and all that follows `://`, without credentials.
    Git {
        scheme: String,
        rest: String,
    },
    Forge {
        forge: Forge,
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
    /// What git and nix get beside the URL.
    credentials: Credentials,
    /// Whether the URL as it was written held credentials.
    held_credentials: bool,
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
        let source = Source::Git { scheme: "file".to_owned(), rest: root };
        Self { source, query, credentials: Credentials::default(), held_credentials: false }
    }

    /// The flake in a directory of a repository of git on this machine.
    pub fn in_repository(root: &str, dir: Option<&str>, submodules: bool) -> Self {
        let submodules = submodules.then(|| "submodules=1".to_owned());
        let dir = dir.map(path_encoded).unwrap_or_default();
        Self::in_work_tree(path_encoded(root), &dir, submodules.into_iter().collect())
    }

    /// With credentials of a file, where the URL itself held none.
    #[must_use]
    pub fn with_credentials(mut self, others: &Credentials) -> Self {
        let mut others = others.clone();
        if let Some((forge, host)) = self.forge() {
            others = others.on_forge(host, forge);
        }
        if let Some(origin) = self.origin() {
            others = others.reaching(&origin);
        }
        self.credentials = self.credentials.or(others);
        self
    }

    /// Whether the URL as it was written held a user or a password, which [`FlakeUrl::remote`] does not.
    pub fn held_credentials(&self) -> bool {
        self.held_credentials
    }

    /// The parameters that may be secret: git and nix get them with the URL.
    pub fn exposed_parameters(&self) -> Vec<&str> {
        self.secret_parameters().collect()
    }

    /// What a program gets in its environment, so that git and nix below it have the credentials.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.credentials.environment(|name| std::env::var(name).ok())
    }

    /// Hands the credentials to a program.
    pub(super) fn give_credentials(&self, command: &mut Command) {
        self.credentials.give(command);
    }

    /// Whether no one on the way can read what is asked there.
    pub fn is_private(&self) -> bool {
        match &self.source {
            Source::Git { scheme, rest } if scheme == "http" => is_loopback(authority(rest)),
            _ => true,
        }
    }

    /// The forge that nix downloads it from, and its host.
    pub(super) fn forge(&self) -> Option<(Forge, &str)> {
        let Source::Forge { forge, .. } = self.source else { return None };
        let other = self.query.iter().find_map(|parameter| parameter.strip_prefix("host="));
        Some((forge, other.unwrap_or(forge.host())))
    }

    /// The names that the configuration of nix may have its token by, the narrowest first.
    pub(super) fn token_names(&self) -> Vec<String> {
        match (&self.source, self.forge()) {
            (Source::Forge { owner, repo, .. }, Some((_, host))) => {
                Forge::token_names(host, owner, repo).into()
            }
            _ => Vec::new(),
        }
    }

    /// The same with this token of its forge, which git offers to no other server.
    pub(super) fn with_token(&self, token: &str) -> Option<Self> {
        let ((forge, _), origin) = (self.forge()?, self.origin()?);
        let (user, password) = forge.sign_in(token);
        let mut lent = self.clone();
        let token = Credentials::of(&origin, user, password);
        // Without TLS on this machine only, where no one can read it on the way.
        let plain = origin.strip_prefix("https://").filter(|host| is_loopback(host));
        let token = plain.map_or(token.clone(), |host| token.reaching(&format!("http://{host}")));
        lent.credentials = token.or(lent.credentials);
        Some(lent)
    }

    /// `SCHEME://HOST[:PORT]`, where HTTP is spoken.
    fn origin(&self) -> Option<String> {
        let remote = self.remote().filter(|remote| remote.starts_with("http"))?;
        let (scheme, rest) = remote.split_once("://")?;
        Some(format!("{scheme}://{}", authority(rest)))
    }

    /// The URL that git understands, without credentials; nothing for a `path:`.
    pub fn remote(&self) -> Option<String> {
        match &self.source {
            Source::Git { scheme, rest } => Some(format!("{scheme}://{rest}")),
            Source::Forge { forge, owner, repo } => {
                let (_, host) = self.forge()?;
                Some(format!("https://{host}/{}", forge.path(owner, repo)))
            }
            Source::Path(_) => None,
        }
    }

    /// The directory on this machine that it is fetched from, if it is.
    pub fn directory(&self) -> Option<PathBuf> {
        match &self.source {
            Source::Git { scheme, rest } if scheme == "file" => Some(percent_decoded(rest).into()),
            Source::Path(path) => Some(path.into()),
            _ => None,
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
        if let Source::Forge { .. } = self.source {
            return with_query(&format!("{}/{commit}", self.base()), &query);
        }
        let reference = reference.map(|reference| format!("ref={}", ref_encoded(reference)));
        let commit = format!("rev={commit}");
        query.extend(reference.as_deref());
        query.push(&commit);
        with_query(&self.base(), &query)
    }

    /// The URL as nix takes it, naming no revision.
    pub(super) fn unpinned(&self) -> String {
        let query: Vec<&str> = self.query.iter().map(String::as_str).collect();
        let base = match &self.source {
            // nix 2.8 copies a link in the place of the directory.
            Source::Path(path) if Path::new(path).is_symlink() => real(path).unwrap_or_else(|| self.base()),
            _ => self.base(),
        };
        with_query(&base, &query)
    }

    fn base(&self) -> String {
        match &self.source {
            Source::Git { scheme, rest } => format!("git+{scheme}://{rest}"),
            Source::Forge { forge, owner, repo } => format!("{}:{owner}/{repo}", forge.scheme()),
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
        for word in self.credentials.secrets() {
            for form in [word.to_owned(), percent_encoded(word)] {
                secrets.push((form, "***".to_owned()));
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

fn real(path: &str) -> Option<String> {
    Some(format!("path:{}", Path::new(path).canonicalize().ok()?.to_str()?))
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
            ("git+https://u:p@h/i", main, "git+https://h/i?ref=refs/heads/main&rev=C"),
            ("git+http://h/i?dir=a", main, "git+http://h/i?dir=a&ref=refs/heads/main&rev=C"),
            ("git+ssh://git@h/i", Some("refs/tags/v1"), "git+ssh://git@h/i?ref=refs/tags/v1&rev=C"),
            ("git+file:///i?token=x", None, "git+file:///i?token=x&rev=C"),
            (
                "git+file:///i",
                Some("refs/heads/ü/#1&rev=%+@"),
                "git+file:///i?ref=refs/heads/%C3%BC/%231%26rev%3D%25%2B%40&rev=C",
            ),
            ("gitlab:a%2Fb/r", main, "gitlab:a%2Fb/r/C"),
            ("sourcehut:~o/r", main, "sourcehut:~o/r/C"),
            ("github:o/r", main, "github:o/r/C"),
            ("github:o/r?dir=a&host=h", None, "github:o/r/C?dir=a&host=h"),
        ] {
            assert_eq!(text.parse::<FlakeUrl>().unwrap().at("C", reference), pinned);
        }
    }
}
