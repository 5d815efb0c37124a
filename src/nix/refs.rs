//! What a remote repository has: its branches and tags, as `git ls-remote` lists them.

use crate::protocol::{Revision, is_commit, shell_word};
use std::collections::BTreeMap;

/// What git calls the branch that a repository shows first.
pub(super) const HEAD: &str = "HEAD";
/// The branch that is meant if neither the request nor the configuration names one.
const UNNAMED: &str = "master";

/// At most so many near names are offered.
const NEAR: usize = 3;

/// The branches and tags of a repository, each with its commit.
#[derive(Debug, Default)]
pub(super) struct Refs {
    /// The branch that `HEAD` names.
    pub(super) default: Option<String>,
    pub(super) branches: BTreeMap<String, String>,
    /// An annotated tag stands with the commit that it marks.
    pub(super) tags: BTreeMap<String, String>,
}

impl Refs {
    /// Reads what `git ls-remote --symref` printed. Names that no request could ask for are left out, so every name
    /// here is safe in a URL and on a terminal.
    pub(super) fn parse(listing: &str) -> Self {
        let mut refs = Self::default();
        for line in listing.lines() {
            let Some((object, name)) = line.split_once('\t') else { continue };
            if let Some(target) = object.strip_prefix("ref: ") {
                // A repository may have other symbolic refs, such as those of its own remotes.
                if name == HEAD {
                    refs.default =
                        target.strip_prefix("refs/heads/").filter(|name| is_name(name)).map(str::to_owned);
                }
                continue;
            }
            if !is_commit(object) {
                continue;
            }
            if let Some(branch) = name.strip_prefix("refs/heads/").filter(|name| is_name(name)) {
                refs.branches.insert(branch.to_owned(), object.to_owned());
            } else if let Some(tag) = name.strip_prefix("refs/tags/") {
                // `NAME^{}` follows NAME and is the commit behind the tag's own object.
                let tag = tag.strip_suffix("^{}").unwrap_or(tag);
                if is_name(tag) {
                    refs.tags.insert(tag.to_owned(), object.to_owned());
                }
            }
        }
        refs
    }

    /// The branch of this name, and its commit. `HEAD` is the default branch.
    pub(super) fn branch(&self, name: &str) -> Option<(&str, &str)> {
        let name = if name == HEAD { self.default.as_deref()? } else { name };
        self.branches.get_key_value(name).map(|(name, commit)| (name.as_str(), commit.as_str()))
    }

    /// What to name in the place of a revision that is neither a branch nor a tag here.
    pub(super) fn advice(&self, wanted: &str) -> String {
        if wanted == HEAD {
            return ": the repository has no default branch with a commit; name a branch".to_owned();
        }
        let near = self.near(wanted);
        let default = self.default.as_deref().filter(|_| near.is_empty());
        let mut advice = Vec::new();
        if !near.is_empty() {
            advice.push(format!("near names: {}", near.join(", ")));
        }
        let digits = (4..=40).contains(&wanted.len()) && wanted.bytes().all(|b| b.is_ascii_hexdigit());
        if digits {
            advice.push("if it is a commit, give all 40 lower-case digits".to_owned());
        }
        if let Some(default) = default.filter(|_| wanted == UNNAMED) {
            let word = shell_word(default);
            advice.push(format!(
                "its default branch is {default}: name that, as in `--branch {word}`, or set it as `branch` in the \
                 configuration, or as `default_branch` in the builder's file"
            ));
        }
        if advice.is_empty() {
            let shown = default.map(|default| format!(" (the default branch is {default})"));
            advice.push(format!("check the name, or push it first{}", shown.unwrap_or_default()));
        }
        format!("; {}", advice.join("; "))
    }

    /// The full name of a ref that points at the commit: the default branch before other branches before tags.
    pub(super) fn holder(&self, commit: &str) -> Option<String> {
        let default =
            self.default.as_ref().filter(|name| self.branches.get(*name).is_some_and(|at| at == commit));
        let branch = || self.branches.iter().find(|(_, at)| *at == commit).map(|(name, _)| name);
        let tag = || self.tags.iter().find(|(_, at)| *at == commit).map(|(name, _)| name);
        match default.or_else(branch) {
            Some(name) => Some(format!("refs/heads/{name}")),
            None => tag().map(|name| format!("refs/tags/{name}")),
        }
    }

    /// The names most like this one, the nearest first.
    pub(super) fn near(&self, wanted: &str) -> Vec<&str> {
        let wanted = wanted.to_lowercase();
        let likeness = |name: &str| {
            // `origin/main` and `refs/heads/main` mean `main`.
            let prefixed = wanted.strip_suffix(name).is_some_and(|before| before.ends_with('/'));
            if prefixed { 1.0 } else { strsim::jaro_winkler(&wanted, &name.to_lowercase()) }
        };
        let mut near: Vec<(f64, &str)> = self
            .branches
            .keys()
            .chain(self.tags.keys())
            .map(|name| (likeness(name), name.as_str()))
            .collect();
        near.retain(|(likeness, _)| *likeness > 0.8);
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        near.dedup();
        near.into_iter().map(|(_, name)| name).take(NEAR).collect()
    }
}

fn is_name(text: &str) -> bool {
    Revision::new(text).is_ok()
}
