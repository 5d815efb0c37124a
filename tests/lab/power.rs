//! A host loses power in activate (the container is killed): `interrupted`, what runs now, and the next deployment works.
//! `test`, then a reboot: the old system; `test`, then `switch` of the same: persisted.

use crate::harness::{Closure, Lab};
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
