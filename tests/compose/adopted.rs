//! A host whose services were brought up by hand, from its own clone.

use crate::stage::{StageBuilder, components, sleeper};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

fn git(dir: &Path, args: &[&str]) {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_existing_clone_and_its_containers_are_taken_over() {
    let (db, web) = (sleeper("bb:1", ""), sleeper("bb:1", "volumes: ['./app.conf:/app.conf:ro']"));
    let Some(host) = StageBuilder::new(&[("db", &db), ("web", &web)]) else { return };
    fs::write(host.repo.path().join("services/web/app.conf"), "one").unwrap();
    host.repo.commit("README", "app.conf");
    let clone = host.root.path().join("repo");
    git(host.root.path(), &["clone", "--quiet", host.repo.path().to_str().unwrap(), "repo"]);
    for name in ["db", "web"] {
        let directory = clone.join("services").join(name);
        let file = directory.join("docker-compose.yml");
        let (directory, file) = (directory.to_str().unwrap(), file.to_str().unwrap());
        let project = [
            "compose",
            "--project-name",
            name,
            "--project-directory",
            directory,
            "--file",
            file,
            "up",
            "--detach",
        ];
        host.daemon.docker(&project);
    }
    let stage = host.start(&[]);
    let containers = [stage.container("db"), stage.container("web")];
    let report = stage.deploy("ad-1", json!({"action": "dry-activate"}));
    assert_eq!(components(&report), ["db: unchanged", "web: unchanged"], "{report:#}");
    let report = stage.completes("ad-2");
    assert_eq!(components(&report), ["db: unchanged", "web: unchanged"], "{}", stage.log("ad-2"));
    assert_eq!([stage.container("db"), stage.container("web")], containers);
    assert_eq!(report["generation"], 1);
    // A file that was mounted before the host was taken over is compared too.
    stage.commit(&[("services/web/app.conf", "two")]);
    let report = stage.completes("ad-3");
    assert_eq!(components(&report), ["db: unchanged", "web: done"], "{}", stage.log("ad-3"));
    // Branches of the clone itself stay as they are.
    assert!(clone.join(".git/refs/heads/master").exists());
}
