//! The success case of each action.

use crate::stage::Stage;
use serde_json::json;

/// Formats the name and state of each phase.
fn phases(report: &serde_json::Value) -> String {
    let phases = report["phases"].as_array().unwrap().iter();
    let shown = phases
        .map(|phase| format!("{} {}", phase["name"].as_str().unwrap(), phase["state"].as_str().unwrap()));
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_action_changes_only_what_it_should() {
    for (action, runs, profile, calls, skipped) in [
        ("switch", "v1", "v1 as 2", "v1 check, v1 test, v1 boot", ""),
        ("test", "v1", "v0 as 1", "v1 check, v1 test", "persist"),
        ("boot", "v0", "v1 as 2", "v1 check, v1 boot", "activate verify"),
        ("build", "v0", "v0 as 1", "", "check activate verify persist"),
        ("dry-activate", "v0", "v0 as 1", "v1 check, v1 dry-activate", "activate verify persist"),
    ] {
        let stage = Stage::new();
        let report = stage.deploy("j-1", action, "v1").final_report();
        assert_eq!(report["status"], "completed", "{action}: {report}");
        assert_eq!((stage.runs().as_str(), stage.profile().as_str()), (runs, profile), "{action}");
        assert_eq!(stage.calls(), calls, "{action}");
        for phase in report["phases"].as_array().unwrap() {
            let expected = if skipped.contains(phase["name"].as_str().unwrap()) { "skipped" } else { "done" };
            assert_eq!(phase["state"], expected, "{action}: {}", phases(&report));
        }
        let record = stage.record("j-1");
        assert_eq!(record["report"]["status"], "completed");
        assert_eq!(record["report"]["seq"], report["seq"]);
    }
}

#[test]
fn running_system_is_not_activated_again() {
    let stage = Stage::new();
    let report = stage.deploy("j-1", "switch", "v0").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(report["message"], "switch done, this system was already running, generation 1");
    assert_eq!(stage.calls(), "v0 check, v0 boot");
    assert_eq!(stage.profile(), "v0 as 1");
}

#[test]
fn switch_after_a_test_of_the_same_system_persists_it() {
    let stage = Stage::new();
    stage.deploy("j-1", "test", "v1").final_report();
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v0 as 1"));
    let report = stage.deploy("j-2", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(report["message"], "switch done, generation 2");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn rollback_selects_the_previous_or_the_requested_generation() {
    let stage = Stage::new();
    for (id, version) in [("j-1", "v1"), ("j-2", "v2")] {
        assert_eq!(stage.deploy(id, "switch", version).final_report()["status"], "completed");
    }
    assert_eq!(stage.profile(), "v2 as 3");
    let report = stage.request("j-3", json!({"action": "rollback"})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
    assert_eq!(report["generation"], 2);
    let report = stage.request("j-4", json!({"action": "rollback", "generation": 3})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v2", "v2 as 3"));
    let report = stage.request("j-5", json!({"action": "rollback", "generation": 9})).final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("not_found")));
    assert_eq!(report["message"], "generation 9 does not exist; the host has 1, 2, 3; nothing was changed");
}

#[test]
fn dry_run_reports_what_would_change() {
    let stage = Stage::new();
    let report = stage.deploy("j-1", "dry-activate", "v1").final_report();
    assert_eq!(report["changes"]["units_restarted"], json!(["nginx.service", "sshd.service"]));
    assert_eq!(report["message"], "dry-activate done: 0 units would stop, 0 start, 2 restart");
}
