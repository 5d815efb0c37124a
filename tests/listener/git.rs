//! Revisions of a real repository: what is built is one commit, the one that was meant.

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

/// Deploys this and gives the arguments of the program, and the commit in the report.
fn called(stage: &Stage, id: &str, fields: serde_json::Value) -> (String, String) {
    let report = stage.deploy(id, fields).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    let arguments = fs::read_to_string(stage.host.file("called")).unwrap();
    (arguments.trim().to_owned(), text(&report["commit"]).to_owned())
}

#[test]
fn a_branch_a_tag_and_a_commit_are_handed_on_as_one_commit() {
    let (repo, [first, second, third]) = repository();
    let stage = on(&repo);
    let url = repo.url();
    for (id, fields, reference, commit) in [
        ("e-1", json!({"revision": "feature"}), "refs/heads/feature", &third),
        ("e-2", json!({"revision": "master"}), "refs/heads/master", &second),
        ("e-3", json!({"revision": "v1", "allow_older": true}), "refs/tags/v1", &first),
        ("e-4", json!({"revision": third}), "refs/heads/feature", &third),
        // The operator has looked before the branch moved on.
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
    assert_eq!(stage.ask(json!({}))["commit"], pushed);
}

#[test]
fn a_branch_that_does_not_exist_is_refused_with_near_names() {
    let (repo, _) = repository();
    let stage = on(&repo);
    let report = stage.deploy("e-8", json!({"revision": "featrue"})).verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("invalid_revision")));
    let expected = format!("\"featrue\" is not a branch or tag of {}; near names: feature", repo.url());
    assert_eq!(report["message"], expected);
    assert!(!text(&report["diagnostics"]).starts_with('\n'), "nothing was logged: {report}");
    assert!(!stage.host.file("called").exists());
    called(&stage, "e-9", json!({"revision": "feature"}));
}

#[test]
fn a_repository_that_is_not_there_is_told_as_such() {
    let (repo, _) = repository();
    let stage = on(&repo);
    fs::rename(repo.path().join(".git"), repo.path().join("away")).unwrap();
    let report = stage.deploy("e-10", json!({})).verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("source_unreachable")));
    assert!(text(&report["message"]).contains(&repo.url()), "{report}");
    fs::rename(repo.path().join("away"), repo.path().join(".git")).unwrap();
    called(&stage, "e-11", json!({}));
}
