//! The checks of a new system run as NixOS expects: as root, and not inside the restricted unit of the listener.

use crate::common::eventually;
use crate::harness::{Closure, Fault, Lab};
use serde_json::json;
use std::fs;

/// A script that succeeds for root, but not inside the listener's unit.
const AS_ROOT: &str = "
    test -w /boot || { echo 'no way to write to /boot' >&2; exit 1; }
    readlink /proc/1/exe >/dev/null || { echo 'cannot inspect systemd' >&2; exit 1; }
    setpriv --reuid nobody true || { echo 'cannot become another user' >&2; exit 1; }
    touch /etc/lab-check || exit 1";

#[test]
fn check_has_all_rights_of_root() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let next = Closure::new("next").check("root", AS_ROOT).program("pre-activate-safety-checks", AS_ROOT);
    lab.flake.commit(&next);
    for (id, action) in [("j-1", "dry-activate"), ("j-2", "switch")] {
        let report = lab.request("web1", id, &json!({"action": action})).final_report();
        assert_eq!(report["status"], "completed", "{report}");
    }
    assert_eq!(host.label(), "next");
    assert_eq!(host.failed_units(), [""; 0]);
}

#[test]
fn failed_check_is_named_with_its_output() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let fails = || Closure::new("next").check("diskSpace", "echo 'only 3 MiB are free on /boot'; exit 1");
    for (id, next) in [("j-1", fails()), ("j-2", fails().checks_on_stdout())] {
        lab.flake.commit(&next);
        let report = lab.request("web1", id, &json!({})).final_report();
        assert_eq!(report["error"], "check_refused", "{report}");
        let expected =
            "the pre-switch check 'diskSpace' failed: only 3 MiB are free on /boot; nothing was changed";
        assert_eq!(report["message"], expected);
        host.assert_result(id, &report, "base");
    }
    assert_eq!(host.failed_units(), [""; 0]);
}

#[test]
fn dry_run_reports_why_a_switch_would_be_refused() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("next").fault(Fault::Inhibited).service("new", "sleep infinity"));
    let report = lab.request("web1", "j-1", &json!({"action": "dry-activate"})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let expected = "; a switch would be refused: the pre-switch check 'switchInhibitors' failed: dbus: broker -> daemon; it \
                    can only be activated at boot: deploy with boot, then reboot";
    assert!(report["message"].as_str().unwrap().ends_with(expected), "{report}");
    // The program was able to read systemd's own executable.
    let log = fs::read_to_string(host.on_disk("state/jobs/j-1/log")).unwrap();
    assert!(
        log.contains("would activate the configuration...") && !log.contains("would restart systemd"),
        "{log}"
    );
}

#[test]
fn cancelled_check_ends_with_processes_outside_its_session() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hangs = "setsid sh -c 'trap \"\" TERM; while sleep 0.2; do :; done; : lab-deaf' &
        trap '' TERM; echo 'the check hangs'; while sleep 0.2; do :; done";
    lab.flake.commit(&Closure::new("next").check("hangs", hangs));
    let reports = lab.request("web1", "j-1", &json!({}));
    host.wait_for_log("j-1", "the check hangs");
    let checks = || host.run("systemctl list-units --plain --no-legend 'homelab-deploy-check-*'").stdout;
    assert!(checks().contains("running"));
    let answer = lab.request("web1", "c-1", &json!({"action": "cancel", "job": "j-1"})).final_report();
    assert_eq!(answer["status"], "completed", "{answer}");
    let report = reports.final_report();
    assert_eq!(
        (&report["error"], &report["message"]),
        (&json!("cancelled"), &json!("stopped in check; nothing was changed"))
    );
    eventually("the end of the check", || checks().is_empty().then_some(()));
    assert_ne!(host.run("pgrep -f '[l]ab-deaf'").code, 0);
    assert_eq!(host.failed_units(), [""; 0]);
}
