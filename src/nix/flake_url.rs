//! The URL of a flake: the forms that can be pinned to one commit, and how to display them without secrets.

mod advice;
mod parse;

use crate::git::{
    Credentials, Forge, HostedRepository, Remote, Secrets, UrlParts, is_loopback, path_encoded,
    percent_decoded, redact_parameter, ref_encoded, without_userinfo,
};
use std::fmt;
use std::path::{Path, PathBuf};

pub use parse::FlakeUrlError;

/// Query parameters that nix knows and that are safe to display. Any other may be a token.
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
enum FlakeSource {
    /// `scheme` is without `git+`; `rest` is the part after `://`, without credentials.
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
    source: FlakeSource,
    /// The parameters as written, each `name=value`.
    query: Vec<String>,
    /// Credentials, which git and nix get separately from the URL.
    credentials: Credentials,
    /// Whether the URL contained credentials when it was parsed.
    held_credentials: bool,
}

impl FlakeUrl {
    /// The flake in a directory of a git work tree.
    fn in_work_tree(root: String, dir: &str, mut query: Vec<String>) -> Self {
        let parameter = query.iter().position(|parameter| parameter_name(parameter) == "dir");
        let parameter = parameter.map(|at| query.remove(at)).unwrap_or_default();
        let dirs = [dir, parameter.split_once('=').unwrap_or_default().1];
        let dir = dirs.into_iter().filter(|dir| !dir.is_empty()).collect::<Vec<_>>().join("/");
        if !dir.is_empty() {
            query.insert(0, format!("dir={dir}"));
        }
        let source = FlakeSource::Git { scheme: "file".to_owned(), rest: root };
        Self { source, query, credentials: Credentials::default(), held_credentials: false }
    }

    /// The flake in a directory of a local git repository.
    pub fn in_repository(root: &str, dir: Option<&str>, submodules: bool) -> Self {
        let submodules = submodules.then(|| "submodules=1".to_owned());
        let dir = dir.map(path_encoded).unwrap_or_default();
        Self::in_work_tree(path_encoded(root), &dir, submodules.into_iter().collect())
    }

    /// Adds credentials from a file. Credentials in the URL take precedence.
    #[must_use]
    pub fn with_credentials(mut self, others: &Credentials) -> Self {
        let mut others = others.clone();
        if let Some(hosted) = self.hosted() {
            others = others.with_forge(&hosted.host, hosted.forge);
        }
        if let Some(origin) = self.origin() {
            others = others.with_origin(&origin);
        }
        self.credentials = self.credentials.or(others);
        self
    }

    /// Whether the parsed URL contained a user or password, which [`FlakeUrl::remote`] leaves out.
    pub fn held_credentials(&self) -> bool {
        self.held_credentials
    }

    /// The names of parameters that may be secret. They stay in the URL and are visible in the arguments of git and nix.
    pub fn exposed_parameters(&self) -> Vec<&str> {
        self.secret_parameters().collect()
    }

    /// Environment variables that pass the credentials to git and nix.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.credentials.environment(|name| std::env::var(name).ok())
    }

    /// The credentials for the server.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether the connection to the server is encrypted or local.
    pub fn is_private(&self) -> bool {
        match &self.source {
            FlakeSource::Git { scheme, rest } if scheme == "http" => is_loopback(authority(rest)),
            _ => true,
        }
    }

    /// The repository on the forge that nix downloads the flake from.
    fn hosted(&self) -> Option<HostedRepository> {
        let FlakeSource::Forge { forge, owner, repo } = &self.source else { return None };
        let other = self.query.iter().find_map(|parameter| parameter.strip_prefix("host="));
        let host = other.unwrap_or(forge.host()).to_owned();
        Some(HostedRepository { forge: *forge, host, owner: owner.clone(), name: repo.clone() })
    }

    /// Whether nix downloads the flake from a forge, for which its configuration may have a token.
    pub(super) fn is_hosted(&self) -> bool {
        matches!(self.source, FlakeSource::Forge { .. })
    }

    /// `SCHEME://HOST[:PORT]` of an HTTP or HTTPS server.
    fn origin(&self) -> Option<String> {
        let url = self.git_url().filter(|url| url.starts_with("http"))?;
        UrlParts::of(&url).map(|parts| parts.origin())
    }

    /// The URL for git, without credentials.
    fn git_url(&self) -> Option<String> {
        match &self.source {
            FlakeSource::Git { scheme, rest } => Some(format!("{scheme}://{rest}")),
            FlakeSource::Forge { .. } => self.hosted().map(|hosted| hosted.url()),
            FlakeSource::Path(_) => None,
        }
    }

    /// The repository of the flake; `None` for a `path:`, which has no commits.
    pub fn remote(&self) -> Option<Remote> {
        Some(Remote {
            url: self.git_url()?,
            shown: self.without_credentials(),
            credentials: self.credentials.clone(),
            hosted: self.hosted(),
        })
    }

    /// The local directory that the flake is fetched from, if any.
    pub fn directory(&self) -> Option<PathBuf> {
        match &self.source {
            FlakeSource::Git { scheme, rest } if scheme == "file" => Some(percent_decoded(rest).into()),
            FlakeSource::Path(path) => Some(path.into()),
            _ => None,
        }
    }

    /// The directory of a `path:`.
    pub(super) fn local_path(&self) -> Option<&Path> {
        match &self.source {
            FlakeSource::Path(path) => Some(Path::new(path)),
            _ => None,
        }
    }

    /// The URL for display, without passwords and tokens.
    pub fn without_credentials(&self) -> String {
        let known = |parameter: &&str| KNOWN_PARAMETERS.contains(&parameter_name(parameter));
        let query: Vec<&str> = self.query.iter().map(String::as_str).filter(known).collect();
        with_query(&without_userinfo(&self.base()), &query)
    }

    /// Removes the credentials of this URL, and the `user:password@` of any other URL, from a message of git or nix.
    pub fn redact(&self, text: &str) -> String {
        // nix may display a parameter with a different percent-encoding.
        self.redact_parameters(self.secrets().redact(text), |_| "***".to_owned())
    }

    /// Masks the credentials of this URL in a log. The length does not change, so offsets stay valid.
    pub fn mask(&self, text: &str) -> String {
        self.redact_parameters(self.secrets().mask(text), |value| "*".repeat(value.len()))
    }

    fn redact_parameters(&self, text: String, mask: impl Fn(&str) -> String) -> String {
        self.secret_parameters().fold(text, |text, name| redact_parameter(&text, name, &mask))
    }

    /// The URL pinned to a commit. `reference` is the full name of a ref that contains it, if known.
    pub(super) fn at(&self, commit: &str, reference: Option<&str>) -> String {
        let mut query: Vec<&str> = self.query.iter().map(String::as_str).collect();
        if let FlakeSource::Forge { .. } = self.source {
            return with_query(&format!("{}/{commit}", self.base()), &query);
        }
        let reference = reference.map(|reference| format!("ref={}", ref_encoded(reference)));
        let commit = format!("rev={commit}");
        query.extend(reference.as_deref());
        query.push(&commit);
        with_query(&self.base(), &query)
    }

    /// The URL for nix, without a revision.
    pub(super) fn unpinned(&self) -> String {
        let query: Vec<&str> = self.query.iter().map(String::as_str).collect();
        let base = match &self.source {
            // nix 2.8 copies a symbolic link instead of the directory that it points to.
            FlakeSource::Path(path) if Path::new(path).is_symlink() => {
                real(path).unwrap_or_else(|| self.base())
            }
            _ => self.base(),
        };
        with_query(&base, &query)
    }

    fn base(&self) -> String {
        match &self.source {
            FlakeSource::Git { scheme, rest } => format!("git+{scheme}://{rest}"),
            FlakeSource::Forge { forge, owner, repo } => format!("{}:{owner}/{repo}", forge.name()),
            FlakeSource::Path(path) => format!("path:{path}"),
        }
    }

    /// The names of parameters that may be secret and have a value.
    fn secret_parameters(&self) -> impl Iterator<Item = &str> {
        let named = self.query.iter().map(|parameter| (parameter_name(parameter), parameter));
        let secret = |(name, parameter): &(&str, &String)| {
            !KNOWN_PARAMETERS.contains(name) && name.len() < parameter.len()
        };
        named.filter(secret).map(|(name, _)| name)
    }

    /// The secrets of this URL in the forms that may appear in messages.
    fn secrets(&self) -> Secrets {
        let is_secret = |name: &str| self.secret_parameters().any(|secret| secret == name);
        let with_name = |parameter: &String| {
            let name = parameter_name(parameter);
            is_secret(name).then(|| (parameter.clone(), format!("{name}=***")))
        };
        self.credentials.redactions().chain(self.query.iter().filter_map(with_name)).collect()
    }
}

fn real(path: &str) -> Option<String> {
    Some(format!("path:{}", Path::new(path).canonicalize().ok()?.to_str()?))
}

fn parameter_name(parameter: &str) -> &str {
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
    fn pinned_urls_keep_their_parameters() {
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
