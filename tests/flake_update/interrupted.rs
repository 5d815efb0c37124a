//! An interrupted run leaves the base branch unchanged, and the next run succeeds.

use crate::common::RunningCommand;
use crate::race::fleet_with_waiting_host;
use crate::stage::Stage;
use std::fs;

#[test]
fn ctrl_c_ends_the_builds_and_pushes_nothing() {
    let (stage, _gate) = fleet_with_waiting_host();
    let before = stage.branches();
    let mut update = RunningCommand::start(&mut stage.update());
    update.wait_for_line("building web1");
    update.interrupt();
    let ended = update.wait_for_exit(130);
    ended.assert_stderr(&["error: interrupted; nothing was pushed"]);
    stage.check(&ended);
    assert_eq!(stage.branches(), before);
}

#[test]
fn a_run_killed_during_builds_leaves_nothing_and_can_be_repeated() {
    let (stage, gate) = fleet_with_waiting_host();
    let (before, local) = (stage.branches(), stage.git("checkout", &["for-each-ref", "refs/heads"]));
    let mut update = RunningCommand::start(&mut stage.update());
    update.wait_for_line("building web1");
    drop(update);
    assert_eq!(stage.branches(), before);
    assert_eq!(stage.git("checkout", &["for-each-ref", "refs/heads"]), local);
    assert_eq!(stage.git("checkout", &["worktree", "list"]).lines().count(), 1);
    // The nix of the killed run still waits at the gate and may hold the lock of the build.
    gate.pass();
    gate.pass();
    let ended = RunningCommand::start(&mut stage.update()).wait_for_exit(0);
    assert!(ended.stdout.contains("all 1 hosts build"), "{ended}");
    assert_ne!(stage.branches(), before);
}

/// The run is killed while the remote processes the push, before the branch moves.
#[test]
fn a_run_killed_during_the_push_leaves_the_base_and_can_be_repeated() {
    let stage = Stage::new(crate::stage::GOOD);
    let before = stage.branches();
    let (reached, go) =
        (crate::common::Gate::at(stage.path("reached")), crate::common::Gate::at(stage.path("go")));
    let hook = stage.path("fleet.git/hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let wait =
        format!("#!/bin/sh\necho > {}\nread go < {}\nexit 1\n", stage.text("reached"), stage.text("go"));
    fs::write(&hook, wait).unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let update = RunningCommand::start(&mut stage.update());
    reached.wait_for_line();
    drop(update);
    fs::remove_file(&hook).unwrap();
    go.pass();
    assert_eq!(stage.branches(), before);
    let ended = RunningCommand::start(&mut stage.update()).wait_for_exit(0);
    assert!(ended.stdout.contains("all 3 hosts build"), "{ended}");
    assert_eq!(stage.branches().len(), 1);
}
