//! A system-wide configuration, as the NixOS module for operators writes it.

use crate::common::{binary, run};
use std::fs;
use std::process::Command;

#[test]
fn it_holds_unless_a_user_has_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let write = |place: &str, url: &str| {
        let directory = directory.path().join(place).join("homelab-deploy");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config.toml"), format!("[contexts.home]\nnats_url = {url:?}\n")).unwrap();
    };
    let show = || {
        let mut command = Command::new(binary());
        command.env_clear().env("HOME", directory.path().join("home"));
        command.env("XDG_CONFIG_DIRS", format!("relative:{0}/none:{0}/xdg", directory.path().display()));
        run(command.args(["config", "show"]), 0).stdout
    };
    write("xdg", "nats://everybody");
    let shown = show();
    assert!(
        shown.contains("nats://everybody") && shown.contains("xdg/homelab-deploy/config.toml"),
        "{shown}"
    );
    write("home/.config", "nats://mine");
    let shown = show();
    assert!(shown.contains("nats://mine") && !shown.contains("everybody"), "{shown}");
}
