//! The target of a rollback when the running system is not the default at boot.

use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

fn rollback(stage: &Stage) -> Value {
    stage.request("r-1", json!({"action": "rollback"})).final_report()
}

fn completes(stage: &Stage, id: &str, action: &str, version: &str) {
    let report = stage.deploy(id, action, version).final_report();
    assert_eq!(report["status"], "completed", "{report}");
}

/// Returns a host that runs a specialisation of its generation 2.
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
fn rollback_after_a_boot_makes_the_running_system_the_default_again() {
    let stage = Stage::new();
    completes(&stage, "j-1", "boot", "v1");
    let report = rollback(&stage);
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(report["message"], "rollback done, generation 1");
    assert_eq!(stage.calls(), "v1 check, v1 boot, v0 check, v0 boot");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn rollback_after_several_boots_selects_the_running_system_too() {
    let stage = Stage::new();
    completes(&stage, "j-1", "switch", "v1");
    completes(&stage, "j-2", "boot", "v2");
    completes(&stage, "j-3", "boot", "v3");
    assert_eq!(rollback(&stage)["status"], "completed");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn rollback_after_a_test_returns_to_the_current_generation() {
    let stage = Stage::new();
    completes(&stage, "j-1", "switch", "v1");
    completes(&stage, "j-2", "test", "v2");
    assert_eq!(rollback(&stage)["status"], "completed");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn running_specialisation_counts_as_its_generation() {
    let (stage, _) = with_running_specialisation();
    let report = rollback(&stage);
    assert_eq!((&report["status"], &report["generation"]), (&json!("completed"), &json!(1)), "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn rollback_of_a_boot_does_not_leave_a_running_specialisation() {
    let (stage, system) = with_running_specialisation();
    completes(&stage, "j-2", "boot", "v2");
    let calls = stage.calls();
    let report = rollback(&stage);
    assert_eq!(report["error"], "unhealthy", "{report}");
    let expected = "a specialisation of generation 2 is running, and activating that generation would leave it; to accept this, \
                    run `homelab-deploy rollback web1 --generation 2`; nothing was changed";
    assert_eq!(report["message"], expected);
    assert_eq!((stage.system(), stage.profile().as_str()), (system, "v2 as 3"));
    assert_eq!(stage.calls(), calls);
    let report = stage.request("r-2", json!({"action": "rollback", "generation": 2})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}
