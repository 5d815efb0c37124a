//! The commands of an operator on a host with generations: what would change, what was done, and back again.

use crate::common::{operator, run};
use crate::stage::Stage;
use serde_json::{Value, json};

#[test]
fn a_dry_run_is_shown_and_changes_nothing() {
    let stage = Stage::new();
    stage.version("v1");
    let shown = run(operator(&stage.broker, "tester").args(["diff", "web1"]), 0);
    assert!(shown.out.contains("\n\nweb1: ") && shown.out.contains("2 units would restart"), "{shown}");
    assert!(shown.out.ends_with("\nwould restart: nginx.service, sshd.service\n"), "{shown}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
    stage.version("v0");
    let same = run(operator(&stage.broker, "tester").args(["diff", "web1"]), 0);
    assert!(same.out.ends_with("\n\nweb1: nothing would change, this system runs already\n"), "{same}");
}

#[test]
fn a_host_is_taken_back_and_its_history_and_log_tell_of_it() {
    let stage = Stage::new();
    for (id, version) in [("j-1", "v1"), ("j-2", "v2")] {
        assert_eq!(stage.deploy(id, "switch", version).verdict()["status"], "completed");
    }
    let tester = |args: &[&str], code| run(operator(&stage.broker, "tester").args(args), code);
    tester(&["rollback", "web1"], 0);
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
    assert!(tester(&["logs", "web1"], 0).out.starts_with("going back to generation 2\n"));
    tester(&["rollback", "web1", "--generation", "3"], 0);
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v2", "v2 as 3"));
    let refused = tester(&["rollback", "web1", "--generation", "9"], 1);
    assert!(refused.out.contains("there is no generation 9; the host keeps 1, 2, 3; nothing was changed"));

    let entries = tester(&["history", "web1", "--output", "json"], 0).json();
    let told = |line: &Value| {
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
    assert_eq!(entries.iter().map(told).collect::<Vec<_>>(), expected);
    let status = tester(&["status", "web1"], 0);
    assert!(status.out.contains("failed: not_found"), "{status}");
}
