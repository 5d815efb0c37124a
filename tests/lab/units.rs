//! A unit that fails in the new system is rolled back, named with its journal; one that had failed before is not. A
//! health check that fails is rolled back; one that succeeds at the third try is not.

use crate::harness::{Closure, Lab};
use serde_json::json;

#[test]
fn a_deployment_changes_a_unit() {
    let lab = Lab::with(&Closure::new("base").service("web", "sleep 1001").service("other", "sleep 1003"));
    let host = lab.boot("web1");
    let (web, other) = (host.unit("web.service"), host.unit("other.service"));
    assert_eq!([&*web.active, &*other.active], ["active"; 2]);

    let changed = Closure::new("changed").service("web", "sleep 1002").service("other", "sleep 1003");
    let commit = lab.flake.commit(&changed);
    let report = lab.request("web1", "change", &json!({"action": "test"})).verdict();
    assert_eq!((&report["status"], &report["commit"]), (&json!("completed"), &json!(commit)), "{report}");
    assert_eq!(report["system"], host.current_system());
    assert_eq!(host.label(), "changed");
    let now = host.unit("web.service");
    assert_ne!(now.pid, web.pid);
    assert_eq!(host.sh(&format!("tr '\\0' ' ' </proc/{}/cmdline", now.pid)), "sleep 1002");
    assert_eq!(host.unit("other.service"), other);
    assert_eq!(host.generations().len(), 1);
}
