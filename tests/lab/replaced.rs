//! A switch that replaces and restarts the listener itself completes, with one result that the new process reports.

use crate::harness::{Closure, Lab};
use serde_json::json;

#[test]
fn switch_that_replaces_the_listener_is_completed_by_the_new_one() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let listener = host.unit("homelab-deploy-listener.service");
    let next = Closure::new("next").service("web", "sleep 1002").restarts_listener();
    let commit = lab.flake.commit(&next);
    let story = lab.request("web1", "j-1", &json!({})).all_reports();
    let report = story.last().unwrap();
    assert_eq!((&report["status"], &report["commit"]), (&json!("completed"), &json!(commit)), "{report}");
    assert_eq!(host.label(), "next");
    assert_eq!(host.system_profile(), host.current_system());
    assert_eq!(host.boot_default(), host.current_system());
    assert_eq!(host.generations().len(), 2);
    let now = host.unit("homelab-deploy-listener.service");
    assert!(now.active == "active" && now.pid != listener.pid);
    let seq = |report: &serde_json::Value| report["seq"].as_u64().unwrap() / 1_000_000;
    assert!(seq(report) > seq(&story[0]), "the result must be reported by another start of the service");
    host.assert_result("j-1", report, "next");
}

#[test]
fn switch_that_does_not_change_the_listener_restarts_it_once_to_confirm() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("next").service("web", "sleep 1002"));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert!(host.on_disk("state/jobs/j-1/confirmation.json").exists());
    host.assert_result("j-1", &report, "next");
}
