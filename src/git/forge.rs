//! Forges: how flake URLs, git and nix's access tokens name their repositories, and how to reach their API.

use super::percent_decoded;

/// A kind of forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forge {
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
    /// `SourceHut`.
    SourceHut,
}

impl Forge {
    /// The forges with a scheme for flake URLs.
    const IN_FLAKE_URLS: [Self; 3] = [Self::GitHub, Self::GitLab, Self::SourceHut];
    /// The forges on which pull requests can be opened.
    pub const WITH_PULL_REQUESTS: [Self; 2] = [Self::Gitea, Self::GitHub];

    /// The forge of a flake URL, and the part after its scheme.
    pub fn of_flake_url(url: &str) -> Option<(Self, &str)> {
        let split = |forge: Self| Some((forge, url.strip_prefix(forge.name())?.strip_prefix(':')?));
        Self::IN_FLAKE_URLS.into_iter().find_map(split)
    }

    /// The forge on a server, one of those with pull requests.
    pub fn of_host(host: &str) -> Self {
        if host == Self::GitHub.host() { Self::GitHub } else { Self::Gitea }
    }

    /// The name, which is also the scheme of flake URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::SourceHut => "sourcehut",
        }
    }

    /// The public server, which flake URLs without `host=` mean.
    pub fn host(self) -> &'static str {
        match self {
            Self::GitHub => "github.com",
            Self::GitLab => "gitlab.com",
            Self::Gitea => "gitea.com",
            Self::SourceHut => "git.sr.ht",
        }
    }

    /// Converts a token to user and password for git.
    pub fn git_login(self, token: &str) -> (&'static str, &str) {
        match self {
            Self::GitHub => ("x-access-token", token),
            Self::GitLab => ("oauth2", token.split_once(':').map_or(token, |(_, token)| token)),
            // Any user name is accepted.
            Self::Gitea => ("homelab-deploy", token),
            Self::SourceHut => ("git", token),
        }
    }

    /// The prefix that turns a password into a token of nix's `access-tokens`.
    pub(super) fn token_prefix(self) -> &'static str {
        if self == Self::GitLab { "PAT:" } else { "" }
    }

    /// The API for pull requests, if they can be opened on this forge.
    pub fn pull_requests(self) -> Option<PullRequestApi> {
        match self {
            Self::GitHub => Some(PullRequestApi {
                public_url: Some(("https://github.com", "https://api.github.com")),
                path: "/api/v3",
                authorization: "Bearer",
                headers: &[("Accept", "application/vnd.github+json"), ("X-GitHub-Api-Version", "2022-11-28")],
                page_size: "per_page",
                is_filtered: true,
                has_label_names: true,
            }),
            Self::Gitea => Some(PullRequestApi {
                public_url: None,
                path: "/api/v1",
                authorization: "token",
                headers: &[("Accept", "application/json")],
                page_size: "limit",
                is_filtered: false,
                has_label_names: false,
            }),
            Self::GitLab | Self::SourceHut => None,
        }
    }
}

/// How the APIs for pull requests differ.
#[derive(Debug, Clone, Copy)]
pub struct PullRequestApi {
    /// The web address and the API of the public server, if the API has another host.
    public_url: Option<(&'static str, &'static str)>,
    /// The path of the API on other servers.
    path: &'static str,
    /// The scheme of the token in the `Authorization` header field.
    pub authorization: &'static str,
    /// Further header fields.
    pub headers: &'static [(&'static str, &'static str)],
    /// The parameter for the length of a page.
    pub page_size: &'static str,
    /// Whether a list can be limited to a branch of an owner and its base. Otherwise it may contain all pull requests.
    pub is_filtered: bool,
    /// Whether labels have names, and are created if they are missing. Otherwise they have ids.
    pub has_label_names: bool,
}

impl PullRequestApi {
    /// The base URL of the API of the server with this web address.
    pub fn url(&self, web_url: &str) -> String {
        match self.public_url {
            Some((public, api)) if public == web_url => api.to_owned(),
            _ => format!("{web_url}{}", self.path),
        }
    }
}

/// A repository on a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedRepository {
    /// The kind of the forge.
    pub forge: Forge,
    /// The server, `HOST` or `HOST:PORT`.
    pub host: String,
    /// The owner. On GitLab this may be nested groups, with encoded slashes.
    pub owner: String,
    /// The name of the repository.
    pub name: String,
}

impl HostedRepository {
    /// The URL for git.
    pub fn url(&self) -> String {
        let Self { forge, host, owner, name } = self;
        match forge {
            Forge::GitLab => {
                format!("https://{host}/{}/{name}.git", owner.replace("%2F", "/").replace("%2f", "/"))
            }
            // SourceHut does not accept a `.git` suffix.
            Forge::SourceHut => format!("https://{host}/{owner}/{name}"),
            Forge::GitHub | Forge::Gitea => format!("https://{host}/{owner}/{name}.git"),
        }
    }

    /// The keys that nix's `access-tokens` may have for the repository, most specific first.
    pub(super) fn token_names(&self) -> [String; 3] {
        let (host, owner) = (&self.host, percent_decoded(&self.owner));
        [format!("{host}/{owner}/{}", self.name), format!("{host}/{owner}"), host.clone()]
    }
}
