//! The base branch moves during an update.

use crate::common::{Gate, RunningCommand};
use crate::stage::Stage;
use std::fs;

/// A host whose build waits at a gate.
fn waiting_host(stage: &Stage) -> String {
    format!("web1 = \"read go < {} || exit 1; echo ${{dep.number}} > $out\";", stage.text("gate"))
}

/// A fleet with a host whose build waits at a gate.
pub(crate) fn fleet_with_waiting_host() -> (Stage, Gate) {
    let stage = Stage::new("");
    let gate = Gate::at(stage.path("gate"));
    fs::write(stage.path("checkout/flake.nix"), stage.flake(&waiting_host(&stage))).unwrap();
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "a host"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    (stage, gate)
}

#[test]
fn the_update_restarts_on_the_new_tip() {
    let (stage, gate) = fleet_with_waiting_host();
    let mut update = RunningCommand::start(&mut stage.update());
    update.wait_for_line("building web1");
    let theirs = stage.push_as_someone_else("new", "master");
    gate.pass();
    update.wait_for_line("master has changed in the meantime; restarting from its new head");
    update.wait_for_line("all 1 hosts build; master is at ");
    stage.check(&update.wait_for_exit(0));
    assert_eq!(stage.git("fleet.git", &["rev-parse", "master^"]), theirs);
    assert_eq!(stage.branches().len(), 1);
}

#[test]
fn a_push_that_loses_the_race_is_not_forced() {
    let (stage, gate) = fleet_with_waiting_host();
    // The base moves after the last check, when the push arrives.
    stage.git("checkout", &["push", "--quiet", "origin", "master:side"]);
    let theirs = stage.push_as_someone_else("new", "side");
    let hook = stage.path("fleet.git/hooks/pre-receive");
    let move_on = format!(
        "#!/bin/sh\nunset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
         git update-ref refs/heads/master {theirs}\nrm {}\n",
        hook.display()
    );
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, move_on).unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let update = RunningCommand::start(&mut stage.update());
    gate.pass();
    let ended = update.wait_for_exit(0);
    assert!(ended.stdout.contains("master has changed in the meantime"), "{ended}");
    assert_eq!(stage.git("fleet.git", &["rev-parse", "master^"]), theirs);
}
