//! The rendered configuration: its text, and that the real server accepts it.

use crate::fixture::{ENTRIES, fleet_file, public_key, sections};
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use std::fs;
use std::process::Command;

#[test]
fn rendered_authorization() {
    let mut text = render_authorization(&parse_fleet_file(fleet_file(), "fleet.toml".as_ref()).unwrap());
    for entry in ENTRIES {
        let key = format!("{:?}", public_key(entry));
        assert_eq!(text.matches(&key).count(), 1, "{entry}");
        text = text.replace(&key, &format!("\"key of {entry}\""));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_order_of_the_file_does_not_matter() {
    let render = |text: &str| render_authorization(&parse_fleet_file(text, "fleet.toml".as_ref()).unwrap());
    let mut turned = sections();
    turned.reverse();
    assert_eq!(render(&turned.concat()), render(fleet_file()));
}

#[test]
fn the_server_accepts_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nats.conf");
    fs::write(&file, render_authorization(&parse_fleet_file(fleet_file(), "fleet.toml".as_ref()).unwrap()))
        .unwrap();
    let check = Command::new("nats-server").arg("-c").arg(&file).arg("-t").output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
