//! Today's branch from an earlier run is replaced, deleted, or kept if someone has worked on it.

use crate::forge::Forge;
use crate::stage::{BAD, GOOD, Stage};
use std::fs;

/// Pushes a fix to the base branch, with which all hosts build.
fn fix_host(stage: &Stage) {
    fs::write(stage.path("checkout/flake.nix"), stage.flake(GOOD)).unwrap();
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "fix"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
}

#[test]
fn the_branch_of_an_earlier_run_is_replaced() {
    let stage = Stage::new(BAD);
    let forge = Forge::gitea(|_| None);
    stage.wait_for_exit(&mut stage.update_with(&forge), 1);
    let first = stage.at(&Stage::today());
    stage.move_input(3);
    let base = stage.push_as_someone_else("new", "master");
    stage.git("checkout", &["pull", "--quiet", "origin", "master"]);
    stage.wait_for_exit(&mut stage.update_with(&forge), 1);
    let second = stage.at(&Stage::today());
    assert_ne!(second, first);
    assert_eq!(stage.git("fleet.git", &["rev-parse", &format!("{second}^")]), base);
}

#[test]
fn the_branch_of_an_earlier_run_is_deleted_once_every_host_builds() {
    let stage = Stage::new(BAD);
    stage.wait_for_exit(&mut stage.update(), 1);
    fix_host(&stage);
    let ended = stage.wait_for_exit(&mut stage.update(), 0);
    let deleted = format!("deleted {} of an earlier run on origin", Stage::today());
    assert!(ended.stdout.contains(&deleted), "{ended}");
    assert_eq!(stage.branches(), [("master".to_owned(), stage.at("master"))]);
}

#[test]
fn the_branch_of_an_earlier_run_is_deleted_if_nothing_is_left_to_update() {
    let stage = Stage::new(BAD);
    stage.wait_for_exit(&mut stage.update(), 1);
    let branch = Stage::today();
    stage.git("fleet.git", &["update-ref", "refs/heads/master", &format!("refs/heads/{branch}")]);
    let ended = stage.wait_for_exit(&mut stage.update(), 0);
    assert!(ended.stdout.ends_with("nothing to update\n"), "{ended}");
    assert_eq!(stage.branches().len(), 1);
}

#[test]
fn commits_of_others_on_the_branch_are_kept() {
    let stage = Stage::new(BAD);
    stage.wait_for_exit(&mut stage.update(), 1);
    let branch = Stage::today();
    let theirs = stage.push_as_someone_else("fix", &branch);
    for args in [&[][..], &["--dry-run"]] {
        let ended = stage.wait_for_exit(stage.update().args(args), 2);
        let message = format!(
            "{branch} on origin has commits other than that of an update, so someone has worked on it"
        );
        ended.assert_stderr(&[&message, "merge or delete that branch, then run again"]);
        assert_eq!(stage.at(&branch), theirs);
    }
}

#[test]
fn an_unpushed_update_is_kept_until_a_later_run() {
    let stage = Stage::new(GOOD);
    let before = stage.branches();
    let hook = stage.path("fleet.git/hooks/pre-receive");
    stage.git(".", &["config", "--file", "refusing", "core.hooksPath", "/nowhere"]);
    fs::create_dir_all(stage.path("fleet.git/hooks")).unwrap();
    fs::write(&hook, "#!/bin/sh\necho 'this branch is protected' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ended = stage.wait_for_exit(&mut stage.update(), 5);
    let branch = Stage::today();
    ended.assert_stderr(&[
        "error: could not push master to origin: remote: this branch is protected",
        "every host builds; the branch is in ",
        "checkout; push it, or run again",
    ]);
    assert_eq!(stage.branches(), before);
    assert_eq!(stage.git("checkout", &["rev-parse", &format!("{branch}^")]), before[0].1);
    let ended = stage.wait_for_exit(&mut stage.update_of(&stage.remote()), 5);
    ended.assert_stderr(&["every host builds; run again"]);

    fs::remove_file(hook).unwrap();
    stage.wait_for_exit(&mut stage.update(), 0);
    assert_eq!(stage.git("checkout", &["branch", "--list", "flake-update/*"]), "");

    let stage = Stage::new(BAD);
    fs::write(stage.path("fleet.git/hooks/pre-receive"), "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(
        stage.path("fleet.git/hooks/pre-receive"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let ended = stage.wait_for_exit(&mut stage.update(), 5);
    ended.assert_stderr(&[&format!("error: could not push {branch} to origin: "), "the branch is in "]);
}
