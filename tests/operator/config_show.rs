//! `config show`: effective settings and their sources.

use crate::common::run;
use crate::config_home::Home;
use homelab_deploy::keys::UserSeed;
use serde_json::{Value, json};
use std::process::Command;

const FILE: &str = r#"
context = "home"
branch = "main"
[contexts.home]
nats_url = "nats://user:s3cret@nats.example.org"
nkey_file = "~/deployer.nkey"
tls_ca = "/etc/ca.pem"
confirm_tiers = ["prod", "lab"]
nats_hosts = ["nas"]
allowed_flakes = ["git+https://user:s3cret@git.example.org/fleet"]
hosts.ns1 = { tier = "prod", role = "dns" }
hosts.nas = { tier = "prod" }
[aliases]
prod-all = "deploy.prod.all"
site = "web1"
[console]
mouse = false
"#;

fn shown(command: &mut Command, args: &[&str]) -> Vec<Value> {
    run(command.args(["config", "show", "--output", "json"]).args(args), 0).json()
}

/// Value, kind and source of a setting.
fn row(rows: &[Value], name: &str) -> (Value, Value, Value) {
    let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {rows:?}"));
    (row["value"].clone(), row["kind"].clone(), row["source"].clone())
}

#[test]
fn people_read_a_table() {
    let home = Home::with(FILE);
    UserSeed::generate().unwrap().write_new(&home.path().join("deployer.nkey")).unwrap();
    let mut command = home.command();
    command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web2");
    let shown = run(command.args(["config", "show", "--branch", "next"]), 0);
    let text = shown.stdout.replace(home.path().to_str().unwrap(), "HOME");
    // The column widths depend on the length of the directory.
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect::<Vec<_>>().join(" | ")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn each_value_names_its_source() {
    let home = Home::with(FILE);
    let file = home.file().display().to_string();
    let of_context = (json!("context"), json!(format!("context home in {file}")));
    let of_file = (json!("file"), json!(file));
    let rows = shown(&mut home.command(), &[]);
    for (name, value, (kind, source)) in [
        ("context", json!("home"), &of_file),
        ("nats_url", json!("nats://nats.example.org:4222"), &of_context),
        ("nkey_file", json!(home.path().join("deployer.nkey")), &of_context),
        ("tls_ca", json!("/etc/ca.pem"), &of_context),
        ("tls_cert", Value::Null, &(Value::Null, Value::Null)),
        ("tls_key", Value::Null, &(Value::Null, Value::Null)),
        ("flake_credentials", Value::Null, &(Value::Null, Value::Null)),
        ("branch", json!("main"), &of_file),
        ("confirm_tiers", json!(["prod", "lab"]), &of_context),
        ("nats_hosts", json!(["nas"]), &of_context),
        ("allowed_flakes", json!(["git+https://git.example.org/fleet"]), &of_context),
        ("console.shell", json!("ssh {host}"), &(json!("default"), json!("default"))),
        ("console.mouse", json!(false), &of_file),
        ("hosts.ns1", json!({"tier": "prod", "role": "dns"}), &of_context),
        ("hosts.nas", json!({"tier": "prod"}), &of_context),
        ("aliases.prod-all", json!("deploy.prod.all"), &of_file),
        ("aliases.site", json!("web1"), &of_file),
    ] {
        assert_eq!(row(&rows, name), (value, kind.clone(), source.clone()), "{name}");
    }
    assert_eq!(rows.len(), 24);
    assert_eq!(rows[1]["line"], 5);

    let mut command = home.command();
    command.env("HOMELAB_DEPLOY_NATS_URL", "nats://localhost").env("HOMELAB_DEPLOY_NKEY_FILE", "/key");
    command.env("HOMELAB_DEPLOY_BRANCH", "next").env("HOMELAB_DEPLOY_CONTEXT", "home");
    command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web2").env("HOMELAB_DEPLOY_ALIAS_NEW_ONE", "web3");
    let rows = shown(&mut command, &["--nkey-file", "/other", "--tls-cert", "/c", "--tls-key", "/k"]);
    for (name, value, kind, source) in [
        ("context", json!("home"), "environment", "HOMELAB_DEPLOY_CONTEXT"),
        ("nats_url", json!("nats://localhost:4222"), "environment", "HOMELAB_DEPLOY_NATS_URL"),
        ("nkey_file", json!("/other"), "flag", "--nkey-file"),
        ("tls_cert", json!("/c"), "flag", "--tls-cert"),
        ("tls_key", json!("/k"), "flag", "--tls-key"),
        ("branch", json!("next"), "environment", "HOMELAB_DEPLOY_BRANCH"),
        ("aliases.site", json!("web2"), "environment", "HOMELAB_DEPLOY_ALIAS_SITE"),
        ("aliases.new-one", json!("web3"), "environment", "HOMELAB_DEPLOY_ALIAS_NEW_ONE"),
    ] {
        assert_eq!(row(&rows, name), (value, json!(kind), json!(source)), "{name}");
    }
    let mut command = home.command();
    let rows = shown(&mut command, &["--branch", "v2", "--context", "home", "--nats-url", "tls://[::1]:7"]);
    assert_eq!(row(&rows, "branch"), (json!("v2"), json!("flag"), json!("--branch")));
    assert_eq!(row(&rows, "context"), (json!("home"), json!("flag"), json!("--context")));
    assert_eq!(row(&rows, "nats_url").0, "tls://[::1]:7");
}

#[test]
fn without_a_file_the_defaults_are_shown() {
    let home = Home::without();
    let rows = shown(&mut home.command(), &[]);
    for (name, value) in [
        ("branch", json!("master")),
        ("confirm_tiers", json!(["prod"])),
        ("console.shell", json!("ssh {host}")),
        ("console.mouse", json!(true)),
    ] {
        assert_eq!(row(&rows, name), (value, json!("default"), json!("default")), "{name}");
    }
    for name in ["context", "nats_url", "nkey_file", "tls_ca", "tls_cert", "tls_key", "nats_hosts"] {
        assert_eq!(row(&rows, name), (Value::Null, Value::Null, Value::Null), "{name}");
    }
    let human = run(home.command().args(["config", "show"]), 0).stdout;
    let head = format!("configuration: {} (does not exist)\n", home.file().display());
    assert!(human.starts_with(&head), "{human}");
}

#[test]
fn neither_seeds_nor_passwords_are_shown() {
    let home = Home::with(FILE);
    let seed = UserSeed::generate().unwrap();
    seed.write_new(&home.path().join("deployer.nkey")).unwrap();
    for output in ["human", "json"] {
        let shown = run(home.command().args(["config", "show", "--output", output]), 0);
        assert!(!shown.stdout.contains(seed.expose()) && !shown.stdout.contains("s3cret"), "{shown}");
        assert!(shown.stdout.contains("deployer.nkey"), "{shown}");
    }
}
