//! Each action when all goes well.

use crate::stage::Stage;
use serde_json::json;

/// `name: state` of each phase.
fn phases(report: &serde_json::Value) -> String {
    let phases = report["phases"].as_array().unwrap().iter();
    let shown = phases
        .map(|phase| format!("{} {}", phase["name"].as_str().unwrap(), phase["state"].as_str().unwrap()));
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_action_does_what_it_says_and_no_more() {
    for (action, runs, profile, calls, skipped) in [
        ("switch", "v1", "v1 as 2", "v1 check, v1 test, v1 boot", ""),
        ("test", "v1", "v0 as 1", "v1 check, v1 test", "persist"),
        ("boot", "v0", "v1 as 2", "v1 check, v1 boot", "activate verify"),
        ("build", "v0", "v0 as 1", "", "check activate verify persist"),
        ("dry-activate", "v0", "v0 as 1", "v1 check, v1 dry-activate", "activate verify persist"),
    ] {
        let stage = Stage::new();
        let report = stage.deploy("j-1", action, "v1").verdict();
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
fn what_is_there_already_is_not_activated_again() {
    let stage = Stage::new();
    let report = stage.deploy("j-1", "switch", "v0").verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(report["message"], "switch done, this system ran already, generation 1");
    assert_eq!(stage.calls(), "v0 check, v0 boot");
    assert_eq!(stage.profile(), "v0 as 1");
}

#[test]
fn a_test_is_kept_by_a_switch_to_the_same() {
    let stage = Stage::new();
    stage.deploy("j-1", "test", "v1").verdict();
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v0 as 1"));
    let report = stage.deploy("j-2", "switch", "v1").verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(report["message"], "switch done, generation 2");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn a_rollback_goes_to_the_generation_before_or_to_the_one_that_is_named() {
    let stage = Stage::new();
    for (id, version) in [("j-1", "v1"), ("j-2", "v2")] {
        assert_eq!(stage.deploy(id, "switch", version).verdict()["status"], "completed");
    }
    assert_eq!(stage.profile(), "v2 as 3");
    let report = stage.ask_for("j-3", json!({"action": "rollback"})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
    assert_eq!(report["generation"], 2);
    let report = stage.ask_for("j-4", json!({"action": "rollback", "generation": 3})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v2", "v2 as 3"));
    let report = stage.ask_for("j-5", json!({"action": "rollback", "generation": 9})).verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("not_found")));
    assert_eq!(report["message"], "there is no generation 9; the host keeps 1, 2, 3; nothing was changed");
}

#[test]
fn a_dry_run_tells_what_would_change() {
    let stage = Stage::new();
    let report = stage.deploy("j-1", "dry-activate", "v1").verdict();
    assert_eq!(report["changes"]["units_restarted"], json!(["nginx.service", "sshd.service"]));
    assert_eq!(report["message"], "dry-activate done: 0 units would stop, 0 start, 2 restart");
}
