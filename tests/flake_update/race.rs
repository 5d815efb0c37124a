//! The base branch moves while hosts are built.

use crate::common::{Gate, Running};
use crate::stage::Stage;
use std::fs;

/// A host that waits at a gate while it is built.
fn gated(stage: &Stage) -> String {
    format!("web1 = \"read go < {} || exit 1; echo ${{dep.number}} > $out\";", stage.text("gate"))
}

/// A fleet with such a host.
pub(crate) fn waiting() -> (Stage, Gate) {
    let stage = Stage::new("");
    let gate = Gate::at(stage.path("gate"));
    fs::write(stage.path("checkout/flake.nix"), stage.flake(&gated(&stage))).unwrap();
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "a host"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    (stage, gate)
}

#[test]
fn all_begins_again_on_the_new_tip() {
    let (stage, gate) = waiting();
    let mut update = Running::start(&mut stage.update());
    update.says("building web1");
    let theirs = stage.somebody_pushes("new", "master");
    gate.pass();
    update.says("master has moved meanwhile; beginning again on its new tip");
    update.says("all 1 hosts build; master is at ");
    stage.check(&update.ended(0));
    assert_eq!(stage.git("fleet.git", &["rev-parse", "master^"]), theirs);
    assert_eq!(stage.branches().len(), 1);
}

#[test]
fn a_push_that_loses_the_race_is_no_force() {
    let (stage, gate) = waiting();
    // The base moves after it was looked at for the last time: as the push arrives.
    stage.git("checkout", &["push", "--quiet", "origin", "master:side"]);
    let theirs = stage.somebody_pushes("new", "side");
    let hook = stage.path("fleet.git/hooks/pre-receive");
    let move_on = format!(
        "#!/bin/sh\nunset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
         git update-ref refs/heads/master {theirs}\nrm {}\n",
        hook.display()
    );
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, move_on).unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let update = Running::start(&mut stage.update());
    gate.pass();
    let ended = update.ended(0);
    assert!(ended.out.contains("master has moved meanwhile"), "{ended}");
    assert_eq!(stage.git("fleet.git", &["rev-parse", "master^"]), theirs);
}
