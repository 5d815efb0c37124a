//! If all hosts build, the base branch advances, and nothing else changes.

use crate::forge::Forge;
use crate::schema::valid;
use crate::stage::{BAD, GOOD, Stage};
use serde_json::{Value, json};
use std::fs;

#[test]
fn the_branch_advances_if_every_host_builds() {
    let stage = Stage::new(GOOD);
    let before = stage.at("master");
    let ended = stage.wait_for_exit(&mut stage.update(), 0);
    let after = stage.at("master");
    assert_ne!(after, before);
    assert_eq!(stage.branches(), [("master".to_owned(), after.clone())]);
    assert_eq!(stage.git("fleet.git", &["rev-parse", "master^"]), before);
    assert_eq!(stage.git("fleet.git", &["diff", "--name-only", "master^", "master"]), "flake.lock");
    let lock: Value = serde_json::from_str(&stage.git("fleet.git", &["show", "master:flake.lock"])).unwrap();
    assert_eq!(lock["nodes"]["dep"]["locked"]["rev"], stage.git("input", &["rev-parse", "HEAD"]));
    for text in [&format!("master is at {}", &before[..7]), "building db1, web1, web2", "web2  built in "] {
        assert!(ended.stdout.contains(text), "no {text:?} in\n{ended}");
    }
    assert!(ended.stdout.ends_with(&format!("all 3 hosts build; master is at {}\n", &after[..7])), "{ended}");
}

#[test]
fn nothing_to_update_changes_nothing() {
    let stage = Stage::new(GOOD);
    stage.wait_for_exit(&mut stage.update(), 0);
    let (branches, objects) = (stage.branches(), stage.git("fleet.git", &["count-objects"]));
    let ended = stage.wait_for_exit(&mut stage.update_of(&stage.remote()), 0);
    assert!(ended.stdout.ends_with("nothing to update\n"), "{ended}");
    assert_eq!(stage.branches(), branches);
    assert_eq!(stage.git("fleet.git", &["count-objects"]), objects);
    let ended = stage.wait_for_exit(stage.update_of(&stage.remote()).args(["--output", "json"]), 0);
    let result = valid(&ended).pop().unwrap();
    assert_eq!(
        (&result["event"], &result["exit"], &result["value"]["state"]),
        (&json!("result"), &json!(0), &json!("current"))
    );
}

#[test]
fn a_url_is_cloned_and_the_clone_is_removed() {
    let stage = Stage::new(GOOD);
    let before = stage.at("master");
    let ended = stage
        .wait_for_exit(stage.update_of(&format!("git+{}", stage.remote())).args(["--output", "json"]), 0);
    assert_ne!(stage.at("master"), before);
    let lines = valid(&ended);
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["fetched", "updated", "building", "built", "built", "built", "pushed", "result"]);
    let value = &lines.last().unwrap()["value"];
    assert_eq!((&value["state"], &value["pushed"]), (&json!("updated"), &json!("master")));
    assert_eq!((&value["before"], &value["commit"]), (&json!(before), &json!(stage.at("master"))));
    let hosts = value["hosts"].as_array().unwrap();
    assert!(hosts.iter().all(|host| host["state"] == "done" && host["system"].is_string()), "{hosts:#?}");
}

#[test]
fn a_dry_run_builds_and_pushes_nothing() {
    let stage = Stage::new(GOOD);
    let branches = stage.branches();
    let ended = stage.wait_for_exit(stage.update().arg("--dry-run"), 0);
    assert!(ended.stdout.contains("all 3 hosts build; master would advance to "), "{ended}");
    assert_eq!(stage.branches(), branches);
    let stage = Stage::new(BAD);
    let branches = stage.branches();
    let forge = Forge::gitea(|_| None);
    let ended = stage.wait_for_exit(stage.update_with(&forge).arg("--dry-run"), 1);
    let would = format!("{} would be pushed and a pull request opened\n", Stage::today());
    assert!(ended.stdout.contains("1 of 3 hosts do not build: web2; master is unchanged"), "{ended}");
    assert!(ended.stdout.ends_with(&would), "{ended}");
    assert_eq!((stage.branches(), forge.calls()), (branches, vec![]));
}

#[test]
fn a_host_with_its_full_domain_name_in_the_flake_is_built() {
    let stage = Stage::new("\"ns1.example.org\" = \"echo > $out\";");
    let ended = stage.wait_for_exit(&mut stage.update(), 0);
    assert!(ended.stdout.contains("ns1  built in "), "{ended}");
}

#[test]
fn invalid_host_names_are_skipped_and_reported() {
    let stage = Stage::new(&format!("{GOOD}\n\"a b\" = \"exit 1\"; all = \"exit 1\";"));
    let ended = stage.wait_for_exit(&mut stage.update(), 0);
    for name in ["a b", "all"] {
        assert!(ended.stdout.contains(&format!("skipped {name:?}: not a valid host name")), "{ended}");
    }
}

#[test]
fn another_branch_and_another_remote_can_be_selected() {
    let stage = Stage::new(GOOD);
    stage.git("checkout", &["push", "--quiet", "origin", "master:release/26.05"]);
    stage.git("checkout", &["remote", "rename", "origin", "upstream"]);
    let before = stage.at("master");
    stage.wait_for_exit(stage.update().args(["--base", "release/26.05", "--remote", "upstream"]), 0);
    assert_eq!(stage.at("master"), before);
    assert_eq!(stage.git("fleet.git", &["rev-parse", "release/26.05^"]), before);
}

#[test]
fn the_author_of_the_checkout_commits() {
    let stage = Stage::new(GOOD);
    stage.git("checkout", &["config", "user.name", "Alice"]);
    stage.wait_for_exit(&mut stage.update(), 0);
    let author = stage.git("fleet.git", &["log", "-1", "--format=%an <%ae>", "master"]);
    assert_eq!(author, "Alice <homelab-deploy@localhost>");
}

/// The database is zero after its first page, as after a power cut.
#[test]
fn a_damaged_nix_cache_is_replaced() {
    let stage = Stage::new(GOOD);
    let cache = stage.path("home/.cache/nix");
    let database = cache.join("fetcher-cache-v1.sqlite");
    let mut bytes = fs::read(&database).unwrap();
    bytes[4096..].fill(0);
    fs::write(&database, bytes).unwrap();
    let before = stage.at("master");
    let ended = stage.wait_for_exit(&mut stage.update(), 0);
    assert_ne!(stage.at("master"), before, "{ended}");
    assert!(cache.join("quarantined/fetcher-cache-v1.sqlite").exists());
    let warning =
        format!("warning: nix's cache in {} is damaged: moved to quarantined there", cache.display());
    assert!(ended.stderr.contains(&warning), "{ended}");
}
