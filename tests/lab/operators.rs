//! An operator whose machine disappears: the host finishes alone, and `history` and `status` show the result. Two
//! simultaneous operators: one deploys, the other gets `already_running` with the id of the first job.

use crate::common::run;
use crate::harness::{Closure, Fault, Lab, Point};
use serde_json::json;

#[test]
fn one_of_two_simultaneous_operators_is_refused_with_the_id_of_the_running_job() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Activate);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Activate)));
    let first = lab.request("web1", "j-1", &json!({"issuer": "alice"}));
    hold.reached();
    let second = lab.request("web1", "j-2", &json!({"issuer": "bob"})).final_report();
    assert_eq!(
        (&second["status"], &second["error"]),
        (&json!("rejected"), &json!("already_running")),
        "{second}"
    );
    assert_eq!(second["running_job"], "j-1");
    hold.pass();
    let report = first.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-1", &report, "next");
    // A refused request leaves no record.
    assert!(!host.on_disk("state/jobs/j-2").exists());
}

#[test]
fn host_finishes_alone_when_its_operator_is_gone() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Activate);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Activate)));
    let mut operator = lab.operator("tester").args(["deploy", "web1", "--branch", "main"]).spawn().unwrap();
    hold.reached();
    operator.kill().unwrap();
    operator.wait().unwrap();
    hold.pass();
    let report = lab.final_report("web1");
    assert_eq!(report["status"], "completed", "{report}");
    let id = report["id"].as_str().unwrap();
    host.assert_result(id, &report, "next");
    let line_of = |command: &str| {
        let ended = run(lab.operator("tester").args([command, "web1", "--output", "json"]), 0);
        let lines: Vec<_> = ended.json().into_iter().filter(|line| line.to_string().contains(id)).collect();
        assert_eq!(lines.len(), 1, "{ended}");
        lines[0].to_string()
    };
    for command in ["history", "status"] {
        let line = line_of(command);
        assert!(line.contains(r#""status":"completed""#) && line.contains(r#""action":"switch""#), "{line}");
    }
}
