//! Where in its repository the flake is.

use std::path::{Path, PathBuf};

/// The directory of the flake in its repository, and what else nix is to be told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subflake {
    /// Names with slashes between them; empty for the top of the repository.
    dir: String,
    /// Whether it needs the submodules of its repository.
    pub submodules: bool,
}

impl Subflake {
    /// The flake in this directory of the repository, which may be written with a `./` before it and slashes after it. What leads
    /// out of the repository is none.
    pub fn new(dir: &str, submodules: bool) -> Option<Self> {
        let parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let is_within = !dir.starts_with('/') && !parts.contains(&"..") && !dir.contains(char::is_control);
        is_within.then(|| Self { dir: parts.join("/"), submodules })
    }

    /// The same below a directory of the repository.
    #[must_use]
    pub(super) fn below(&self, prefix: &str) -> Self {
        let dir = [prefix.trim_matches('/'), &self.dir];
        let dir = dir.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        Self { dir, ..self.clone() }
    }

    /// The directory, unless it is the top.
    pub(super) fn dir(&self) -> Option<&str> {
        Some(self.dir.as_str()).filter(|dir| !dir.is_empty())
    }

    /// The path of a file of the flake in the repository.
    pub(super) fn file(&self, name: &str) -> String {
        self.dir().map_or_else(|| name.to_owned(), |dir| format!("{dir}/{name}"))
    }

    /// The directory of the flake in a work tree.
    pub(super) fn within(&self, work_tree: &Path) -> PathBuf {
        self.dir().map_or_else(|| work_tree.to_owned(), |dir| work_tree.join(dir))
    }
}
