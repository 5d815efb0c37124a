//! The host decides which commits it builds: a commit that is on no branch never reaches nix, and an older one only if
//! the request allows it.

use crate::common::{Repo, eventually, is_running};
use crate::stage::{SWITCH, Stage, flake};
use serde_json::{Value, json};
use std::fs;

fn repository() -> (Repo, String) {
    let repo = Repo::new();
    fs::write(repo.path().join("switch-to-configuration"), SWITCH).unwrap();
    fs::write(repo.path().join("flake.nix"), flake()).unwrap();
    let first = repo.commit("version", "v1");
    (repo, first)
}

fn refused(report: &Value, message: &str) {
    assert_eq!(
        (&report["status"], &report["error"]),
        (&json!("failed"), &json!("invalid_revision")),
        "{report}"
    );
    assert!(report["message"].as_str().unwrap().starts_with(message), "{report}");
}

#[test]
fn commit_of_a_pull_request_is_not_built() {
    let (repo, _) = repository();
    repo.git(&["checkout", "--quiet", "--detach"]);
    let foreign = repo.commit("version", "v2");
    repo.git(&["update-ref", "refs/pull/1/head", &foreign]);
    repo.git(&["checkout", "--quiet", "master"]);
    let stage = Stage::with(|host| host.flake(&repo.url()));
    stage.program_named("nix", "echo \"$@\" >> $STAGE/nix-calls; PATH=${PATH#*:} exec nix \"$@\"");
    let report = stage.request("c-1", json!({"action": "switch", "revision": foreign})).final_report();
    refused(&report, &format!("commit {foreign} is not on any branch or tag of {}; ", repo.url()));
    let report = stage
        .request("c-2", json!({"action": "switch", "revision": "master", "commit": foreign}))
        .final_report();
    refused(&report, &format!("commit {foreign} is not on the branch \"master\" of {}; ", repo.url()));
    assert!(!stage.at("nix-calls").exists());
    assert_eq!(stage.runs(), "v0");
    let report = stage.request("c-3", json!({"action": "switch", "revision": "master"})).final_report();
    assert_eq!((&report["status"], stage.runs().as_str()), (&json!("completed"), "v1"), "{report}");
}

#[test]
fn older_commit_needs_allow_older_but_a_rollback_does_not() {
    let (repo, first) = repository();
    let second = repo.commit("version", "v2");
    let stage = Stage::with(|host| host.flake(&repo.url()));
    let send = |id: &str, fields: Value| stage.request(id, fields).final_report();
    assert_eq!(send("c-1", json!({"action": "switch", "revision": "master"}))["status"], "completed");
    // The worker wrote the record last and must have kept the deployed commit.
    assert_eq!(stage.record("c-1")["deployed"], json!({"branch": "master", "commit": second}));
    let older = json!({"action": "switch", "revision": "master", "commit": first});
    refused(&send("c-2", older.clone()), &format!("commit {first} is older than {second}, "));
    assert_eq!(send("c-3", json!({"action": "rollback"}))["status"], "completed");
    assert_eq!(stage.runs(), "v0");
    refused(&send("c-4", older.clone()), &format!("commit {first} is older than {second}, "));
    let mut allowed = older;
    allowed["allow_older"] = json!(true);
    let report = send("c-5", allowed);
    assert_eq!((&report["status"], stage.runs().as_str()), (&json!("completed"), "v1"), "{report}");
}

#[test]
fn cancel_ends_git_while_it_fetches() {
    let (repo, first) = repository();
    repo.commit("version", "v2");
    let stage = Stage::with(|host| host.flake(&repo.url()));
    let hang = "case \" $* \" in *' fetch '*) sleep 1000 & echo $! > $STAGE/fetching.new
        mv $STAGE/fetching.new $STAGE/fetching; wait;; esac; PATH=${PATH#*:} exec git \"$@\"";
    stage.program_named("git", hang);
    let request = json!({"action": "switch", "revision": "master", "commit": first});
    let reports = stage.request("c-1", request.clone());
    let pid =
        eventually("git fetching", || fs::read_to_string(stage.at("fetching")).ok()?.trim().parse().ok());
    let cancelled = stage.request("c-2", json!({"action": "cancel", "job": "c-1"})).final_report();
    assert_eq!(cancelled["status"], "completed", "{cancelled}");
    assert_eq!(reports.final_report()["error"], "cancelled");
    eventually("the end of git", || (!is_running(pid)).then_some(()));
    fs::remove_file(stage.at("bin/git")).unwrap();
    let report = stage.request("c-3", request).final_report();
    assert_eq!((&report["status"], stage.runs().as_str()), (&json!("completed"), "v1"), "{report}");
}
