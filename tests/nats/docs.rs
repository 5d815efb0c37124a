//! The server accepts every configuration in its documentation page.

use crate::certificates::Authority;
use crate::common::binary;
use homelab_deploy::keys::UserSeed;
use std::fs;
use std::path::Path;
use std::process::Command;

const DOCS: &str = include_str!("../../docs/nats.md");

/// The configuration blocks of the page, by the names of their files.
fn code_blocks() -> Vec<(&'static str, &'static str)> {
    let blocks = DOCS.split("```conf\n").skip(1).map(|rest| rest.split_once("```").expect("an end").0);
    let named = |block: &'static str| {
        let name = block.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the name of a file");
        (name, block)
    };
    blocks.map(named).collect()
}

/// Runs the command of the page that starts with `begin`, in a shell in this directory.
fn run_shell_block(dir: &Path, begin: &str) {
    let command = DOCS.lines().map(str::trim_start).find(|line| line.starts_with(begin)).expect("a command");
    let path = format!("{}:{}", binary().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut run = Command::new("sh");
    let done = run.args(["-ec", command]).env("PATH", path).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_server_accepts_every_configuration_in_the_docs() {
    let authority = Authority::new();
    authority.sign("server", &["nats.example.org"]);
    let ca = authority.ca();
    let dir = ca.parent().unwrap();
    let key = UserSeed::generate().unwrap();
    fs::write(
        dir.join("fleet.toml"),
        format!("[hosts.ns1]\ntier = \"prod\"\npublic_key = {:?}\n", key.public_key()),
    )
    .unwrap();
    let blocks = code_blocks();
    for (name, block) in &blocks {
        // The test certificates replace those that the page describes.
        fs::write(dir.join(name), block.replace("/etc/nats/", &format!("{}/", dir.display()))).unwrap();
    }
    run_shell_block(dir, "homelab-deploy keys nats-config fleet.toml > ");
    run_shell_block(dir, "homelab-deploy keys nats-config fleet.toml | sed ");
    let hub = fs::read_to_string(dir.join("hub-authorization.conf")).unwrap();
    assert!(hub.contains("user: far") && hub.contains(key.public_key()), "{hub}");

    // One of them is only a part of another file.
    let whole: Vec<_> =
        blocks.iter().map(|(name, _)| *name).filter(|name| *name != "leaf-user.conf").collect();
    assert_eq!(
        whole,
        ["nats-server.conf", "nats-tls.conf", "nats-verify.conf", "nats1.conf", "hub.conf", "leaf.conf"]
    );
    for name in whole {
        let check = Command::new("nats-server").args(["-t", "-c"]).arg(dir.join(name)).output().unwrap();
        assert!(check.status.success(), "{name}: {}", String::from_utf8_lossy(&check.stderr));
    }
}
