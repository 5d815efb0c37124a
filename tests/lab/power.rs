//! A host loses power in activate (the container is killed): `interrupted`, what runs now, and the next deployment works.
//! `test`, then a reboot: the old system; `test`, then `switch` of the same: persisted.

use crate::common::Running;
use crate::harness::{Closure, Fault, Host, Lab, Point};
use serde_json::json;

#[test]
fn after_a_power_loss_the_default_system_runs_with_the_same_identity() {
    let lab = Lab::new();
    let mut host = lab.boot("web1");
    let instance = lab.online("web1")["instance"].clone();
    lab.flake.commit(&Closure::new("kept").service("web", "sleep infinity"));
    let report = lab.request("web1", "switch", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    let kept = host.current_system();
    lab.flake.commit(&Closure::new("tried"));
    let report = lab.request("web1", "test", &json!({"action": "test"})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(host.label(), "tried");

    host.power_off();
    assert_eq!((host.system_profile(), host.boot_default()), (kept.clone(), kept.clone()));
    assert_eq!(host.generations().len(), 2);
    host.boot_again();
    let answer = lab.online("web1");
    assert_eq!((&answer["instance"], &answer["generation"]), (&instance, &json!(2)));
    assert_eq!((host.current_system(), host.booted_system()), (kept.clone(), kept));
    assert_eq!(host.unit("web.service").active, "active");
}

#[test]
fn a_reboot_comes_back_with_another_boot_id() {
    let lab = Lab::new();
    let mut host = lab.boot("web1");
    let boot_id = host.sh("cat /proc/sys/kernel/random/boot_id");
    host.sh("systemctl --no-block reboot");
    host.reboots();
    lab.online("web1");
    assert_ne!(host.sh("cat /proc/sys/kernel/random/boot_id"), boot_id);
}

#[test]
fn a_host_that_loses_power_in_activate_says_what_runs_now_and_can_be_deployed_to() {
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
    let report = reports.verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("interrupted")), "{report}");
    assert!(report["message"].as_str().unwrap().contains(&before), "{report}");
    host.ended("j-1", &report, "base");
    lab.flake.commit(&Closure::new("after"));
    let next = lab.request("web1", "j-2", &json!({})).verdict();
    assert_eq!(next["status"], "completed", "{next}");
    host.ended("j-2", &next, "after");
}

#[test]
fn a_test_is_gone_after_a_reboot_and_kept_by_a_switch_to_the_same() {
    let lab = Lab::deploying(&[]);
    let mut host = lab.boot("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("tried").service("web", "sleep 1002"));
    let report = lab.request("web1", "j-1", &json!({"action": "test"})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((host.label().as_str(), host.system_profile()), ("tried", before.clone()));
    host.agrees("j-1", &report);
    let _reports = lab.request("web1", "j-2", &json!({"action": "reboot"}));
    host.reboots();
    lab.online("web1");
    assert_eq!((host.label().as_str(), host.system_profile()), ("base", before));
    let report = lab.verdict("web1");
    assert_eq!((&report["status"], &report["action"]), (&json!("completed"), &json!("reboot")), "{report}");
    host.ended("j-2", &report, "base");

    for (id, action) in [("j-3", "test"), ("j-4", "switch")] {
        let report = lab.request("web1", id, &json!({"action": action})).verdict();
        assert_eq!(report["status"], "completed", "{report}");
        host.agrees(id, &report);
        if action == "switch" {
            host.ended(id, &report, "tried");
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
    let mut rebooting = Running::start(command.args(["reboot", "web1", "web2", "--output", "json"]));
    for (n, host) in hosts.iter_mut().enumerate() {
        let wave = rebooting.tells(|line| line["event"] == "wave");
        assert_eq!(wave["value"]["hosts"], json!([host.name()]));
        host.reboots();
        if n == 0 {
            // The second is left alone until the first is back.
            rebooting.tells(|line| line["value"]["status"] == "completed");
        }
    }
    let ended = rebooting.ended(0);
    let result = ended.json().pop().unwrap();
    let verdicts: Vec<_> =
        result["value"]["hosts"].as_array().unwrap().iter().map(|h| h["verdict"].clone()).collect();
    assert_eq!(verdicts, ["completed", "completed"], "{ended}");
    let after = hosts.each_ref().map(boot_id);
    assert!(before[0] != after[0] && before[1] != after[1], "{before:?} {after:?}");
}
