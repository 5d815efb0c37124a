//! Where a repository lies, as the URL of a remote tells: host, owner and name.

/// A place in the network, or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `https`, `ssh`, …; nothing for a path.
    scheme: Option<String>,
    /// With the port, where the scheme is that of a web page.
    host: String,
    path: Vec<String>,
}

/// A repository on a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    pub(super) owner: String,
    pub(super) name: String,
    /// What stands before them in the path.
    before: Vec<String>,
}

impl Place {
    /// Reads the URL of a remote: with a scheme, as `user@host:path`, or a path.
    pub(super) fn parse(url: &str) -> Self {
        let segments = |path: &str| {
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        if let Some((scheme, rest)) = url.split_once("://") {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let path = path.split(['?', '#']).next().unwrap_or_default();
            if scheme != "file" {
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
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

    /// Whether it is a path on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.scheme.is_none()
    }

    /// Whether it speaks HTTP, with TLS or without.
    pub(super) fn is_web(&self) -> bool {
        self.scheme.as_deref().is_some_and(|scheme| matches!(scheme, "http" | "https"))
    }

    /// Whether what is said on the way there can be read by nobody else.
    pub(super) fn is_private(&self) -> bool {
        self.scheme.as_deref() == Some("https") || self.is_loopback()
    }

    fn is_loopback(&self) -> bool {
        let host = without_port(&self.host).trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The host without its port.
    pub(super) fn host(&self) -> &str {
        without_port(&self.host)
    }

    /// `https://HOST`: of a remote by ssh, where its web pages likely are.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.scheme.as_deref() == Some("http") { "http" } else { "https" };
        format!("{scheme}://{}", self.host)
    }

    /// The last two parts of the path, where they can be owner and name.
    pub(super) fn project(&self) -> Option<Project> {
        let [before @ .., owner, name] = &self.path[..] else { return None };
        let name = name.strip_suffix(".git").unwrap_or(name);
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let good = word(owner) && word(name);
        good.then(|| Project { owner: owner.clone(), name: name.to_owned(), before: before.to_vec() })
    }

    /// The web address, without the last `less` parts of the path.
    pub(super) fn base(&self, less: usize) -> String {
        let path = &self.path[..self.path.len().saturating_sub(less)];
        path.iter().fold(self.origin(), |base, part| format!("{base}/{part}"))
    }

    /// Where the forge is that has this repository: with what stands before owner and name, which a remote by ssh does not
    /// tell.
    pub(super) fn forge(&self, project: &Project) -> String {
        let before = if self.is_web() { &project.before[..] } else { &[] };
        before.iter().fold(self.origin(), |base, part| format!("{base}/{part}"))
    }

    /// Whether the path ends with owner and name.
    pub(super) fn ends_with(&self, project: &Project) -> bool {
        self.project().is_some_and(|own| (&own.owner, &own.name) == (&project.owner, &project.name))
    }
}

/// A bare IPv6 address has colons of its own.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn every_form_of_a_remote_tells_owner_name_and_forge() {
        for (url, owner, name, forge) in [
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
            let place = Place::parse(url);
            let project = place.project().unwrap();
            assert_eq!(
                (project.owner.as_str(), project.name.as_str(), place.forge(&project).as_str()),
                (owner, name, forge)
            );
        }
        for path in ["/srv/git/fleet.git", "../fleet", "file:///srv/git/fleet.git", "./a:b/c"] {
            assert!(Place::parse(path).is_local(), "{path}");
        }
        for url in ["https://git.example.org/fleet", "git@h:fleet", "https://h/a%20b/c"] {
            assert_eq!(Place::parse(url).project(), None, "{url}");
        }
    }

    #[test]
    fn only_tls_and_this_machine_are_private() {
        for (url, private) in [
            ("https://example.org", true),
            ("http://127.0.0.1:3000", true),
            ("http://[::1]:3000", true),
            ("http://localhost", true),
            ("http://example.org", false),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(Place::parse(url).is_private(), private, "{url}");
        }
    }
}
