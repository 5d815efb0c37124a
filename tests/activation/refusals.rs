//! Refusals before anything is changed, and what they leave behind.

use crate::stage::Stage;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

/// The NixOS check after a change that a running system cannot make.
const INHIBITED: &str = "case $action in boot | dry-activate) exit 0 ;; esac
    echo 'There are changes to critical components of the system:' >&2
    echo 'dbus-implementation : dbus -> broker' >&2
    echo 'WARNING: doing so might cause the switch to fail or your system to become unstable.' >&2
    name=switchInhibitors
    exit 1";

#[test]
fn system_that_needs_a_boot_is_refused_with_that_advice_and_accepted_by_boot() {
    let stage = Stage::new();
    stage.fault("v1", "check", INHIBITED);
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["error"], "check_refused", "{report}");
    let expected = "the pre-switch check 'switchInhibitors' failed: dbus-implementation : dbus -> broker; it can only be \
                    activated at boot: deploy with boot, then reboot; nothing was changed";
    assert_eq!(report["message"], expected);
    let report = stage.deploy("j-2", "boot", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v1 as 2"));
}

#[test]
fn kernel_that_does_not_fit_on_boot_is_refused() {
    let stage = Stage::new();
    let kernel = "echo $version > $out/image; ln -s $out/image $out/kernel; printf %s \"$version\"";
    stage.change_flake("printf %s \"$version\"", kernel);
    // A file system without free space.
    symlink("/proc", stage.at("root/boot")).unwrap();
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["error"], "unhealthy", "{report}");
    let expected = "only 0 MiB are free on /boot, but the new kernel and initrd take 1 MiB; delete old generations; \
                    nothing was changed";
    assert_eq!(report["message"], expected);
    assert_eq!(stage.deploy("j-2", "test", "v1").final_report()["status"], "completed");
    fs::remove_file(stage.at("root/boot")).unwrap();
    assert_eq!(stage.deploy("j-3", "switch", "v1").final_report()["status"], "completed");
    // The kernel is on `/boot` now.
    symlink("/proc", stage.at("root/boot")).unwrap();
    let report = stage.deploy("j-4", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    // The new kernel was not booted.
    assert_eq!(report["reboot_needed"], json!(true));
}

#[test]
fn result_that_cannot_be_saved_is_still_the_only_one() {
    let mut stage = Stage::new();
    // The listener writes to this path before it renames the file.
    let beside = format!("{}/state.{}.new", stage.job_file("j-1", "").display(), stage.host.process());
    stage.fault("v1", "check", &format!("mkdir {beside}; exit 1"));
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["error"], "check_refused", "{report}");
    assert!(
        stage.job_file("j-1", "state.quarantined").exists() && !stage.job_file("j-1", "state.json").exists()
    );
    stage.host.restart();
    let report = stage.deploy("j-2", "switch", "v2").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(stage.calls(), "v1 check, v2 check, v2 test, v2 boot");
}

#[test]
fn refusal_leaves_diagnostics() {
    let stage = Stage::new();
    stage.fault("v1", "check", "echo 'the disk layout has changed'; exit 1");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    let diagnostics = report["diagnostics"].as_str().unwrap();
    assert!(diagnostics.contains("the disk layout has changed"), "{diagnostics}");
    assert!(diagnostics.contains(&format!("\n-- now runs {}", stage.system())), "{diagnostics}");
    assert_eq!(fs::read_to_string(stage.job_file("j-1", "diagnostics.txt")).unwrap(), diagnostics);
}

#[test]
fn with_no_local_build_only_what_is_in_the_store_or_a_cache_is_deployed() {
    let stage = Stage::with(|host| host.args(&["--no-local-build"]));
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("build_failed")), "{report}");
    let message = report["message"].as_str().unwrap();
    let expected = "is not in any cache of this host, and this listener does not build (--no-local-build): \
                    let the builder build it first, with `homelab-deploy build web1` or `deploy --build-first`";
    assert!(message.contains(expected), "{message}");
    assert_eq!((stage.runs().as_str(), stage.calls().as_str()), ("v0", ""));
    // Another builder's result is in the store now.
    stage.build("v1");
    let report = stage.deploy("j-2", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(stage.runs(), "v1");
}
