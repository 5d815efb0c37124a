//! Caches that a power cut has damaged: the next deployment sets them aside and goes on.

use crate::common::Repo;
use crate::stage::{SWITCH, Stage, flake};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A host whose nix clones the repository, as it does one on another machine, and has built a commit of it.
struct Cloning {
    stage: Stage,
    repo: Repo,
    caches: TempDir,
}

impl Cloning {
    fn new() -> Self {
        let (repo, caches) = (Repo::new(), TempDir::new().unwrap());
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

    /// Builds a new commit, which must succeed. Gives the line about the cache in the log of the job, if there is one.
    fn log_of_build(&self, version: &str) -> String {
        self.repo.commit("version", version);
        let report = self.stage.ask_for(version, json!({"action": "build", "revision": "master"})).verdict();
        assert_eq!(report["status"], "completed", "{report}");
        let log = fs::read_to_string(self.stage.job_file(version, "log")).unwrap();
        log.lines().find(|line| line.contains("nix's cache")).unwrap_or_default().to_owned()
    }

    /// nix's clone of the repository.
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

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What a power cut leaves of a file that was not yet on the disk.
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
fn a_clone_that_nix_cannot_use_any_more_is_made_anew() {
    let cloning = Cloning::new();
    let place = cloning.cache("").display().to_string();
    let said = format!(
        "nix's cache in {} is damaged: moved to quarantined there, fetching anew",
        place.trim_end_matches('/')
    );
    empty_objects(&cloning.clone());
    assert_eq!(cloning.log_of_build("v3"), said);
    assert_eq!(cloning.quarantined(), ["gitv3"]);
    // It is a good one by now.
    assert_eq!(cloning.log_of_build("v4"), "");
    empty(&cloning.clone().join("HEAD"));
    assert_eq!(cloning.log_of_build("v5"), said);
    assert_eq!(cloning.log_of_build("v6"), "");
    // Only the last one is kept.
    assert_eq!(cloning.quarantined(), ["gitv3"]);
    let kept = files(&cloning.cache("quarantined"));
    assert!(
        kept.iter().filter(|file| file.ends_with("HEAD")).all(|file| file.metadata().unwrap().len() == 0)
    );
}

#[test]
fn a_database_that_nix_cannot_read_any_more_is_made_anew() {
    let cloning = Cloning::new();
    let database = cloning.cache("fetcher-cache-v1.sqlite");
    let mut bytes = fs::read(&database).unwrap();
    bytes[4096..].fill(0);
    fs::write(&database, bytes).unwrap();
    assert!(cloning.log_of_build("v3").ends_with("is damaged: moved to quarantined there, fetching anew"));
    assert!(cloning.quarantined().contains(&"fetcher-cache-v1.sqlite".to_owned()));
    assert!(cloning.cache("gitv3").exists());
    assert_eq!(cloning.log_of_build("v4"), "");
}

#[test]
fn a_clone_that_another_build_uses_stays_where_it_is() {
    let cloning = Cloning::new();
    let other = File::open(cloning.cache("homelab-deploy.lock")).unwrap();
    flock(&other, FlockOperation::LockShared).unwrap();
    empty_objects(&cloning.clone());
    let said = cloning.log_of_build("v3");
    assert!(said.contains(" is damaged and another build uses it: fetching anew into "), "{said}");
    assert!(cloning.clone().exists() && !cloning.cache("quarantined").exists());
    let left = fs::read_dir(cloning.cache("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("private-")));
    // Its owner has ended.
    drop(other);
    assert!(cloning.log_of_build("v4").contains("moved to quarantined there"));
    assert_eq!(cloning.log_of_build("v5"), "");
}
