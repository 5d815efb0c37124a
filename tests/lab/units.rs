//! Units and health checks in verify. A unit that fails in the new system causes a rollback and is named with its
//! journal; one that had failed before does not. A health check is retried before it causes a rollback.

use crate::common::eventually;
use crate::harness::{Closure, Fault, Lab};
use serde_json::{Value, json};

#[test]
fn deployment_changes_a_unit() {
    let lab = Lab::with(&Closure::new("base").service("web", "sleep 1001").service("other", "sleep 1003"));
    let host = lab.boot("web1");
    let (web, other) = (host.unit("web.service"), host.unit("other.service"));
    assert_eq!([&*web.active, &*other.active], ["active"; 2]);

    let changed = Closure::new("changed").service("web", "sleep 1002").service("other", "sleep 1003");
    let commit = lab.flake.commit(&changed);
    let report = lab.request("web1", "change", &json!({"action": "test"})).final_report();
    assert_eq!((&report["status"], &report["commit"]), (&json!("completed"), &json!(commit)), "{report}");
    assert_eq!(report["system"], host.current_system());
    assert_eq!(host.label(), "changed");
    let now = host.unit("web.service");
    assert_ne!(now.pid, web.pid);
    assert_eq!(host.sh(&format!("tr '\\0' ' ' </proc/{}/cmdline", now.pid)), "sleep 1002");
    assert_eq!(host.unit("other.service"), other);
    assert_eq!(host.generations().len(), 1);
}

#[test]
fn unit_that_fails_in_the_new_system_is_rolled_back_and_named_with_its_journal() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("bad").fault(Fault::UnitFails));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    assert_eq!(report["failed_units"], json!(["broken.service"]));
    assert!(report["diagnostics"].as_str().unwrap().contains("cannot work"), "{report}");
    assert_eq!((host.current_system(), host.system_profile()), (before.clone(), before));
    host.assert_result("j-1", &report, "base");
    let report = lab.request("web1", "j-2", &json!({"on_failure": "keep"})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-2", &report, "bad");
}

#[test]
fn unit_that_flaps_counts_as_failed() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").fault(Fault::UnitFlaps));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["failed_units"], json!(["flapping.service"]), "{report}");
    host.assert_result("j-1", &report, "base");
}

#[test]
fn unit_that_had_failed_before_or_is_ignored_does_not_count() {
    let lab = Lab::deploying(&["--ignore-unit 'flap*'"]);
    let host = lab.boot("web1");
    // Fails before any deployment.
    host.run("systemd-run --unit=broken.service --remain-after-exit false");
    host.unit_becomes("broken.service", |unit| unit.active == "failed");
    let next = Closure::new("next").fault(Fault::UnitFails).fault(Fault::UnitFlaps);
    lab.flake.commit(&next);
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-1", &report, "next");
    // Failed units are part of the presence, independent of jobs.
    let has_failed_unit = |answer: &Value| {
        let units = answer["failed_units"].as_array().cloned().unwrap_or_default();
        units.contains(&json!("broken.service"))
    };
    eventually("an answer with the failed unit", || lab.query("web1", &json!({})).filter(has_failed_unit));
}

#[test]
fn failed_health_check_rolls_back_but_success_at_the_third_attempt_does_not() {
    let lab = Lab::deploying(&["--health-timeout 8", "--health-check /lab/check"]);
    let host = lab.boot("web1");
    host.lab_file("check", "#!/bin/sh\nexit 1\n");
    lab.flake.commit(&Closure::new("next"));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    assert!(
        report["message"]
            .as_str()
            .unwrap()
            .contains("the health check `/lab/check` did not succeed within 8 s"),
        "{report}"
    );
    host.assert_result("j-1", &report, "base");
    host.lab_file("check", "#!/bin/sh\necho x >> /run/tries; test $(wc -l < /run/tries) -ge 3\n");
    let report = lab.request("web1", "j-2", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-2", &report, "next");
    assert_eq!(host.sh("wc -l < /run/tries").trim(), "3");
}
