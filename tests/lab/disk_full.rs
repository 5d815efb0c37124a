//! A full disk: refused in prepare, or failed without a change; the record is intact.

use crate::common::eventually;
use crate::harness::{Closure, Fault, Host, Lab, Point};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

#[test]
fn host_with_a_full_disk_cannot_build_until_space_is_freed() {
    let lab = Lab::new();
    let host = lab.host("web1").disk(64).boot();
    lab.flake.commit(&Closure::new("next"));
    host.leave_free(2);
    let free = lab.online("web1")["nix_free_bytes"].as_u64().unwrap();
    assert!((MIB..=2 * MIB).contains(&free), "{free}");
    host.leave_free(0);
    let error = host.build(&lab.flake).unwrap_err();
    assert!(error.contains("No space left") || error.contains("disk is full"), "{error}");
    host.free_disk();
    host.build(&lab.flake).unwrap();
}

/// Restarts the listener and waits until it warns about its state directory with this text.
fn warns_after_a_restart(lab: &Lab, host: &Host, text: &str) {
    host.run("systemctl restart homelab-deploy-listener.service");
    let has_warning = |answer: &Value| {
        let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().any(|warning| warning.as_str().unwrap().contains(text))
    };
    eventually(&format!("a warning with {text:?}"), || lab.query("web1", &json!({})).filter(has_warning));
    let shown = host.run("systemctl status homelab-deploy-listener.service").stdout;
    assert!(shown.lines().any(|line| line.contains("Status: ") && line.contains(text)), "{shown}");
}

#[test]
fn listener_on_a_full_or_read_only_disk_answers_and_works_after_that_is_fixed() {
    let lab = Lab::deploying(&[]);
    let host = lab.host("web1").disk(64).boot();
    lab.online("web1");
    lab.flake.commit(&Closure::new("next"));
    host.leave_free(0);
    warns_after_a_restart(&lab, &host, "No space left on device");
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_ne!(report["status"], "completed", "{report}");
    host.free_disk();
    host.sh("mount --bind /var/lib/homelab-deploy /var/lib/homelab-deploy");
    host.sh("mount -o remount,bind,ro /var/lib/homelab-deploy");
    warns_after_a_restart(&lab, &host, "Read-only file system");
    let report = lab.request("web1", "j-2", &json!({})).final_report();
    assert_ne!(report["status"], "completed", "{report}");
    assert_eq!(host.label(), "base");
    host.sh("umount -l /var/lib/homelab-deploy");
    host.run("systemctl restart homelab-deploy-listener.service");
    eventually("a listener without a warning", || {
        lab.query("web1", &json!({})).filter(|answer| answer["warnings"].is_null())
    });
    let report = lab.request("web1", "j-3", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-3", &report, "next");
}

#[test]
fn full_disk_is_refused_or_fails_without_a_change_and_the_record_is_intact() {
    let lab = Lab::deploying(&[]);
    let host = lab.host("web1").disk(64).boot();
    lab.online("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("next"));
    host.leave_free(8);
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["error"], "unhealthy", "{report}");
    assert!(report["message"].as_str().unwrap().contains("MiB are free on"), "{report}");
    host.assert_result("j-1", &report, "base");

    // The disk is filled after the build has started.
    host.free_disk();
    let hold = host.hold(Point::Build);
    lab.flake.commit(&Closure::new("later").fault(Fault::HoldsAt(Point::Build)));
    let reports = lab.request("web1", "j-2", &json!({}));
    hold.reached();
    host.leave_free(0);
    hold.pass();
    let report = reports.final_report();
    assert_eq!(report["status"], "failed", "{report}");
    assert_eq!((host.current_system(), host.system_profile()), (before.clone(), before));
    assert_eq!(host.label(), "base");
    host.free_disk();
    lab.flake.commit(&Closure::new("after"));
    let next = lab.request("web1", "j-3", &json!({})).final_report();
    assert_eq!(next["status"], "completed", "{next}");
    host.assert_result("j-3", &next, "after");
}
