//! A rollback ends on the old system with a confirmed connection despite further faults, or reports its failure.

use crate::common::eventually;
use crate::harness::{Closure, Fault, LISTENER, Lab, Point, STATE_FILLER};
use serde_json::{Value, json};

fn ended(report: &Value) -> (&Value, &Value) {
    (&report["error"], &report["rolled_back"])
}

#[test]
fn checks_of_the_old_system_do_not_prevent_a_rollback() {
    let base = Closure::new("base").fault(Fault::CheckRefusesRollback);
    let lab = Lab::listening(&["--min-free 16MiB", "--confirm-timeout 8"], &base);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").fault(Fault::CutsNetwork));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    host.assert_result("j-1", &report, "base");
}

/// A system that loses D-Bus when it is the running one: nothing can be activated before the next boot.
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
    host.wait_for_log("j-1", "rebooting, because nothing else restored the previous system");
    eventually("the recorded reboot", || (host.record("j-1")["rebooting"] == true).then_some(()));
    host.reboots();
    let report = lab.final_report("web1");
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("the host was rebooted and runs"), "{message}");
    host.assert_result("j-1", &report, "base");
    assert_ne!(host.sh("cat /proc/sys/kernel/random/boot_id"), boot_id);
    assert_eq!(host.unit("web.service").active, "active");
}

#[test]
fn host_that_must_not_be_rebooted_reports_what_failed() {
    let lab = Lab::deploying(&["--confirm-timeout 4", "--no-last-resort-reboot"]);
    let host = lab.boot("web1");
    let boot_id = host.sh("cat /proc/sys/kernel/random/boot_id");
    lab.flake.commit(&without_d_bus());
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(ended(&report), (&json!("rollback_failed"), &json!(false)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("dbus") && message.contains("check the host now"), "{message}");
    host.assert_record("j-1", &report);
    assert_eq!(host.sh("cat /proc/sys/kernel/random/boot_id"), boot_id);
}

#[test]
fn services_that_a_lost_d_bus_left_stopped_are_started() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").service("web", "sleep 1002").fault(Fault::DbusDies));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    host.assert_result("j-1", &report, "base");
    host.unit_becomes("web.service", |unit| unit.active == "active");
}

#[test]
fn services_are_started_even_if_the_old_system_cannot_because_of_logind() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").service("web", "sleep 1002").fault(Fault::LogindAway));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("Unable to list users with logind"), "{message}");
    assert!(
        message.contains("started the units of an interrupted activation: web.service, multi-user.target"),
        "{message}"
    );
    host.assert_result("j-1", &report, "base");
    host.unit_becomes("web.service", |unit| unit.active == "active");
}

#[test]
fn hanging_service_manager_of_a_user_does_not_keep_services_stopped() {
    let base = Closure::new("base").service("web", "sleep 1001").fault(Fault::UserUnitsHang);
    let lab = Lab::listening(&["--min-free 16MiB"], &base);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").service("web", "sleep 1002").fault(Fault::UserUnitsHang));
    let reports = lab.request("web1", "j-1", &json!({}));
    let report = reports.final_report_within(std::time::Duration::from_mins(4));
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("the service manager of user alice did not answer for 60 s"), "{message}");
    host.assert_result("j-1", &report, "base");
    host.unit_becomes("web.service", |unit| unit.active == "active");
}

#[test]
fn failed_activation_script_is_noticed_despite_a_unit_that_always_fails() {
    for fault in [Fault::ActivationFails, Fault::ActivationExits] {
        let base = Closure::new("base").fault(Fault::UnitFailsAlways);
        let lab = Lab::listening(&["--min-free 16MiB"], &base);
        let host = lab.boot("web1");
        host.unit_becomes("chronic.service", |unit| unit.active == "failed");
        lab.flake.commit(&Closure::new("bad").fault(Fault::UnitFailsAlways).fault(fault));
        let report = lab.request("web1", "j-1", &json!({})).final_report();
        assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{fault:?}: {report}");
        host.assert_result("j-1", &report, "base");
        // The failed unit alone does not count.
        lab.flake.commit(&Closure::new("good").fault(Fault::UnitFailsAlways));
        let report = lab.request("web1", "j-2", &json!({})).final_report();
        assert_eq!(report["status"], "completed", "{fault:?}: {report}");
        host.assert_result("j-2", &report, "good");
    }
}

#[test]
fn full_state_directory_causes_no_second_activation_and_loses_no_result() {
    let lab = Lab::deploying(&["--presence-interval 2"]);
    let host = lab.host("web1").disk(64).boot();
    lab.online("web1");
    let starts = || host.journal(LISTENER).matches("connected").count();
    // More than the space that is allocated for the log in advance, so that only the reserve is left for the result.
    let verbose = "head -c 1500000 /dev/zero | tr '\\0' x | fold -w 100";
    let bad = Closure::new("bad").at(Point::Activate, verbose).fault(Fault::FillsState);
    lab.flake.commit(&bad.fault(Fault::UnitFails));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["rolled_back"], true, "{report}");
    host.assert_record("j-1", &report);
    let before = starts();
    assert_eq!(host.label(), "base");
    // Nothing else happens while the disk is full, and the host answers.
    let log =
        host.sh("cat /var/lib/homelab-deploy/jobs/j-1/log /run/homelab-deploy/j-1/log 2>/dev/null; true");
    assert!(log.matches("bin/switch-to-configuration test").count() <= 2, "{log}");
    let answer = lab.online("web1");
    assert_eq!(answer["job"]["status"], "failed", "{answer}");
    assert_eq!(starts(), before);
    host.sh(&format!("rm -f {STATE_FILLER}"));
    // The result is saved when the disk has space again; otherwise a reboot would end the job a second time.
    host.wait_until_finished("j-1");
    host.run(&format!("systemctl restart {LISTENER}"));
    let report =
        eventually("the same result after a restart", || lab.query("web1", &json!({"query": "job"})));
    assert_eq!(
        (&report["report"]["id"], &report["report"]["rolled_back"]),
        (&json!("j-1"), &json!(true)),
        "{report}"
    );
    lab.flake.commit(&Closure::new("good"));
    let report = lab.request("web1", "j-2", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-2", &report, "good");
}

#[test]
fn unit_of_a_hung_activation_stops_soon() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let deaf = "trap '' TERM; mkfifo /tmp/deaf; while :; do read -r never <>/tmp/deaf; done";
    lab.flake.commit(&Closure::new("bad").at(Point::Units, deaf));
    let reports = lab.request("web1", "j-1", &json!({}));
    let unit = "homelab-deploy-activation-j-1.service";
    eventually("the hung activation", || (host.run("test -p /tmp/deaf").code == 0).then_some(()));
    // Only the main process is killed, so that the activation stays in the unit.
    host.sh(&format!("systemctl kill --signal=KILL --kill-whom=main {unit}"));
    let report = reports.final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    host.assert_result("j-1", &report, "base");
    host.unit_becomes(unit, |unit| unit.active != "deactivating");
}

#[test]
fn job_of_a_worker_that_died_on_a_read_only_state_directory_is_rolled_back() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let read_only = "mount --bind /var/lib/homelab-deploy /var/lib/homelab-deploy; \
                     mount -o remount,bind,ro /var/lib/homelab-deploy; kill -9 $PPID; mkfifo /tmp/never; read -r never </tmp/never";
    lab.flake.commit(&Closure::new("bad").at(Point::Units, read_only));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(host.label(), "base");
    // The result was saved in the runtime directory; the listener saves it in the state directory when it can.
    host.sh("umount -l /var/lib/homelab-deploy");
    host.run(&format!("systemctl restart {LISTENER}"));
    // A listener that has just started reports the job as running until it has read the result.
    let again = eventually("the same result", || {
        lab.query("web1", &json!({"query": "job"})).filter(|reply| reply["report"]["status"] != "running")
    });
    assert_eq!(again["report"]["rolled_back"], true, "{again}");
    lab.flake.commit(&Closure::new("good"));
    let report = lab.request("web1", "j-2", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-2", &report, "good");
}
