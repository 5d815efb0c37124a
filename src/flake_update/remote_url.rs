//! Parses the URL of a remote into host, owner and name of the repository.

use crate::git::{UrlParts, is_loopback, without_port};

/// The URL of a remote, or a local path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteUrl {
    /// `https`, `ssh` and so on; `None` for a local path.
    scheme: Option<String>,
    /// The host, with its port if the scheme is HTTP or HTTPS.
    host: String,
    path: Vec<String>,
}

/// A repository on a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForgeProject {
    pub(super) owner: String,
    pub(super) name: String,
    /// The path segments before the owner.
    before: Vec<String>,
}

impl RemoteUrl {
    /// Parses a URL with a scheme, `user@host:path`, or a local path.
    pub(super) fn parse(url: &str) -> Self {
        let segments = |path: &str| {
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        if let Some(UrlParts { scheme, host, path, .. }) = UrlParts::of(url) {
            let path = path.split(['?', '#']).next().unwrap_or_default();
            if scheme != "file" {
                let host = if scheme.starts_with("http") { host } else { without_port(host) };
                let scheme = Some(scheme.to_lowercase());
                return Self { scheme, host: host.to_lowercase(), path: segments(path) };
            }
            return Self { scheme: None, host: String::new(), path: segments(path) };
        }
        match url.split_once(':') {
            Some((host, path)) if !host.contains('/') && !host.is_empty() => {
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_lowercase();
                Self { scheme: Some("ssh".to_owned()), host, path: segments(path) }
            }
            _ => Self { scheme: None, host: String::new(), path: segments(url) },
        }
    }

    /// Whether it is a local path.
    pub(super) fn is_local(&self) -> bool {
        self.scheme.is_none()
    }

    /// Whether the scheme is HTTP or HTTPS.
    pub(super) fn is_web(&self) -> bool {
        self.scheme.as_deref().is_some_and(|scheme| matches!(scheme, "http" | "https"))
    }

    /// Whether the connection is encrypted or local.
    pub(super) fn is_private(&self) -> bool {
        self.scheme.as_deref() == Some("https") || is_loopback(&self.host)
    }

    /// The host without its port.
    pub(super) fn host(&self) -> &str {
        without_port(&self.host)
    }

    /// The origin `https://HOST`. For an ssh remote, this is where its web pages probably are.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.scheme.as_deref() == Some("http") { "http" } else { "https" };
        format!("{scheme}://{}", self.host)
    }

    /// Owner and name, which are the last two path segments; `None` if these are not valid names.
    pub(super) fn project(&self) -> Option<ForgeProject> {
        let [before @ .., owner, name] = &self.path[..] else { return None };
        let name = name.strip_suffix(".git").unwrap_or(name);
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let is_project = is_name(owner) && is_name(name);
        is_project.then(|| ForgeProject {
            owner: owner.clone(),
            name: name.to_owned(),
            before: before.to_vec(),
        })
    }

    /// The web address without the last `less` path segments.
    pub(super) fn base_url(&self, less: usize) -> String {
        let path = &self.path[..self.path.len().saturating_sub(less)];
        path.iter().fold(self.origin(), |base, part| format!("{base}/{part}"))
    }

    /// The base URL of the forge, with the path segments before the owner. An ssh remote does not have these.
    pub(super) fn forge_url(&self, project: &ForgeProject) -> String {
        let before = if self.is_web() { &project.before[..] } else { &[] };
        before.iter().fold(self.origin(), |base, part| format!("{base}/{part}"))
    }

    /// Whether the path ends with owner and name.
    pub(super) fn ends_with(&self, project: &ForgeProject) -> bool {
        self.project().is_some_and(|own| (&own.owner, &own.name) == (&project.owner, &project.name))
    }
}

/// The URL that a submodule with a relative URL has in a repository with the URL `base`.
pub(super) fn submodule_url(base: &str, relative: &str) -> String {
    let (mut base, mut relative, mut separator) = (base.trim_end_matches('/'), relative, '/');
    loop {
        if let Some(rest) = relative.strip_prefix("./") {
            relative = rest;
        } else if let Some(rest) = relative.strip_prefix("../") {
            relative = rest;
            let end = base.rfind(['/', ':']).unwrap_or_default();
            separator = if base[end..].starts_with(':') { ':' } else { '/' };
            base = &base[..end];
        } else {
            return format!("{base}{separator}{relative}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RemoteUrl, submodule_url};

    #[test]
    fn a_relative_url_of_a_submodule_starts_at_the_repository() {
        for (base, relative, absolute) in [
            (
                "https://git.example.org/alice/fleet.git",
                "../lib.git",
                "https://git.example.org/alice/lib.git",
            ),
            ("https://git.example.org/alice/fleet/", "../../bob/lib", "https://git.example.org/bob/lib"),
            ("git@git.example.org:alice/fleet.git", "../lib", "git@git.example.org:alice/lib"),
            ("git@git.example.org:fleet.git", "../lib", "git@git.example.org:lib"),
            ("/srv/fleet.git", "./../lib", "/srv/lib"),
            ("file:///srv/fleet.git", "./lib", "file:///srv/fleet.git/lib"),
        ] {
            assert_eq!(submodule_url(base, relative), absolute);
        }
    }

    #[test]
    fn owner_name_and_forge_are_parsed_from_all_forms() {
        for (url, owner, name, forge_url) in [
            ("https://git.example.org/alice/fleet.git", "alice", "fleet", "https://git.example.org"),
            (
                "https://u:p@git.example.org:3000/alice/fleet",
                "alice",
                "fleet",
                "https://git.example.org:3000",
            ),
            ("https://example.org/git/alice/fleet/", "alice", "fleet", "https://example.org/git"),
            ("http://127.0.0.1:80/alice/fleet.git", "alice", "fleet", "http://127.0.0.1:80"),
            ("ssh://git@Git.example.org:2222/alice/fleet.git", "alice", "fleet", "https://git.example.org"),
            ("ssh://git@[::1]:2222/alice/fleet.git", "alice", "fleet", "https://[::1]"),
            ("git@github.com:alice/my.fleet.git", "alice", "my.fleet", "https://github.com"),
            ("github.com:/alice/fleet", "alice", "fleet", "https://github.com"),
        ] {
            let remote = RemoteUrl::parse(url);
            let project = remote.project().unwrap();
            assert_eq!(
                (project.owner.as_str(), project.name.as_str(), remote.forge_url(&project).as_str()),
                (owner, name, forge_url)
            );
        }
        for path in ["/srv/git/fleet.git", "../fleet", "file:///srv/git/fleet.git", "./a:b/c"] {
            assert!(RemoteUrl::parse(path).is_local(), "{path}");
        }
        for url in ["https://git.example.org/fleet", "git@h:fleet", "https://h/a%20b/c"] {
            assert_eq!(RemoteUrl::parse(url).project(), None, "{url}");
        }
    }

    #[test]
    fn only_tls_and_loopback_are_private() {
        for (url, private) in [
            ("https://example.org", true),
            ("http://127.0.0.1:3000", true),
            ("http://[::1]:3000", true),
            ("http://localhost", true),
            ("http://example.org", false),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(RemoteUrl::parse(url).is_private(), private, "{url}");
        }
    }
}
