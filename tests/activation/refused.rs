//! What is refused before anything is changed, and what a refusal leaves.

use crate::stage::Stage;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

/// The check of NixOS where parts have changed that a running system cannot take up.
const INHIBITED: &str = "case $action in boot | dry-activate) exit 0 ;; esac
    echo 'There are changes to critical components of the system:' >&2
    echo 'dbus-implementation : dbus -> broker' >&2
    echo 'WARNING: doing so might cause the switch to fail or your system to become unstable.' >&2
    name=switchInhibitors
    exit 1";

#[test]
fn what_only_a_boot_takes_up_is_offered_for_that_and_taken_there() {
    let stage = Stage::new();
    stage.fault("v1", "check", INHIBITED);
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(report["error"], "check_refused", "{report}");
    let expected = "the pre-switch check 'switchInhibitors' failed: dbus-implementation : dbus -> broker; it can only be \
                    taken up at boot: deploy with boot, then reboot; nothing was changed";
    assert_eq!(report["message"], expected);
    let report = stage.deploy("j-2", "boot", "v1").verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v1 as 2"));
}

#[test]
fn a_kernel_that_finds_no_room_is_refused_where_it_would_be_put() {
    let stage = Stage::new();
    let kernel = "echo $version > $out/image; ln -s $out/image $out/kernel; printf %s \"$version\"";
    stage.change_flake("printf %s \"$version\"", kernel);
    // A file system that never has room.
    symlink("/proc", stage.at("root/boot")).unwrap();
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(report["error"], "unhealthy", "{report}");
    let expected = "only 0 MiB are free on /boot, and the new kernel and initrd take 1 MiB; delete old generations; \
                    nothing was changed";
    assert_eq!(report["message"], expected);
    assert_eq!(stage.deploy("j-2", "test", "v1").verdict()["status"], "completed");
    fs::remove_file(stage.at("root/boot")).unwrap();
    assert_eq!(stage.deploy("j-3", "switch", "v1").verdict()["status"], "completed");
    // It is there now.
    symlink("/proc", stage.at("root/boot")).unwrap();
    let report = stage.deploy("j-4", "switch", "v1").verdict();
    assert_eq!(report["status"], "completed", "{report}");
    // It was not booted.
    assert_eq!(report["reboot_needed"], json!(true));
}

#[test]
fn a_verdict_that_cannot_be_kept_stays_the_only_one() {
    let mut stage = Stage::new();
    // Where the listener writes before it moves the file into place.
    let beside = format!("{}/state.{}.new", stage.job_file("j-1", "").display(), stage.host.process());
    stage.fault("v1", "check", &format!("mkdir {beside}; exit 1"));
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(report["error"], "check_refused", "{report}");
    assert!(stage.job_file("j-1", "state.aside").exists() && !stage.job_file("j-1", "state.json").exists());
    stage.host.restart();
    let report = stage.deploy("j-2", "switch", "v2").verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(stage.calls(), "v1 check, v2 check, v2 test, v2 boot");
}

#[test]
fn what_is_refused_leaves_its_knowledge_too() {
    let stage = Stage::new();
    stage.fault("v1", "check", "echo 'the disk layout has changed'; exit 1");
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    let told = report["diagnostics"].as_str().unwrap();
    assert!(told.contains("the disk layout has changed"), "{told}");
    assert!(told.contains(&format!("\n-- now runs {}", stage.system())), "{told}");
    assert_eq!(fs::read_to_string(stage.job_file("j-1", "diagnostics.txt")).unwrap(), told);
}

#[test]
fn with_no_local_build_only_what_is_in_the_store_or_a_cache_is_deployed() {
    let stage = Stage::with(|host| host.args(&["--no-local-build"]));
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("build_failed")), "{report}");
    let said = report["message"].as_str().unwrap();
    let expected = "is not in a cache that this host uses, and this listener builds nothing itself (--no-local-build): \
                    have the builder build it first, with `homelab-deploy build web1` or `deploy --build-first`";
    assert!(said.contains(expected), "{said}");
    assert_eq!((stage.runs().as_str(), stage.calls().as_str()), ("v0", ""));
    // Somebody else builds it, as a builder whose results are fetched does.
    stage.build("v1");
    let report = stage.deploy("j-2", "switch", "v1").verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(stage.runs(), "v1");
}
