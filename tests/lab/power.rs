//! A loss of power in activate, by killing the container: the job is `interrupted` with the running system, and the
//! next deployment works. A `test` is gone after a reboot; a `switch` to the same system persists it.

use crate::common::RunningCommand;
use crate::harness::{Closure, Fault, Host, Lab, Point};
use serde_json::json;

#[test]
fn after_a_power_loss_the_default_system_runs_with_the_same_identity() {
    let lab = Lab::new();
    let mut host = lab.boot("web1");
    let instance = lab.online("web1")["instance"].clone();
    lab.flake.commit(&Closure::new("persisted").service("web", "sleep infinity"));
    let report = lab.request("web1", "switch", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let persisted = host.current_system();
    lab.flake.commit(&Closure::new("tried"));
    let report = lab.request("web1", "test", &json!({"action": "test"})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(host.label(), "tried");

    host.power_off();
    assert_eq!((host.system_profile(), host.boot_default()), (persisted.clone(), persisted.clone()));
    assert_eq!(host.generations().len(), 2);
    host.boot_again();
    let answer = lab.online("web1");
    assert_eq!((&answer["instance"], &answer["generation"]), (&instance, &json!(2)));
    assert_eq!((host.current_system(), host.booted_system()), (persisted.clone(), persisted));
    assert_eq!(host.unit("web.service").active, "active");
}

#[test]
fn host_has_another_boot_id_after_a_reboot() {
    let lab = Lab::new();
    let mut host = lab.boot("web1");
    let boot_id = host.sh("cat /proc/sys/kernel/random/boot_id");
    host.sh("systemctl --no-block reboot");
    host.reboots();
    lab.online("web1");
    assert_ne!(host.sh("cat /proc/sys/kernel/random/boot_id"), boot_id);
}

#[test]
fn host_that_loses_power_in_activate_reports_the_running_system_and_can_be_deployed_to() {
    let lab = Lab::deploying(&[]);
    let mut host = lab.boot("web1");
    let before = host.current_system();
    let hold = host.hold(Point::Units);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Units)));
    let reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    host.power_off();
    drop(hold);
    host.boot_again();
    let report = reports.final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("interrupted")), "{report}");
    assert!(report["message"].as_str().unwrap().contains(&before), "{report}");
    host.assert_result("j-1", &report, "base");
    lab.flake.commit(&Closure::new("after"));
    let next = lab.request("web1", "j-2", &json!({})).final_report();
    assert_eq!(next["status"], "completed", "{next}");
    host.assert_result("j-2", &next, "after");
}

#[test]
fn test_is_gone_after_a_reboot_and_persisted_by_a_switch() {
    let lab = Lab::deploying(&[]);
    let mut host = lab.boot("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("tried").service("web", "sleep 1002"));
    let report = lab.request("web1", "j-1", &json!({"action": "test"})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((host.label().as_str(), host.system_profile()), ("tried", before.clone()));
    host.assert_record("j-1", &report);
    let _reports = lab.request("web1", "j-2", &json!({"action": "reboot"}));
    host.reboots();
    lab.online("web1");
    assert_eq!((host.label().as_str(), host.system_profile()), ("base", before));
    let report = lab.final_report("web1");
    assert_eq!((&report["status"], &report["action"]), (&json!("completed"), &json!("reboot")), "{report}");
    host.assert_result("j-2", &report, "base");

    for (id, action) in [("j-3", "test"), ("j-4", "switch")] {
        let report = lab.request("web1", id, &json!({"action": action})).final_report();
        assert_eq!(report["status"], "completed", "{report}");
        host.assert_record(id, &report);
        if action == "switch" {
            host.assert_result(id, &report, "tried");
        }
    }
}

#[test]
fn hosts_are_rebooted_one_after_the_other_each_with_a_new_boot() {
    let lab = Lab::deploying(&[]);
    let mut hosts = lab.boot_all(["web1", "web2"]);
    let boot_id = |host: &Host| host.sh("cat /proc/sys/kernel/random/boot_id");
    let before = hosts.each_ref().map(boot_id);
    let mut command = lab.operator("tester");
    let mut rebooting = RunningCommand::start(command.args(["reboot", "web1", "web2", "--output", "json"]));
    for (n, host) in hosts.iter_mut().enumerate() {
        let batch = rebooting.wait_for_json(|line| line["event"] == "batch");
        assert_eq!(batch["value"]["hosts"], json!([host.name()]));
        host.reboots();
        if n == 0 {
            // The second host is not rebooted until the first one is back.
            rebooting.wait_for_json(|line| line["value"]["status"] == "completed");
        }
    }
    let ended = rebooting.wait_for_exit(0);
    let result = ended.json().pop().unwrap();
    let results: Vec<_> =
        result["value"]["hosts"].as_array().unwrap().iter().map(|h| h["result"].clone()).collect();
    assert_eq!(results, ["completed", "completed"], "{ended}");
    let after = hosts.each_ref().map(boot_id);
    assert!(before[0] != after[0] && before[1] != after[1], "{before:?} {after:?}");
}
