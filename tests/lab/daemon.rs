//! With a nix daemon, only the daemon may write to the store. A hardened listener deploys and rolls back nevertheless.

use crate::harness::{Closure, LISTENER, Lab};
use serde_json::json;

#[test]
fn listener_without_write_access_to_the_store_builds_through_the_daemon() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    host.sh("systemd-run --quiet --unit=nix-daemon nix-daemon");
    let dir = format!("/etc/systemd/system/{LISTENER}.d");
    host.sh(&format!(
        "mkdir {dir} && printf '[Service]\\nEnvironment=NIX_REMOTE=daemon\\nReadOnlyPaths=/nix/store\\n' >{dir}/nixos.conf"
    ));
    host.sh(&format!("systemctl daemon-reload && systemctl restart {LISTENER}"));
    lab.online("web1");
    let pid = host.unit(LISTENER).pid;
    let mounts = host.sh(&format!("cat /proc/{pid}/mountinfo"));
    let store = mounts.lines().find(|line| line.contains(" /nix/store ")).expect("a separate mount");
    assert!(store.contains(" ro,"), "{store}");
    // The rights of root that the hardening leaves.
    let status = host.sh(&format!("cat /proc/{pid}/status"));
    let has = |line: &str| status.lines().any(|field| field.replace('\t', " ") == line);
    assert!(has("NoNewPrivs: 1") && has("Seccomp: 2") && has("CapBnd: 000000000000000f"), "{status}");

    lab.flake.commit(&Closure::new("next").service("web", "sleep 1002"));
    let planned = lab.request("web1", "j-0", &json!({"action": "dry-activate"})).final_report();
    assert_eq!(planned["status"], "completed", "{planned}");
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-1", &report, "next");
    assert_eq!(host.generations().len(), 2);
    let back = lab.request("web1", "j-2", &json!({"action": "rollback", "revision": null})).final_report();
    assert_eq!(back["status"], "completed", "{back}");
    host.assert_result("j-2", &back, "base");
}
