//! The branches and tags of a remote repository, as listed by `git ls-remote`.

use crate::protocol::{Revision, is_commit};
use crate::text::{closest_matches, shell_word};
use std::collections::BTreeMap;

/// git's name for the default branch of a repository.
pub(super) const HEAD: &str = "HEAD";
/// The branch that is used if neither the request nor the configuration names one.
const FALLBACK_BRANCH: &str = "master";

/// The branches and tags of a repository, each with its commit.
#[derive(Debug, Default)]
pub(super) struct Refs {
    /// The branch that `HEAD` names.
    pub(super) default: Option<String>,
    /// The commit of `HEAD`.
    head: Option<String>,
    pub(super) branches: BTreeMap<String, String>,
    /// Tags with their commits. For an annotated tag this is the tagged commit, not the tag object.
    pub(super) tags: BTreeMap<String, String>,
}

impl Refs {
    /// Parses the output of `git ls-remote --symref`. Names that are not valid revisions are left out, so all names are safe in
    /// URLs and on terminals.
    pub(super) fn parse(listing: &str) -> Self {
        let mut refs = Self::default();
        for line in listing.lines() {
            let Some((object, name)) = line.split_once('\t') else { continue };
            if let Some(target) = object.strip_prefix("ref: ") {
                // A repository may have other symbolic refs, such as the HEADs of its remotes.
                if name == HEAD {
                    refs.default =
                        target.strip_prefix("refs/heads/").filter(|name| is_name(name)).map(str::to_owned);
                }
                continue;
            }
            if !is_commit(object) {
                continue;
            }
            if name == HEAD {
                refs.head = Some(object.to_owned());
            } else if let Some(branch) = name.strip_prefix("refs/heads/").filter(|name| is_name(name)) {
                refs.branches.insert(branch.to_owned(), object.to_owned());
            } else if let Some(tag) = name.strip_prefix("refs/tags/") {
                // For an annotated tag, `NAME^{}` follows NAME and has the tagged commit.
                let tag = tag.strip_suffix("^{}").unwrap_or(tag);
                if is_name(tag) {
                    refs.tags.insert(tag.to_owned(), object.to_owned());
                }
            }
        }
        refs
    }

    /// Looks up a branch and its commit. `HEAD` is the default branch.
    pub(super) fn branch(&self, name: &str) -> Option<(&str, &str)> {
        if name == HEAD {
            // The reply for one name has the commit of HEAD but not of the default branch.
            return self.default.as_deref().zip(self.head.as_deref());
        }
        self.branches.get_key_value(name).map(|(name, commit)| (name.as_str(), commit.as_str()))
    }

    /// Suggests what to use instead of an unknown revision.
    pub(super) fn advice(&self, wanted: &str) -> String {
        if wanted == HEAD {
            return ": the repository has no default branch with a commit; use the name of a branch"
                .to_owned();
        }
        let similar = self.similar(wanted);
        let default = self.default.as_deref().filter(|_| similar.is_empty());
        let mut advice = Vec::new();
        if !similar.is_empty() {
            advice.push(format!("similar names: {}", similar.join(", ")));
        }
        let digits = (4..=40).contains(&wanted.len()) && wanted.bytes().all(|b| b.is_ascii_hexdigit());
        if digits {
            advice.push("if it is a commit, give all 40 lower-case digits".to_owned());
        }
        if let Some(default) = default.filter(|_| wanted == FALLBACK_BRANCH) {
            let word = shell_word(default);
            advice.push(format!(
                "its default branch is {default}: use `--branch {word}`, or set it as `branch` in the \
                 configuration, or as `default_branch` in the builder's file"
            ));
        }
        if advice.is_empty() {
            let shown = default.map(|default| format!(" (the default branch is {default})"));
            advice.push(format!("check the name, or push it first{}", shown.unwrap_or_default()));
        }
        format!("; {}", advice.join("; "))
    }

    /// The full name of a ref that points at the commit. Prefers the default branch, then other branches, then tags.
    pub(super) fn ref_pointing_at(&self, commit: &str) -> Option<String> {
        let default =
            self.default.as_ref().filter(|name| self.branches.get(*name).is_some_and(|at| at == commit));
        let branch = || self.branches.iter().find(|(_, at)| *at == commit).map(|(name, _)| name);
        let tag = || self.tags.iter().find(|(_, at)| *at == commit).map(|(name, _)| name);
        match default.or_else(branch) {
            Some(name) => Some(format!("refs/heads/{name}")),
            None => tag().map(|name| format!("refs/tags/{name}")),
        }
    }

    /// The branch and tag names most similar to `wanted`, best first.
    fn similar(&self, wanted: &str) -> Vec<&str> {
        let mut names = self.branches.keys().chain(self.tags.keys()).map(String::as_str);
        // `origin/main` and `refs/heads/main` mean `main`.
        let is_meant = |name: &&str| wanted.strip_suffix(name).is_some_and(|before| before.ends_with('/'));
        match names.clone().find(is_meant) {
            Some(meant) => vec![meant],
            None => closest_matches(wanted, &mut names),
        }
    }
}

fn is_name(text: &str) -> bool {
    Revision::new(text).is_ok()
}
