//! The location of a flake within its repository.

use std::path::{Path, PathBuf};

/// The directory of the flake in its repository, and whether it needs submodules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subflake {
    /// The path relative to the top of the repository; empty for the top itself.
    dir: String,
    /// Whether it needs the submodules of its repository.
    pub submodules: bool,
}

impl Subflake {
    /// The flake in this directory of the repository, which may start with `./` and end with slashes. `None` if the path leads out
    /// of the repository.
    pub fn new(dir: &str, submodules: bool) -> Option<Self> {
        let parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let is_within = !dir.starts_with('/') && !parts.contains(&"..") && !dir.contains(char::is_control);
        is_within.then(|| Self { dir: parts.join("/"), submodules })
    }

    /// The same location below another directory.
    #[must_use]
    pub(super) fn below(&self, prefix: &str) -> Self {
        let dir = [prefix.trim_matches('/'), &self.dir];
        let dir = dir.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        Self { dir, ..self.clone() }
    }

    /// The directory; `None` for the top of the repository.
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
