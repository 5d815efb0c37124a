//! A new system's own checks and its dry run: the reason that they print becomes the reason in the report, and no
//! process of them is left behind.

use crate::common::{eventually, is_running};
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;

const DISK_SPACE: &str = "echo 'only 3 MiB are free on /boot' >&2; name=diskSpace; exit 1";
/// The NixOS check after a change that a running system cannot make.
const INHIBITED: &str = "case $action in boot | dry-activate) exit 0 ;; esac
    echo 'dbus-implementation : dbus -> broker' >&2; name=switchInhibitors; exit 1";
const BUSY: &str =
    "another activation is running on this host; try again when it has ended; nothing was changed";

/// Returns the error and the message of a failed job.
fn refused(report: &Value) -> (&str, &str) {
    assert_eq!(report["status"], "failed", "{report}");
    (report["error"].as_str().unwrap(), report["message"].as_str().unwrap())
}

/// Adds a script to every closure.
fn with_file(stage: &Stage, name: &str, script: &str) {
    fs::write(stage.at("flake").join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    let put =
        format!("cp ${{./{name}}} $out/{name}\n        chmod +x $out/{name}\n        printf %s \"$version\"");
    stage.change_flake("printf %s \"$version\"", &put);
}

#[test]
fn failed_check_is_named_with_its_output() {
    let stage = Stage::new();
    let check = "the pre-switch check 'diskSpace' failed: only 3 MiB are free on /boot; nothing was changed";
    for (id, step, script, expected) in [
        ("j-1", "check", DISK_SPACE, check),
        // Older systems print the name of the failed check to stdout.
        ("j-2", "check", "echo 'only 3 MiB are free on /boot' >&2; name=diskSpace; exec 2>&1; exit 1", check),
        ("j-3", "program", "echo 'Could not acquire lock' >&2; exit 11", BUSY),
        (
            "j-4",
            "program",
            "exit 7",
            "the new system's own check refused and printed no reason; nothing was changed",
        ),
    ] {
        stage.fault("v1", step, script);
        let report = stage.deploy(id, "switch", "v1").final_report();
        assert_eq!(refused(&report), ("check_refused", expected));
        assert_eq!(stage.runs(), "v0");
    }
}

#[test]
fn reason_is_found_before_a_flood_of_output() {
    let stage = Stage::new();
    let flood =
        "echo 'no route to the store' >&2; echo \"Pre-switch check 'net' failed\"; seq 1 100000; exit 1";
    stage.fault("v1", "program", flood);
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    let expected = "the pre-switch check 'net' failed: no route to the store; nothing was changed";
    assert_eq!(refused(&report), ("check_refused", expected));
}

#[test]
fn reason_of_a_safety_script_is_reported() {
    let stage = Stage::new();
    with_file(
        &stage,
        "pre-activate-safety-checks",
        "echo checking \"$1\"; echo 'no backup since Monday' >&2; exit 3",
    );
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    let expected = "the closure's own pre-activate-safety-checks refused with exit status: 3: checking switch / no backup since \
                    Monday; nothing was changed";
    assert_eq!(refused(&report), ("check_refused", expected));
    assert_eq!(stage.calls(), "");
}

#[test]
fn dry_run_succeeds_for_a_system_that_a_switch_would_refuse() {
    let stage = Stage::new();
    stage.fault("v1", "check", INHIBITED);
    let report = stage.deploy("j-1", "dry-activate", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let expected = "dry-activate done: 0 units would stop, 0 start, 2 restart; a switch would be refused: the pre-switch \
                    check 'switchInhibitors' failed: dbus-implementation : dbus -> broker; it can only be activated at boot: \
                    deploy with boot, then reboot";
    assert_eq!(report["message"], expected);
    assert_eq!(report["changes"]["units_restarted"], json!(["nginx.service", "sshd.service"]));
    // Any other check applies to a dry run too.
    stage.fault("v1", "check", DISK_SPACE);
    let report = stage.deploy("j-2", "dry-activate", "v1").final_report();
    assert_eq!(report["error"], "check_refused", "{report}");
    assert_eq!(
        (stage.runs().as_str(), stage.calls().as_str()),
        ("v0", "v1 check, v1 dry-activate, v1 check")
    );
}

#[test]
fn failed_dry_run_reports_the_reason_and_the_next_step() {
    let stage = Stage::new();
    for (id, script, expected) in [
        (
            "j-1",
            "exit 100",
            "the new system can only be activated at boot; deploy with boot, then reboot; nothing was changed",
        ),
        ("j-2", "echo 'Could not acquire lock' >&2; exit 11", BUSY),
        (
            "j-3",
            "echo 'Failed to open dbus connection'; exit 1",
            "dry-activate refused: Failed to open dbus connection (exit status: 1); nothing was changed",
        ),
    ] {
        stage.fault("v1", "program", &format!("[ $action != dry-activate ] || {{ {script}; }}"));
        let report = stage.deploy(id, "dry-activate", "v1").final_report();
        assert_eq!(refused(&report), ("check_refused", expected));
    }
}

#[test]
fn log_has_both_outputs_in_their_order() {
    let stage = Stage::new();
    let script =
        "echo 'would stop a.service' >&2; echo 'would create user alice'; echo 'would start b.service' >&2";
    stage.fault("v1", "dry-activate", script);
    assert_eq!(stage.deploy("j-1", "dry-activate", "v1").final_report()["status"], "completed");
    let log = fs::read_to_string(stage.job_file("j-1", "log")).unwrap();
    let expected =
        "would stop a.service\nwould create user alice\nwould start b.service\nwould restart the following";
    assert!(log.contains(expected), "{log}");
}

#[test]
fn background_processes_of_a_check_do_not_delay_the_job() {
    let stage = Stage::new();
    let never = stage.gate("never");
    stage.fault("v1", "check", "(read _ < $STAGE/never) & exit 0");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    drop(never);
}

#[test]
fn cancelled_check_ends_with_all_processes_it_started() {
    let stage = Stage::new();
    let _never = stage.gate("never");
    let script = "sh -c 'trap \"\" TERM; echo $$ > $STAGE/child; read _ < $STAGE/never' &
        echo $$ > $STAGE/leader; read _ < $STAGE/never";
    stage.fault("v1", "check", script);
    let reports = stage.deploy("j-1", "switch", "v1");
    let pids = ["leader", "child"].map(|name| pid(&stage, name));
    let answer = stage.request("c-1", json!({"action": "cancel", "job": "j-1"})).final_report();
    assert_eq!(answer["status"], "completed", "{answer}");
    assert_eq!(refused(&reports.final_report()), ("cancelled", "stopped in check; nothing was changed"));
    for pid in pids {
        eventually("a process ending", || (!is_running(pid)).then_some(()));
    }
}

#[test]
fn check_that_a_killed_listener_left_is_ended_and_repeated() {
    let mut stage = Stage::new();
    let _never = stage.gate("never");
    stage.fault("v1", "check", "[ -e $STAGE/leader ] || { echo $$ > $STAGE/leader; read _ < $STAGE/never; }");
    let reports = stage.deploy("j-1", "switch", "v1");
    let left = pid(&stage, "leader");
    stage.host.kill();
    assert!(is_running(left));
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert!(!is_running(left));
    assert_eq!(stage.calls(), "v1 check, v1 check, v1 test, v1 boot");
}

/// Waits for the process id that a script writes to a file.
fn pid(stage: &Stage, file: &str) -> u32 {
    let file = stage.at(file);
    eventually("a number in a file", || fs::read_to_string(&file).ok()?.strip_suffix('\n')?.parse().ok())
}
