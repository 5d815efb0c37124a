//! A rollback ends on the old system, with a confirmed connection, whatever is in its way; or it says so.

use crate::common::eventually;
use crate::harness::{Closure, Fault, LISTENER, Lab, Point, STATE_FILLER};
use serde_json::{Value, json};

fn ended(report: &Value) -> (&Value, &Value) {
    (&report["error"], &report["rolled_back"])
}

#[test]
fn old_systems_checks_do_not_veto_a_rollback() {
    let base = Closure::new("base").fault(Fault::CheckRefusesBack);
    let lab = Lab::listening(&["--min-free 16MiB", "--confirm-timeout 8"], &base);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").fault(Fault::CutsNetwork));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    host.ended("j-1", &report, "base");
}

/// A system that loses D-Bus once it is the running one: nothing can be activated any more before the next boot.
fn without_d_bus() -> Closure {
    let lost = "systemctl mask --runtime --quiet dbus.socket dbus.service; systemctl stop dbus.socket dbus.service; exit 1";
    Closure::new("bad").service("web", "sleep 1002").at(Point::Reload, lost)
}

#[test]
fn host_whose_old_system_cannot_be_activated_is_rebooted_once() {
    let lab = Lab::deploying(&["--confirm-timeout 4"]);
    let mut host = lab.boot("web1");
    let boot_id = host.sh("cat /proc/sys/kernel/random/boot_id");
    lab.flake.commit(&without_d_bus());
    let _reports = lab.request("web1", "j-1", &json!({}));
    host.logs("j-1", "rebooting, because nothing else has brought the old system back");
    eventually("the note of it", || (host.record("j-1")["rebooting"] == true).then_some(()));
    host.reboots();
    let report = lab.verdict("web1");
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("the host was rebooted and runs"), "{message}");
    host.ended("j-1", &report, "base");
    assert_ne!(host.sh("cat /proc/sys/kernel/random/boot_id"), boot_id);
    assert_eq!(host.unit("web.service").active, "active");
}

#[test]
fn host_that_must_not_be_rebooted_says_what_failed() {
    let lab = Lab::deploying(&["--confirm-timeout 4", "--no-last-resort-reboot"]);
    let host = lab.boot("web1");
    let boot_id = host.sh("cat /proc/sys/kernel/random/boot_id");
    lab.flake.commit(&without_d_bus());
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(ended(&report), (&json!("rollback_failed"), &json!(false)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("dbus") && message.contains("look at the host now"), "{message}");
    host.agrees("j-1", &report);
    assert_eq!(host.sh("cat /proc/sys/kernel/random/boot_id"), boot_id);
}

#[test]
fn services_that_a_lost_d_bus_left_stopped_run_again() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").service("web", "sleep 1002").fault(Fault::DbusDies));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    host.ended("j-1", &report, "base");
    host.unit_becomes("web.service", |unit| unit.active == "active");
}

#[test]
fn services_are_started_also_if_logind_keeps_the_old_system_from_it() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").service("web", "sleep 1002").fault(Fault::LogindAway));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("Unable to list users with logind"), "{message}");
    assert!(
        message.contains("had left web.service, multi-user.target to start, which was done"),
        "{message}"
    );
    host.ended("j-1", &report, "base");
    host.unit_becomes("web.service", |unit| unit.active == "active");
}

#[test]
fn service_manager_of_a_user_that_hangs_does_not_keep_services_stopped() {
    let base = Closure::new("base").service("web", "sleep 1001").fault(Fault::UserUnitsHang);
    let lab = Lab::listening(&["--min-free 16MiB"], &base);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").service("web", "sleep 1002").fault(Fault::UserUnitsHang));
    let reports = lab.request("web1", "j-1", &json!({}));
    let report = reports.verdict_within(std::time::Duration::from_mins(4));
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("the service manager of user alice did not answer for 60 s"), "{message}");
    host.ended("j-1", &report, "base");
    host.unit_becomes("web.service", |unit| unit.active == "active");
}

#[test]
fn activation_script_that_fails_is_found_beside_a_unit_that_always_fails() {
    for fault in [Fault::ActivationFails, Fault::ActivationExits] {
        let base = Closure::new("base").fault(Fault::UnitFailsAlways);
        let lab = Lab::listening(&["--min-free 16MiB"], &base);
        let host = lab.boot("web1");
        host.unit_becomes("chronic.service", |unit| unit.active == "failed");
        lab.flake.commit(&Closure::new("bad").fault(Fault::UnitFailsAlways).fault(fault));
        let report = lab.request("web1", "j-1", &json!({})).verdict();
        assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{fault:?}: {report}");
        host.ended("j-1", &report, "base");
        // The unit alone does not count.
        lab.flake.commit(&Closure::new("good").fault(Fault::UnitFailsAlways));
        let report = lab.request("web1", "j-2", &json!({})).verdict();
        assert_eq!(report["status"], "completed", "{fault:?}: {report}");
        host.ended("j-2", &report, "good");
    }
}

#[test]
fn full_state_directory_costs_no_second_activation_and_no_result() {
    let lab = Lab::deploying(&["--presence-interval 2"]);
    let host = lab.host("web1").disk(64).boot();
    lab.online("web1");
    let starts = || host.journal(LISTENER).matches("connected").count();
    lab.flake.commit(&Closure::new("bad").fault(Fault::FillsState).fault(Fault::UnitFails));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(report["rolled_back"], true, "{report}");
    let before = starts();
    assert_eq!(host.label(), "base");
    // Nothing more happens while there is no room, and the host answers.
    let log =
        host.sh("cat /var/lib/homelab-deploy/jobs/j-1/log /run/homelab-deploy/j-1/log 2>/dev/null; true");
    assert!(log.matches("bin/switch-to-configuration test").count() <= 2, "{log}");
    let answer = lab.online("web1");
    assert_eq!(answer["job"]["status"], "failed", "{answer}");
    assert_eq!(starts(), before);
    host.sh(&format!("rm -f {STATE_FILLER}"));
    // Kept on disk as soon as there is room, for a boot would else end the job once more.
    host.concluded("j-1");
    host.run(&format!("systemctl restart {LISTENER}"));
    let report = eventually("the same result after a restart", || lab.ask("web1", &json!({"want": "job"})));
    assert_eq!(
        (&report["report"]["id"], &report["report"]["rolled_back"]),
        (&json!("j-1"), &json!(true)),
        "{report}"
    );
    lab.flake.commit(&Closure::new("good"));
    let report = lab.request("web1", "j-2", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-2", &report, "good");
}

#[test]
fn stopping_the_unit_of_a_hung_activation_takes_no_hour() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let deaf = "trap '' TERM; mkfifo /tmp/deaf; while :; do read -r never <>/tmp/deaf; done";
    lab.flake.commit(&Closure::new("bad").at(Point::Units, deaf));
    let reports = lab.request("web1", "j-1", &json!({}));
    let unit = "homelab-deploy-activation-j-1.service";
    eventually("the hung activation", || (host.run("test -p /tmp/deaf").code == 0).then_some(()));
    // Its main process alone, so that the activation is left in the unit.
    host.sh(&format!("systemctl kill --signal=KILL --kill-whom=main {unit}"));
    let report = reports.verdict();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    host.ended("j-1", &report, "base");
    host.unit_becomes(unit, |unit| unit.active != "deactivating");
}

#[test]
fn worker_that_dies_on_a_read_only_state_directory_is_followed_by_one_that_rolls_back() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let read_only = "mount --bind /var/lib/homelab-deploy /var/lib/homelab-deploy; \
                     mount -o remount,bind,ro /var/lib/homelab-deploy; kill -9 $PPID; mkfifo /tmp/never; read -r never </tmp/never";
    lab.flake.commit(&Closure::new("bad").at(Point::Units, read_only));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(host.label(), "base");
    // It was kept elsewhere, and by the listener once that could.
    host.sh("umount -l /var/lib/homelab-deploy");
    host.run(&format!("systemctl restart {LISTENER}"));
    // A listener that has just started says that the job runs until it has looked for the result.
    let again = eventually("the same result", || {
        lab.ask("web1", &json!({"want": "job"})).filter(|reply| reply["report"]["status"] != "running")
    });
    assert_eq!(again["report"]["rolled_back"], true, "{again}");
    lab.flake.commit(&Closure::new("good"));
    let report = lab.request("web1", "j-2", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-2", &report, "good");
}
