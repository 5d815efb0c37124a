//! The operator's machine gone for good: the host finishes alone, `history` and `status` tell. Two operators at once: one
//! runs, one is `already_running` with the id of the first.

use crate::common::run;
use crate::harness::{Closure, Fault, Lab, Point};
use serde_json::json;

#[test]
fn of_two_operators_at_once_one_deploys_and_one_is_told_which_job_runs() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Activate);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Activate)));
    let first = lab.request("web1", "j-1", &json!({"issuer": "alice"}));
    hold.reached();
    let second = lab.request("web1", "j-2", &json!({"issuer": "bob"})).verdict();
    assert_eq!(
        (&second["status"], &second["error"]),
        (&json!("rejected"), &json!("already_running")),
        "{second}"
    );
    assert_eq!(second["running_job"], "j-1");
    hold.pass();
    let report = first.verdict();
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-1", &report, "next");
    // What was refused leaves no record.
    assert!(!host.on_disk("state/jobs/j-2").exists());
}

#[test]
fn a_host_finishes_alone_when_its_operator_is_gone() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Activate);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Activate)));
    let mut operator = lab.operator("tester").args(["deploy", "web1", "--branch", "main"]).spawn().unwrap();
    hold.reached();
    operator.kill().unwrap();
    operator.wait().unwrap();
    hold.pass();
    let report = lab.verdict("web1");
    assert_eq!(report["status"], "completed", "{report}");
    let id = report["id"].as_str().unwrap();
    host.ended(id, &report, "next");
    let told = |command: &str| {
        let ended = run(lab.operator("tester").args([command, "web1", "--output", "json"]), 0);
        let told: Vec<_> = ended.json().into_iter().filter(|line| line.to_string().contains(id)).collect();
        assert_eq!(told.len(), 1, "{ended}");
        told[0].to_string()
    };
    for command in ["history", "status"] {
        let told = told(command);
        assert!(told.contains(r#""status":"completed""#) && told.contains(r#""action":"switch""#), "{told}");
    }
}
