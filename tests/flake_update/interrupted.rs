//! A run that ends in the middle leaves the base branch as it is, and the next one goes through.

use crate::common::Running;
use crate::race::waiting;
use crate::stage::Stage;
use std::fs;

#[test]
fn ctrl_c_ends_the_builds_and_pushes_nothing() {
    let (stage, _gate) = waiting();
    let before = stage.branches();
    let mut update = Running::start(&mut stage.update());
    update.says("building web1");
    update.interrupt();
    let ended = update.ended(130);
    ended.complains(&["error: interrupted; nothing was pushed"]);
    stage.check(&ended);
    assert_eq!(stage.branches(), before);
}

#[test]
fn a_run_that_is_killed_while_it_builds_leaves_nothing_and_is_run_again() {
    let (stage, gate) = waiting();
    let (before, local) = (stage.branches(), stage.git("checkout", &["for-each-ref", "refs/heads"]));
    let mut update = Running::start(&mut stage.update());
    update.says("building web1");
    drop(update);
    assert_eq!(stage.branches(), before);
    assert_eq!(stage.git("checkout", &["for-each-ref", "refs/heads"]), local);
    assert_eq!(stage.git("checkout", &["worktree", "list"]).lines().count(), 1);
    // The nix that was left waits at the gate, and so may hold the lock of the build.
    gate.pass();
    gate.pass();
    let ended = Running::start(&mut stage.update()).ended(0);
    assert!(ended.out.contains("all 1 hosts build"), "{ended}");
    assert_ne!(stage.branches(), before);
}

/// Killed while the remote takes the push, before it has moved the branch.
#[test]
fn a_run_that_is_killed_while_it_pushes_leaves_the_base_or_has_moved_it() {
    let stage = Stage::new(crate::stage::GOOD);
    let before = stage.branches();
    let (told, go) = (crate::common::Gate::at(stage.path("told")), crate::common::Gate::at(stage.path("go")));
    let hook = stage.path("fleet.git/hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let wait = format!("#!/bin/sh\necho > {}\nread go < {}\nexit 1\n", stage.text("told"), stage.text("go"));
    fs::write(&hook, wait).unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let update = Running::start(&mut stage.update());
    told.told();
    drop(update);
    fs::remove_file(&hook).unwrap();
    go.pass();
    assert_eq!(stage.branches(), before);
    let ended = Running::start(&mut stage.update()).ended(0);
    assert!(ended.out.contains("all 3 hosts build"), "{ended}");
    assert_eq!(stage.branches().len(), 1);
}
