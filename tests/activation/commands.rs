//! The commands `diff`, `rollback`, `logs` and `history` on a host with generations.

use crate::common::{operator, run};
use crate::stage::Stage;
use serde_json::{Value, json};

#[test]
fn diff_shows_a_dry_run_and_changes_nothing() {
    let stage = Stage::new();
    stage.version("v1");
    let shown = run(operator(&stage.nats, "tester").args(["diff", "web1"]), 0);
    assert!(shown.stdout.contains("\n\nweb1: ") && shown.stdout.contains("2 units would restart"), "{shown}");
    assert!(shown.stdout.ends_with("\nwould restart: nginx.service, sshd.service\n"), "{shown}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
    stage.version("v0");
    let same = run(operator(&stage.nats, "tester").args(["diff", "web1"]), 0);
    assert!(
        same.stdout.ends_with("\n\nweb1: nothing would change, the host already runs this system\n"),
        "{same}"
    );
}

#[test]
fn rollback_appears_in_history_and_log() {
    let stage = Stage::new();
    for (id, version) in [("j-1", "v1"), ("j-2", "v2")] {
        assert_eq!(stage.deploy(id, "switch", version).final_report()["status"], "completed");
    }
    let tester = |args: &[&str], code| run(operator(&stage.nats, "tester").args(args), code);
    tester(&["rollback", "web1"], 0);
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
    assert!(tester(&["logs", "web1"], 0).stdout.starts_with("rolling back to generation 2\n"));
    tester(&["rollback", "web1", "--generation", "3"], 0);
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v2", "v2 as 3"));
    let refused = tester(&["rollback", "web1", "--generation", "9"], 1);
    assert!(
        refused.stdout.contains("generation 9 does not exist; the host has 1, 2, 3; nothing was changed")
    );

    let entries = tester(&["history", "web1", "--output", "json"], 0).json();
    let summary = |line: &Value| {
        let entry = &line["answer"];
        json!([entry["action"], entry["status"], entry["error"], entry["generation"]])
    };
    let expected = [
        json!(["rollback", "failed", "not_found", null]),
        json!(["rollback", "completed", null, 3]),
        json!(["rollback", "completed", null, 2]),
        json!(["switch", "completed", null, 3]),
        json!(["switch", "completed", null, 2]),
    ];
    assert_eq!(entries.iter().map(summary).collect::<Vec<_>>(), expected);
    let status = tester(&["status", "web1"], 0);
    assert!(status.stdout.contains("failed: not found"), "{status}");
}
