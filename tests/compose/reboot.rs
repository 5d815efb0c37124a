//! The action `reboot`.

use crate::common::eventually;
use crate::stage::{Stage, StageBuilder, sleeper};
use serde_json::json;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A host whose `systemctl` is this script; `$DIR` is its directory.
fn stage(script: &str) -> Option<Stage> {
    let host = StageBuilder::new(&[("web", &sleeper("bb:1", ""))])?;
    let stage = host.start_with(|host| {
        let bin = host.dir().join("bin");
        fs::create_dir(&bin).unwrap();
        let program = bin.join("systemctl");
        fs::write(&program, format!("#!/bin/sh\nDIR={}\n{script}\n", host.dir().display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap());
        fs::create_dir_all(host.dir().join("root/proc/sys/kernel/random")).unwrap();
        fs::write(host.dir().join("root/proc/sys/kernel/random/boot_id"), "first\n").unwrap();
        host.env("PATH", &path)
    });
    Some(stage)
}

#[test]
fn a_reboot_completes_on_the_next_boot_and_the_containers_are_the_same() {
    let Some(mut stage) = stage("echo $@ >$DIR/called") else { return };
    stage.completes("re-1");
    let web = stage.container("web");
    let reports = stage.send("re-2", json!({"action": "reboot", "revision": null}));
    let called = eventually("the call of systemctl", || fs::read_to_string(stage.host.file("called")).ok());
    assert_eq!(called, "reboot\n");
    stage.host.kill();
    stage.daemon.restart();
    fs::write(stage.host.file("root/proc/sys/kernel/random/boot_id"), "second\n").unwrap();
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!(
        (&report["status"], &report["message"]),
        (&json!("completed"), &json!("reboot done")),
        "{report}"
    );
    assert_eq!(stage.container("web"), web);
    eventually("the container", || (stage.status("web") == "running").then_some(()));
}

#[test]
fn a_reboot_that_systemd_refuses_fails_and_changes_nothing() {
    let Some(stage) = stage("echo 'Operation refused' >&2; exit 1") else { return };
    stage.completes("re-1");
    let web = stage.container("web");
    let report = stage.deploy("re-2", json!({"action": "reboot", "revision": null}));
    assert_eq!(report["error"], "activation_failed", "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("could not reboot the host: Operation refused"), "{message}");
    assert_eq!(stage.container("web"), web);
    stage.completes("re-3");
}
