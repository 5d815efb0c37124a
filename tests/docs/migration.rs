//! The migration page: the flags that it promises exist, and the permissions that it shows work.

use crate::common::{binary, run};
use crate::harness::TestHome;
use crate::page::Page;
use std::process::Command;

const PAGE: &str = "docs/migration.md";

#[test]
fn the_promised_flags_and_variables_exist() {
    let page = Page::read(PAGE).text;
    let table = page.split("| command | flags | variables |").nth(1).expect("a table of the flags");
    let rows: Vec<_> = table.lines().skip(2).take_while(|line| line.trim().starts_with('|')).collect();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let mut words = row.split('`').skip(1).step_by(2);
        let command = words.next().unwrap();
        let help = run(Command::new(binary()).args([command, "--help"]), 0).stdout;
        for word in words {
            let known = help.split([' ', '=', ',', ']', '\n', ')', '$']).any(|other| other == word);
            assert!(known, "`{command}` does not know {word}:\n{help}");
        }
    }
}

#[test]
fn the_permissions_of_an_old_fleet_still_work() {
    let (_, blocks) = Page::read(PAGE).parts();
    let block =
        blocks.iter().find(|block| block.mark.as_deref() == Some("permissions")).expect("permissions");
    let mut home = TestHome::new();
    home.run("mkdir -p hosts/web1/etc .config");
    let keys = home.keys(
        "homelab-deploy keys new listener --host web1 --tier test --out hosts/web1/etc/nkey\n\
         homelab-deploy keys new deployer --tier test\nhomelab-deploy keys new admin",
    );
    let mut text = block.text();
    for entry in ["[hosts.web1]", "[operators.deployer]", "[operators.admin]"] {
        text = text.replacen("U…", &keys[entry], 1);
    }
    home.write("~/nats.conf", &format!("listen: \"0.0.0.0:4222\"\n{text}"));
    home.start_server("nats-server -c nats.conf");
    home.start_listener(
        "web1",
        "homelab-deploy listener --hostname web1 --tier test --nats-url nats://nats.example.org:4222 \
         --nkey-file /etc/nkey --flake-url git+https://git.example.org/fleet.git",
    );
    for key in ["deployer", "admin"] {
        let output = home.run(&format!(
            "export HOMELAB_DEPLOY_NATS_URL=nats://nats.example.org:4222 HOMELAB_DEPLOY_NKEY_FILE=~/{key}.nkey\n\
             homelab-deploy hosts\nhomelab-deploy deploy web1 --branch main\nhomelab-deploy logs web1",
        ));
        for words in ["web1  completed", "building"] {
            assert!(output.contains(words), "{output}");
        }
        assert!(!output.contains("note:"), "{output}");
    }
}
