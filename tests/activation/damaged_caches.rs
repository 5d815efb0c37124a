//! Caches that a power loss has damaged: the next deployment quarantines them and continues.

use crate::common::{Repo, TestDir};
use crate::stage::{SWITCH, Stage, flake};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A host whose nix clones the repository as if it were remote, and that has built a commit of it.
struct Cloning {
    stage: Stage,
    repo: Repo,
    caches: TestDir,
}

impl Cloning {
    fn new() -> Self {
        let (repo, caches) = (Repo::new(), TestDir::new());
        for (name, text) in
            [("flake.nix", flake().as_str()), ("switch-to-configuration", SWITCH), ("version", "v1")]
        {
            repo.commit(name, text);
        }
        let place = caches.path().to_str().unwrap();
        let stage = Stage::with(|host| {
            host.flake(&repo.url()).env("_NIX_FORCE_HTTP", "1").env("XDG_CACHE_HOME", place)
        });
        let cloning = Self { stage, repo, caches };
        assert_eq!(cloning.log_of_build("v2"), "");
        cloning
    }

    fn cache(&self, name: &str) -> PathBuf {
        self.caches.path().join("nix").join(name)
    }

    /// Builds a new commit, which must succeed. Returns the line about the cache in the log of the job, or an empty
    /// string.
    fn log_of_build(&self, version: &str) -> String {
        self.repo.commit("version", version);
        let report =
            self.stage.request(version, json!({"action": "build", "revision": "master"})).final_report();
        assert_eq!(report["status"], "completed", "{report}");
        let log = fs::read_to_string(self.stage.job_file(version, "log")).unwrap();
        log.lines().find(|line| line.contains("nix's cache")).unwrap_or_default().to_owned()
    }

    /// Returns nix's clone of the repository.
    fn clone(&self) -> PathBuf {
        let entries = fs::read_dir(self.cache("gitv3")).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.is_dir()).unwrap()
    }

    fn quarantined(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache("quarantined")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Lists every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Truncates a file, as a power loss does to a file that was not synced yet.
fn empty(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    OpenOptions::new().write(true).open(file).unwrap().set_len(0).unwrap();
}

fn empty_objects(repository: &Path) {
    for file in files(&repository.join("objects")) {
        empty(&file);
    }
}

#[test]
fn damaged_clone_is_replaced() {
    let cloning = Cloning::new();
    let dir = cloning.cache("").display().to_string();
    let expected = format!(
        "nix's cache in {} is damaged: moved to quarantined there, fetching again",
        dir.trim_end_matches('/')
    );
    empty_objects(&cloning.clone());
    assert_eq!(cloning.log_of_build("v3"), expected);
    assert_eq!(cloning.quarantined(), ["gitv3"]);
    // The new clone is intact.
    assert_eq!(cloning.log_of_build("v4"), "");
    empty(&cloning.clone().join("HEAD"));
    assert_eq!(cloning.log_of_build("v5"), expected);
    assert_eq!(cloning.log_of_build("v6"), "");
    // Only the last quarantined clone is kept.
    assert_eq!(cloning.quarantined(), ["gitv3"]);
    let quarantined = files(&cloning.cache("quarantined"));
    assert!(
        quarantined
            .iter()
            .filter(|file| file.ends_with("HEAD"))
            .all(|file| file.metadata().unwrap().len() == 0)
    );
}

#[test]
fn damaged_database_is_replaced() {
    let cloning = Cloning::new();
    let database = cloning.cache("fetcher-cache-v1.sqlite");
    let mut bytes = fs::read(&database).unwrap();
    bytes[4096..].fill(0);
    fs::write(&database, bytes).unwrap();
    assert!(cloning.log_of_build("v3").ends_with("is damaged: moved to quarantined there, fetching again"));
    assert!(cloning.quarantined().contains(&"fetcher-cache-v1.sqlite".to_owned()));
    assert!(cloning.cache("gitv3").exists());
    assert_eq!(cloning.log_of_build("v4"), "");
}

#[test]
fn clone_that_another_build_uses_is_not_moved() {
    let cloning = Cloning::new();
    let other = File::open(cloning.cache("homelab-deploy.lock")).unwrap();
    flock(&other, FlockOperation::LockShared).unwrap();
    empty_objects(&cloning.clone());
    let line = cloning.log_of_build("v3");
    assert!(line.contains(" is damaged and in use by another build: fetching again into "), "{line}");
    assert!(cloning.clone().exists() && !cloning.cache("quarantined").exists());
    let left = fs::read_dir(cloning.cache("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("private-")));
    // The other build has ended.
    drop(other);
    assert!(cloning.log_of_build("v4").contains("moved to quarantined there"));
    assert_eq!(cloning.log_of_build("v5"), "");
}
