//! Forges whose repositories nix downloads by their interface, and git clones over https.

use super::secrets::percent_decoded;

/// A kind of forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forge {
    GitHub,
    GitLab,
    SourceHut,
}

impl Forge {
    /// The forge of a URL, and what follows its scheme.
    pub(super) fn of(url: &str) -> Option<(Self, &str)> {
        let all = [Self::GitHub, Self::GitLab, Self::SourceHut];
        all.into_iter().find_map(|forge| Some((forge, url.strip_prefix(forge.scheme())?.strip_prefix(':')?)))
    }

    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::SourceHut => "sourcehut",
        }
    }

    /// The host where the URL names none.
    pub(super) fn host(self) -> &'static str {
        match self {
            Self::GitHub => "github.com",
            Self::GitLab => "gitlab.com",
            Self::SourceHut => "git.sr.ht",
        }
    }

    /// The path of a repository on its host. The groups of GitLab are one owner, with encoded slashes.
    pub(super) fn path(self, owner: &str, repo: &str) -> String {
        match self {
            Self::GitHub => format!("{owner}/{repo}.git"),
            Self::GitLab => format!("{}/{repo}.git", owner.replace("%2F", "/").replace("%2f", "/")),
            // It knows no other name of a repository.
            Self::SourceHut => format!("{owner}/{repo}"),
        }
    }

    /// What nix has as the token of a host, as git is to say it: user and password.
    pub(super) fn sign_in(self, token: &str) -> (&'static str, &str) {
        match self {
            Self::GitHub => ("x-access-token", token),
            Self::GitLab => ("oauth2", token.split_once(':').map_or(token, |(_, token)| token)),
            Self::SourceHut => ("git", token),
        }
    }

    /// What stands before a password where nix has it as a token.
    pub(super) fn kind_of_token(self) -> &'static str {
        if self == Self::GitLab { "PAT:" } else { "" }
    }

    /// The names that nix may know the token of a repository by, the narrowest first.
    pub(super) fn token_names(host: &str, owner: &str, repo: &str) -> [String; 3] {
        let owner = percent_decoded(owner);
        [format!("{host}/{owner}/{repo}"), format!("{host}/{owner}"), host.to_owned()]
    }
}
