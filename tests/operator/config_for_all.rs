//! A configuration for everybody on a machine, as the module for operators writes one.

use crate::common::{binary, run};
use std::fs;
use std::process::Command;

#[test]
fn it_holds_unless_a_user_has_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |place: &str, url: &str| {
        let folder = folder.path().join(place).join("homelab-deploy");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), format!("[contexts.home]\nnats_url = {url:?}\n")).unwrap();
    };
    let show = || {
        let mut command = Command::new(binary());
        command.env_clear().env("HOME", folder.path().join("home"));
        command.env("XDG_CONFIG_DIRS", format!("relative:{0}/none:{0}/xdg", folder.path().display()));
        run(command.args(["config", "show"]), 0).out
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
