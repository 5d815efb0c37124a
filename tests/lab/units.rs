//! A unit that fails in the new system is rolled back, named with its journal; one that had failed before is not. A
//! health check that fails is rolled back; one that succeeds at the third try is not.

use crate::common::eventually;
use crate::harness::{Closure, Fault, Lab};
use serde_json::{Value, json};

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

#[test]
fn a_unit_that_fails_in_the_new_system_goes_back_and_is_named_with_its_journal() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("bad").fault(Fault::UnitFails));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    assert_eq!(report["failed_units"], json!(["broken.service"]));
    assert!(report["diagnostics"].as_str().unwrap().contains("cannot work"), "{report}");
    assert_eq!((host.current_system(), host.system_profile()), (before.clone(), before));
    host.ended("j-1", &report, "base");
    let kept = lab.request("web1", "j-2", &json!({"on_failure": "keep"})).verdict();
    assert_eq!(kept["status"], "completed", "{kept}");
    host.ended("j-2", &kept, "bad");
}

#[test]
fn a_unit_that_flaps_counts_as_failed() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").fault(Fault::UnitFlaps));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(report["failed_units"], json!(["flapping.service"]), "{report}");
    host.ended("j-1", &report, "base");
}

#[test]
fn a_unit_that_had_failed_before_or_is_ignored_does_not_count() {
    let lab = Lab::deploying(&["--ignore-unit 'flap*'"]);
    let host = lab.boot("web1");
    // Failed before anything is deployed.
    host.run("systemd-run --unit=broken.service --remain-after-exit false");
    host.unit_becomes("broken.service", |unit| unit.active == "failed");
    let next = Closure::new("next").fault(Fault::UnitFails).fault(Fault::UnitFlaps);
    lab.flake.commit(&next);
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-1", &report, "next");
    // What has failed is known to whoever looks at the host, though no job is about it.
    let told = |answer: &Value| {
        let units = answer["failed_units"].as_array().cloned().unwrap_or_default();
        units.contains(&json!("broken.service"))
    };
    eventually("an answer with the failed unit", || lab.ask("web1", &json!({})).filter(told));
}

#[test]
fn a_health_check_that_fails_goes_back_and_one_that_succeeds_at_the_third_try_does_not() {
    let lab = Lab::deploying(&["--health-timeout 8", "--health-check /lab/check"]);
    let host = lab.boot("web1");
    host.lab_file("check", "#!/bin/sh\nexit 1\n");
    lab.flake.commit(&Closure::new("next"));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
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
    host.ended("j-1", &report, "base");
    host.lab_file("check", "#!/bin/sh\necho x >> /run/tries; test $(wc -l < /run/tries) -ge 3\n");
    let report = lab.request("web1", "j-2", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-2", &report, "next");
    assert_eq!(host.sh("wc -l < /run/tries").trim(), "3");
}
