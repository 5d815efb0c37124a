//! A full disk: refused in prepare, or failed clean; the record is intact.

use crate::harness::{Closure, Fault, Lab, Point};
use serde_json::json;

const MIB: u64 = 1 << 20;

#[test]
fn a_host_with_a_full_disk_cannot_build_until_it_has_room() {
    let lab = Lab::new();
    let host = lab.host("web1").disk(64).boot();
    lab.flake.commit(&Closure::new("next"));
    host.leave_room(2);
    let free = lab.online("web1")["nix_free_bytes"].as_u64().unwrap();
    assert!((MIB..=2 * MIB).contains(&free), "{free}");
    host.leave_room(0);
    let error = host.build(&lab.flake).unwrap_err();
    assert!(error.contains("No space left") || error.contains("disk is full"), "{error}");
    host.make_room();
    host.build(&lab.flake).unwrap();
}

#[test]
fn a_full_disk_is_refused_in_prepare_or_fails_clean_and_the_record_is_intact() {
    let lab = Lab::deploying(&[]);
    let host = lab.host("web1").disk(64).boot();
    lab.online("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("next"));
    host.leave_room(8);
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(report["error"], "unhealthy", "{report}");
    assert!(report["message"].as_str().unwrap().contains("MiB are free on"), "{report}");
    host.ended("j-1", &report, "base");

    // Full only once it has begun to build.
    host.make_room();
    let hold = host.hold(Point::Build);
    lab.flake.commit(&Closure::new("later").fault(Fault::HoldsAt(Point::Build)));
    let reports = lab.request("web1", "j-2", &json!({}));
    hold.reached();
    host.leave_room(0);
    hold.pass();
    let report = reports.verdict();
    assert_eq!(report["status"], "failed", "{report}");
    assert_eq!((host.current_system(), host.system_profile()), (before.clone(), before));
    assert_eq!(host.label(), "base");
    host.make_room();
    lab.flake.commit(&Closure::new("after"));
    let next = lab.request("web1", "j-3", &json!({})).verdict();
    assert_eq!(next["status"], "completed", "{next}");
    host.ended("j-3", &next, "after");
}
