//! Phases that an external command reports, and the resulting reports.

use crate::stage::{Stage, marker_commands, phase, phases, quoted_log, text};
use serde_json::{Value, json};
use std::fs;

const PIPELINE: [&str; 6] = ["prepare", "build", "check", "activate", "verify", "persist"];

#[test]
fn each_phase_is_reported_when_it_starts_and_all_are_done_at_the_end() {
    let steps = PIPELINE.map(|name| format!("{}read _ < $DIR/go\n", phase(name)));
    let stage = Stage::with(&steps.concat(), |host| host.gate("go"));
    let reports = stage.deploy("f-1", json!({}));
    for (at, name) in PIPELINE.into_iter().enumerate() {
        let report = reports.until(|report| report["phases"][at]["state"] == "running");
        let states: Vec<_> = report["phases"].as_array().unwrap().iter().map(|p| text(&p["state"])).collect();
        let mut expected = [["done"; 6], ["pending"; 6]].concat()[6 - at..12 - at].to_vec();
        expected[at] = "running";
        assert_eq!(states, expected, "{name}");
        assert_eq!(report["message"], name);
        stage.host.open("go");
    }
    let result = reports.final_report();
    assert_eq!(phases(&result), PIPELINE.map(|name| format!("{name}: done")));
    assert_eq!(result["message"], "switch done");
}

#[test]
fn a_failure_in_each_phase_has_its_own_error() {
    let stage = Stage::new(
        "for name in $(cat $DIR/phases); do echo '@homelab-deploy {\"phase\":\"'$name'\"}'; done\n\
         for n in 1 2 3 4; do echo \"line $n\"; done; exit 3",
    );
    for (id, entered, error, expected) in [
        ("f-2", "prepare", "internal", &["prepare: failed"][..]),
        ("f-3", "build", "build_failed", &["prepare: done", "build: failed"]),
        ("f-4", "build check", "check_refused", &["prepare: done", "build: done", "check: failed"]),
        ("f-5", "build activate", "activation_failed", &["prepare: done", "build: done", "activate: failed"]),
        ("f-6", "verify", "verification_failed", &["prepare: done", "verify: failed"]),
        (
            "f-7",
            "activate persist",
            "persist_failed",
            &["prepare: done", "activate: done", "persist: failed"],
        ),
        (
            "f-8",
            "activate rollback",
            "rollback_failed",
            &["prepare: done", "activate: failed", "rollback: failed"],
        ),
    ] {
        fs::write(stage.host.file("phases"), entered).unwrap();
        let report = stage.deploy(id, json!({})).final_report();
        assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!(error)), "{report}");
        assert_eq!(phases(&report), expected);
        let last = entered.rsplit(' ').next().unwrap();
        let program = stage.host.file("rebuild");
        let message = format!("{} ended with exit status: 3 in {last}: line 4", program.display());
        assert_eq!(report["message"], message);
        assert!(quoted_log(&report).ends_with("\nline 1\nline 2\nline 3\nline 4"), "{report}");
    }
}

#[test]
fn a_program_that_reports_no_phase_counts_as_activating() {
    for (id, script, action, expected) in [
        ("f-9", "echo hello", "switch", &["prepare: done", "activate: done"][..]),
        ("f-10", "", "boot", &["prepare: done", "activate: done"]),
        ("f-11", "exit 1", "test", &["prepare: done", "activate: failed"]),
        // These actions change nothing, so their phase is build.
        ("f-12", "echo hello", "build", &["prepare: done", "build: done"]),
        ("f-13", "exit 1", "dry-activate", &["prepare: done", "build: failed"]),
    ] {
        let report = Stage::new(script).deploy(id, json!({"action": action})).final_report();
        assert_eq!(phases(&report), expected, "{action}: {report}");
        let error = match text(&report["status"]) {
            "completed" => Value::Null,
            _ if action == "test" => json!("activation_failed"),
            _ => json!("build_failed"),
        };
        assert_eq!(report["error"], error);
    }
}

#[test]
fn malformed_lines_are_ordinary_output() {
    let lines = [
        "@homelab-deploy {\"phase\":\"build\"",
        "@homelab-deploy",
        "@homelab-deploy 7",
        "@homelab-deploy {\"phase\":7}",
        "@homelab-deploy{\"phase\":\"persist\"}",
        " @homelab-deploy {\"phase\":\"persist\"}",
        "and @homelab-deploy {\"phase\":\"persist\"}",
        "@homelab-deploy {\"done\":-1}",
    ];
    let stage = Stage::new(&format!("cat <<'END'\n{}\nEND\nexit 1", lines.join("\n")));
    let report = stage.deploy("f-14", json!({})).final_report();
    assert_eq!(phases(&report), ["prepare: done", "activate: failed"]);
    assert!(text(&report["message"]).ends_with(lines[7]), "{report}");
    assert!(quoted_log(&report).ends_with(&lines.join("\n")), "{report}");
}

#[test]
fn marker_fields_reach_the_report() {
    let stage = Stage::new(&marker_commands(&[
        json!({"commit": "c".repeat(40), "future": {"field": 1}}),
        json!({"phase": "build", "activity": "building hello"}),
        json!({"system": "/nix/store/x-nixos"}),
        json!({"phase": "activate", "generation": 42}),
        json!({"message": "3 units restarted"}),
    ]));
    let report = stage.completes("f-15");
    for (field, value) in [
        ("commit", json!("c".repeat(40))),
        ("system", json!("/nix/store/x-nixos")),
        ("generation", json!(42)),
        ("message", json!("3 units restarted")),
    ] {
        assert_eq!(report[field], value);
    }
    assert_eq!(phases(&report), ["prepare: done", "build: done", "activate: done"]);
    // The running system is not that of the job, so the host does not report its revision.
    assert!(stage.query(json!({}))["revision"].is_null());
}

#[test]
fn a_line_without_a_phase_does_not_make_a_program_report_its_phases() {
    let stage = Stage::new(&marker_commands(&[json!({"message": "no phase"}), json!({"phase": "warp"})]));
    let report = stage.completes("f-16");
    assert_eq!(phases(&report), ["prepare: done", "activate: done"]);
    assert_eq!(report["message"], "no phase");
}

#[test]
fn phases_never_go_back() {
    let script = marker_commands(&[json!({"phase": "persist"}), json!({"phase": "build"})]);
    let report = Stage::new(&format!("{script}exit 1")).deploy("f-17", json!({})).final_report();
    assert_eq!(phases(&report), ["prepare: done", "persist: failed"]);
    assert_eq!(report["error"], "persist_failed");
}

#[test]
fn progress_comes_from_its_own_lines_and_from_nix() {
    let own = json!({"phase": "build", "done": 3, "expected": 12, "activity": "building hello"});
    let nix = [
        r#"{"action":"start","id":1,"level":3,"parent":0,"text":"","type":104}"#,
        r#"{"action":"result","fields":[5,9,2,0],"id":1,"type":105}"#,
    ];
    let nix = format!("cat <<'END'\n@nix {}\n@nix {}\nEND\n", nix[0], nix[1]);
    let script = format!("{}read _ < $DIR/go\n{nix}read _ < $DIR/go", marker_commands(&[own]));
    let stage = Stage::with(&script, |host| host.gate("go"));
    let reports = stage.deploy("f-18", json!({}));
    let progress = |report: Value| report["progress"].clone();
    let progress_now = progress(reports.until(|report| report["progress"]["done"] == 3));
    assert_eq!(
        (&progress_now["expected"], &progress_now["activity"]),
        (&json!(12), &json!("building hello"))
    );
    stage.host.open("go");
    let progress_now = progress(reports.until(|report| report["progress"]["done"] == 5));
    assert_eq!((&progress_now["expected"], &progress_now["running"]), (&json!(9), &json!(2)));
    stage.host.open("go");
    assert!(progress(reports.final_report()).is_null());
}
