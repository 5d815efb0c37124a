//! A switch that replaces and restarts the listener itself ends as completed, with one verdict, from the new process.

use crate::harness::{Closure, Lab};
use serde_json::json;

#[test]
fn a_switch_that_replaces_the_listener_ends_as_completed_by_the_new_one() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let listener = host.unit("homelab-deploy-listener.service");
    let next = Closure::new("next").service("web", "sleep 1002").restarts_listener();
    let commit = lab.flake.commit(&next);
    let story = lab.request("web1", "j-1", &json!({})).story();
    let report = story.last().unwrap();
    assert_eq!((&report["status"], &report["commit"]), (&json!("completed"), &json!(commit)), "{report}");
    assert_eq!(host.label(), "next");
    assert_eq!(host.system_profile(), host.current_system());
    assert_eq!(host.boot_default(), host.current_system());
    assert_eq!(host.generations().len(), 2);
    let now = host.unit("homelab-deploy-listener.service");
    assert!(now.active == "active" && now.pid != listener.pid);
    let seq = |report: &serde_json::Value| report["seq"].as_u64().unwrap() / 1_000_000;
    assert!(seq(report) > seq(&story[0]), "the verdict comes from another start of the service");
    host.ended("j-1", report, "next");
}

#[test]
fn a_switch_that_leaves_the_listener_alone_restarts_it_once_for_its_proof() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("next").service("web", "sleep 1002"));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert!(host.on_disk("state/jobs/j-1/proof.json").exists());
    host.ended("j-1", &report, "next");
}
