//! On NixOS a daemon builds, and nobody else may write to the store: a hardened listener deploys and goes back all the same.

use crate::harness::{Closure, LISTENER, Lab};
use serde_json::json;

#[test]
fn a_listener_that_may_not_write_the_store_builds_through_the_daemon() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    host.sh("systemd-run --quiet --unit=nix-daemon nix-daemon");
    let folder = format!("/etc/systemd/system/{LISTENER}.d");
    host.sh(&format!(
        "mkdir {folder} && printf '[Service]\\nEnvironment=NIX_REMOTE=daemon\\nReadOnlyPaths=/nix/store\\n' >{folder}/nixos.conf"
    ));
    host.sh(&format!("systemctl daemon-reload && systemctl restart {LISTENER}"));
    lab.online("web1");
    let pid = host.unit(LISTENER).pid;
    let mounts = host.sh(&format!("cat /proc/{pid}/mountinfo"));
    let store = mounts.lines().find(|line| line.contains(" /nix/store ")).expect("a mount of its own");
    assert!(store.contains(" ro,"), "{store}");
    // What the hardening leaves of root's rights, and of the machine.
    let status = host.sh(&format!("cat /proc/{pid}/status"));
    let has = |line: &str| status.lines().any(|told| told.replace('\t', " ") == line);
    assert!(has("NoNewPrivs: 1") && has("Seccomp: 2") && has("CapBnd: 000000000000000f"), "{status}");

    lab.flake.commit(&Closure::new("next").service("web", "sleep 1002"));
    let planned = lab.request("web1", "j-0", &json!({"action": "dry-activate"})).verdict();
    assert_eq!(planned["status"], "completed", "{planned}");
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-1", &report, "next");
    assert_eq!(host.generations().len(), 2);
    let back = lab.request("web1", "j-2", &json!({"action": "rollback", "revision": null})).verdict();
    assert_eq!(back["status"], "completed", "{back}");
    host.ended("j-2", &back, "base");
}
