//! Builds pinned revisions from a real remote with nix, including the effects of nix's own cache.

use crate::common::TestDir;
use crate::own_store::own_store;
use crate::repository::Repository;
use crate::resolve::pin;
use crate::server::Server;
use homelab_deploy::nix::{NixLine, ProgressReader};
use std::process::Command;

/// `ID` makes each test's derivation new to the store.
const FLAKE: &str = r#"{
  outputs = { self }: {
    nixosConfigurations.HOST.config.system.build.toplevel = derivation {
      name = "nixos-system-web";
      system = builtins.currentSystem or "SYSTEM";
      builder = "/bin/sh";
      args = [ "-c" "echo building for ID; echo ${builtins.readFile ./version} > $out" ];
    };
  };
}"#;

/// Disables binary caches and build users, so that builds run as the user of the tests.
const OPTIONS: [&str; 9] =
    ["--option", "substituters", "", "--option", "sandbox", "false", "--option", "build-users-group", ""];

/// nix with a separate store and cache.
struct Nix {
    home: TestDir,
    reader: ProgressReader,
    log: Vec<String>,
}

impl Nix {
    fn new() -> Self {
        Self { home: TestDir::new(), reader: ProgressReader::new(), log: Vec::new() }
    }

    /// Builds the flake and returns the contents of the result.
    fn build(&mut self, flake: &str) -> String {
        let output = Command::new("nix")
            .args(["--extra-experimental-features", "nix-command flakes"])
            .args(["build", "--no-link", "--json", "--log-format", "internal-json"])
            .args(OPTIONS)
            .arg(format!("{flake}#nixosConfigurations.web.config.system.build.toplevel"))
            .envs(own_store(self.home.path()))
            .output()
            .expect("nix must be installed");
        let stream = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{flake}: {stream}");
        self.reader = ProgressReader::new();
        self.log.clear();
        for line in stream.lines() {
            if let Some(NixLine::Log(text)) = self.reader.line(line) {
                self.log.push(text);
            }
        }
        let results: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let path = results[0]["outputs"]["out"].as_str().unwrap();
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

/// A repository with a flake for one host, not yet committed.
pub(crate) fn repository_with_flake(host: &str) -> Repository {
    let repository = Repository::empty();
    let id = repository.remotes().file_name().unwrap().to_str().unwrap().to_owned();
    let system = format!("{}-linux", std::env::consts::ARCH);
    repository.write("flake.nix", &FLAKE.replace("ID", &id).replace("SYSTEM", &system).replace("HOST", host));
    repository
}

#[tokio::test]
async fn a_pinned_branch_never_builds_an_old_commit() {
    let repository = repository_with_flake("web");
    repository.commit("main-1");
    repository.git(&["switch", "--quiet", "--create", "feature"]);
    let first = repository.commit("feature-1");
    repository.push();
    let server = Server::open(repository.remotes());
    let flake = server.flake();
    let mut nix = Nix::new();

    let locked = pin(&flake, "feature", None).await.unwrap();
    assert_eq!(nix.build(&locked.url), "feature-1");
    let progress = nix.reader.progress();
    assert_eq!((progress.done, progress.expected, progress.running), (1, 1, 0));
    let has_log = nix.log.iter().any(|line| line.starts_with("nixos-system-web> building for "));
    assert!(has_log, "{:?}", nix.log);
    // Proves that the problem exists: from here on nix has the branch in its cache.
    let unpinned = format!("{flake}?ref=feature");
    assert_eq!(nix.build(&unpinned), "feature-1");

    repository.commit("feature-2");
    repository.push();
    assert_eq!(nix.build(&unpinned), "feature-1");
    let locked = pin(&flake, "feature", None).await.unwrap();
    assert_eq!(nix.build(&locked.url), "feature-2");

    let locked = pin(&flake, &first, None).await;
    // No ref points at it and it is not on `main`, but it was fetched before.
    assert_eq!(nix.build(&locked.unwrap().url), "feature-1");
    let main = repository.git(&["rev-parse", "main"]);
    let locked = pin(&flake, &main, None).await.unwrap();
    assert_eq!(nix.build(&locked.url), "main-1");
}

#[tokio::test]
async fn every_kind_of_revision_builds_with_an_empty_cache() {
    let repository = repository_with_flake("web");
    let old = repository.commit("main-1");
    repository.commit("main-2");
    repository.git(&["switch", "--quiet", "--create", "feature/x+y"]);
    let middle = repository.commit("feature-1");
    repository.commit("tagged");
    repository.git(&["tag", "--annotate", "--message", "x", "v1.0"]);
    let feature = repository.commit("feature-2");
    repository.push();
    let server = Server::open(repository.remotes());
    let flake = server.flake();
    for (revision, commit, expected) in [
        ("main", None, "main-2"),
        (old.as_str(), None, "main-1"),
        ("feature/x+y", None, "feature-2"),
        (&feature, None, "feature-2"),
        ("v1.0", None, "tagged"),
        ("feature/x+y", Some(middle.as_str()), "feature-1"),
        ("main", Some(&old), "main-1"),
    ] {
        let locked = pin(&flake, revision, commit).await.unwrap();
        assert_eq!(Nix::new().build(&locked.url), expected, "{revision} {commit:?}");
    }
}

#[tokio::test]
async fn a_path_builds_without_a_revision() {
    let dir = TestDir::new();
    let system = format!("{}-linux", std::env::consts::ARCH);
    std::fs::write(dir.path().join("flake.nix"), FLAKE.replace("SYSTEM", &system).replace("HOST", "web"))
        .unwrap();
    std::fs::write(dir.path().join("version"), "uncommitted").unwrap();
    let locked = pin(dir.path().to_str().unwrap(), "main", None).await.unwrap();
    assert_eq!(Nix::new().build(&locked.url), "uncommitted");
}
