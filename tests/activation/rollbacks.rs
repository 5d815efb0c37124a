//! Which system a rollback leads to when the running one is not the one that boots.

use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

fn rollback(stage: &Stage) -> Value {
    stage.ask_for("r-1", json!({"action": "rollback"})).verdict()
}

fn completes(stage: &Stage, id: &str, action: &str, version: &str) {
    let report = stage.deploy(id, action, version).verdict();
    assert_eq!(report["status"], "completed", "{report}");
}

/// A host whose generation 2 has a specialisation, which runs.
fn with_running_specialisation() -> (Stage, String) {
    let stage = Stage::new();
    let special = "mkdir -p $out/bin $out/special $out/specialisation; ln -s $out/special $out/specialisation/gaming; \
                   printf special > $out/special/nixos-version";
    stage.change_flake("mkdir -p $out/bin", special);
    completes(&stage, "j-1", "switch", "v1");
    let system = format!("{}/special", stage.system());
    fs::remove_file(stage.at("root/run/current-system")).unwrap();
    symlink(&system, stage.at("root/run/current-system")).unwrap();
    (stage, system)
}

#[test]
fn a_rollback_after_a_boot_keeps_what_runs_and_boots_it_again() {
    let stage = Stage::new();
    completes(&stage, "j-1", "boot", "v1");
    let report = rollback(&stage);
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(report["message"], "rollback done, generation 1");
    assert_eq!(stage.calls(), "v1 check, v1 boot, v0 check, v0 boot");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn a_rollback_after_several_boots_leads_to_what_runs_too() {
    let stage = Stage::new();
    completes(&stage, "j-1", "switch", "v1");
    completes(&stage, "j-2", "boot", "v2");
    completes(&stage, "j-3", "boot", "v3");
    assert_eq!(rollback(&stage)["status"], "completed");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn a_system_that_was_tried_and_not_kept_goes_first() {
    let stage = Stage::new();
    completes(&stage, "j-1", "switch", "v1");
    completes(&stage, "j-2", "test", "v2");
    assert_eq!(rollback(&stage)["status"], "completed");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn a_specialisation_that_runs_counts_as_its_generation() {
    let (stage, _) = with_running_specialisation();
    let report = rollback(&stage);
    assert_eq!((&report["status"], &report["generation"]), (&json!("completed"), &json!(1)), "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn a_specialisation_that_runs_is_not_ended_to_take_a_boot_back() {
    let (stage, system) = with_running_specialisation();
    completes(&stage, "j-2", "boot", "v2");
    let calls = stage.calls();
    let report = rollback(&stage);
    assert_eq!(report["error"], "unhealthy", "{report}");
    let expected = "a specialisation of generation 2 runs, and activating that generation would end it; to accept this, \
                    `homelab-deploy rollback web1 --generation 2`; nothing was changed";
    assert_eq!(report["message"], expected);
    assert_eq!((stage.system(), stage.profile().as_str()), (system, "v2 as 3"));
    assert_eq!(stage.calls(), calls);
    let report = stage.ask_for("r-2", json!({"action": "rollback", "generation": 2})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}
