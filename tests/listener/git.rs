//! Revisions of a real repository: each is resolved to the intended commit, which is then built.

use crate::common::Repo;
use crate::stage::{Stage, text};
use serde_json::json;
use std::fs;

/// A repository with `master`, `feature` and a tag, and the three commits.
fn repository() -> (Repo, [String; 3]) {
    let repo = Repo::new();
    let first = repo.commit("flake.nix", "first");
    repo.git(&["tag", "v1"]);
    let second = repo.commit("flake.nix", "second");
    repo.git(&["checkout", "--quiet", "-b", "feature"]);
    let third = repo.commit("flake.nix", "third");
    repo.git(&["checkout", "--quiet", "master"]);
    (repo, [first, second, third])
}

fn on(repo: &Repo) -> Stage {
    Stage::with("echo \"$@\" > $DIR/called", |host| host.flake(&repo.url()))
}

/// Deploys, and returns the arguments of the external command and the reported commit.
fn called(stage: &Stage, id: &str, fields: serde_json::Value) -> (String, String) {
    let report = stage.deploy(id, fields).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let arguments = fs::read_to_string(stage.host.file("called")).unwrap();
    (arguments.trim().to_owned(), text(&report["commit"]).to_owned())
}

#[test]
fn a_branch_a_tag_and_a_commit_are_passed_as_one_commit() {
    let (repo, [first, second, third]) = repository();
    let stage = on(&repo);
    let url = repo.url();
    for (id, fields, reference, commit) in [
        ("e-1", json!({"revision": "feature"}), "refs/heads/feature", &third),
        ("e-2", json!({"revision": "master"}), "refs/heads/master", &second),
        ("e-3", json!({"revision": "v1", "allow_older": true}), "refs/tags/v1", &first),
        ("e-4", json!({"revision": third}), "refs/heads/feature", &third),
        // The operator has resolved the branch before it moved.
        ("e-5", json!({"revision": "master", "commit": first, "allow_older": true}), "refs/tags/v1", &first),
    ] {
        let (arguments, reported) = called(&stage, id, fields);
        assert_eq!(arguments, format!("switch --flake {url}?ref={reference}&rev={commit}#web1"), "{id}");
        assert_eq!(reported, *commit, "{id}");
    }
}

#[test]
fn a_branch_that_has_moved_is_looked_up_again() {
    let (repo, [_, second, _]) = repository();
    let stage = on(&repo);
    assert_eq!(called(&stage, "e-6", json!({})).1, second);
    let pushed = repo.commit("flake.nix", "pushed");
    assert_eq!(called(&stage, "e-7", json!({})).1, pushed);
    assert_eq!(stage.query(json!({}))["commit"], pushed);
}

#[test]
fn a_branch_that_does_not_exist_is_refused_with_near_names() {
    let (repo, _) = repository();
    let stage = on(&repo);
    let report = stage.deploy("e-8", json!({"revision": "featrue"})).final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("invalid_revision")));
    let expected = format!("\"featrue\" is not a branch or tag of {}; similar names: feature", repo.url());
    assert_eq!(report["message"], expected);
    assert!(!text(&report["diagnostics"]).starts_with('\n'), "nothing was logged: {report}");
    assert!(!stage.host.file("called").exists());
    called(&stage, "e-9", json!({"revision": "feature"}));
}

#[test]
fn a_missing_repository_is_reported_as_missing() {
    let (repo, _) = repository();
    let stage = on(&repo);
    fs::rename(repo.path().join(".git"), repo.path().join("moved")).unwrap();
    let report = stage.deploy("e-10", json!({})).final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("source_unreachable")));
    assert!(text(&report["message"]).contains(&repo.url()), "{report}");
    fs::rename(repo.path().join("moved"), repo.path().join(".git")).unwrap();
    called(&stage, "e-11", json!({}));
}
