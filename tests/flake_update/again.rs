//! A branch of today that an earlier run has left: replaced, deleted, or left alone where somebody has worked on it.

use crate::forge::Forge;
use crate::stage::{BAD, GOOD, Stage};
use std::fs;

/// What makes every host build again, pushed to the base branch.
fn mend(stage: &Stage) {
    fs::write(stage.path("checkout/flake.nix"), stage.flake(GOOD)).unwrap();
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "mended"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
}

#[test]
fn the_branch_of_an_earlier_run_is_replaced() {
    let stage = Stage::new(BAD);
    let forge = Forge::gitea(|_| None);
    stage.ended(&mut stage.update_with(&forge), 1);
    let first = stage.at(&Stage::today());
    stage.move_input(3);
    let base = stage.somebody_pushes("new", "master");
    stage.git("checkout", &["pull", "--quiet", "origin", "master"]);
    stage.ended(&mut stage.update_with(&forge), 1);
    let second = stage.at(&Stage::today());
    assert_ne!(second, first);
    assert_eq!(stage.git("fleet.git", &["rev-parse", &format!("{second}^")]), base);
}

#[test]
fn the_branch_of_an_earlier_run_is_deleted_once_every_host_builds() {
    let stage = Stage::new(BAD);
    stage.ended(&mut stage.update(), 1);
    mend(&stage);
    let ended = stage.ended(&mut stage.update(), 0);
    let deleted = format!("deleted {} on origin, which an earlier run had left", Stage::today());
    assert!(ended.out.contains(&deleted), "{ended}");
    assert_eq!(stage.branches(), [("master".to_owned(), stage.at("master"))]);
}

#[test]
fn the_branch_of_an_earlier_run_is_deleted_where_nothing_is_to_be_updated_any_more() {
    let stage = Stage::new(BAD);
    stage.ended(&mut stage.update(), 1);
    let branch = Stage::today();
    stage.git("fleet.git", &["update-ref", "refs/heads/master", &format!("refs/heads/{branch}")]);
    let ended = stage.ended(&mut stage.update(), 0);
    assert!(ended.out.ends_with("nothing to update\n"), "{ended}");
    assert_eq!(stage.branches().len(), 1);
}

#[test]
fn the_work_of_others_on_the_branch_is_left_alone() {
    let stage = Stage::new(BAD);
    stage.ended(&mut stage.update(), 1);
    let branch = Stage::today();
    let theirs = stage.somebody_pushes("fix", &branch);
    for args in [&[][..], &["--dry-run"]] {
        let ended = stage.ended(stage.update().args(args), 2);
        let said =
            format!("{branch} on origin has more than one commit of an update, so somebody has worked on it");
        ended.complains(&[&said, "merge or delete that branch, then run again"]);
        assert_eq!(stage.at(&branch), theirs);
    }
}

#[test]
fn what_cannot_be_pushed_is_kept_and_forgotten_later() {
    let stage = Stage::new(GOOD);
    let before = stage.branches();
    let hook = stage.path("fleet.git/hooks/pre-receive");
    stage.git(".", &["config", "--file", "refusing", "core.hooksPath", "/nowhere"]);
    fs::create_dir_all(stage.path("fleet.git/hooks")).unwrap();
    fs::write(&hook, "#!/bin/sh\necho 'this branch is protected' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ended = stage.ended(&mut stage.update(), 5);
    let branch = Stage::today();
    ended.complains(&[
        "error: could not push master to origin: remote: this branch is protected",
        "every host builds; the branch lies in ",
        "checkout; push it, or run again",
    ]);
    assert_eq!(stage.branches(), before);
    assert_eq!(stage.git("checkout", &["rev-parse", &format!("{branch}^")]), before[0].1);
    let ended = stage.ended(&mut stage.update_of(&stage.remote()), 5);
    ended.complains(&["every host builds; run again"]);

    fs::remove_file(hook).unwrap();
    stage.ended(&mut stage.update(), 0);
    assert_eq!(stage.git("checkout", &["branch", "--list", "flake-update/*"]), "");

    let stage = Stage::new(BAD);
    fs::write(stage.path("fleet.git/hooks/pre-receive"), "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(
        stage.path("fleet.git/hooks/pre-receive"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let ended = stage.ended(&mut stage.update(), 5);
    ended.complains(&[&format!("error: could not push {branch} to origin: "), "the branch lies in "]);
}
