//! Every configuration in the page about the server is one that the server takes.

use crate::certificates::Authority;
use crate::common::binary;
use homelab_deploy::keys::Seed;
use std::fs;
use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../../docs/nats.md");

/// The blocks of configuration, by the names of their files.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("```conf\n").skip(1).map(|rest| rest.split_once("```").expect("an end").0);
    let named = |block: &'static str| {
        let name = block.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the name of a file");
        (name, block)
    };
    blocks.map(named).collect()
}

/// The command of the page that begins so, run by a shell in a folder.
fn shell(folder: &Path, begin: &str) {
    let command = PAGE.lines().map(str::trim_start).find(|line| line.starts_with(begin)).expect("a command");
    let path = format!("{}:{}", binary().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut run = Command::new("sh");
    let done = run.args(["-ec", command]).env("PATH", path).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_server_takes_every_configuration_in_the_page() {
    let authority = Authority::new();
    authority.sign("server", &["nats.example.org"]);
    let ca = authority.ca();
    let folder = ca.parent().unwrap();
    let key = Seed::generate().unwrap();
    fs::write(
        folder.join("fleet.toml"),
        format!("[hosts.ns1]\ntier = \"prod\"\npublic_key = {:?}\n", key.public_key()),
    )
    .unwrap();
    let blocks = blocks();
    for (name, block) in &blocks {
        // Its own certificates stand for those that the page tells how to make.
        fs::write(folder.join(name), block.replace("/etc/nats/", &format!("{}/", folder.display()))).unwrap();
    }
    shell(folder, "homelab-deploy keys nats-config fleet.toml > ");
    shell(folder, "homelab-deploy keys nats-config fleet.toml | sed ");
    let hub = fs::read_to_string(folder.join("hub-authorization.conf")).unwrap();
    assert!(hub.contains("user: far") && hub.contains(key.public_key()), "{hub}");

    // One of them is a piece of another file.
    let whole: Vec<_> =
        blocks.iter().map(|(name, _)| *name).filter(|name| *name != "leaf-user.conf").collect();
    assert_eq!(
        whole,
        ["nats-server.conf", "nats-tls.conf", "nats-verify.conf", "nats1.conf", "hub.conf", "leaf.conf"]
    );
    for name in whole {
        let check = Command::new("nats-server").args(["-t", "-c"]).arg(folder.join(name)).output().unwrap();
        assert!(check.status.success(), "{name}: {}", String::from_utf8_lossy(&check.stderr));
    }
}
