//! What is refused before anything is connected: targets, contradictions, key files. The server's address here leads
//! nowhere, so that an attempt to connect would show as exit 5.

use crate::common::{Broker, binary, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The binary with an address where nobody listens.
pub(crate) fn nowhere() -> Command {
    let mut command = Command::new(binary());
    command.env("HOMELAB_DEPLOY_NATS_URL", "nats://127.0.0.1:1").stdin(std::process::Stdio::null());
    command.env("XDG_STATE_HOME", "/nonexistent").env("XDG_CONFIG_HOME", "/nonexistent");
    command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").env_remove("HOMELAB_DEPLOY_CONTEXT");
    command
}

#[test]
fn subjects_that_carry_no_requests_are_refused() {
    for (target, sentence) in [
        ("deploy.*.all", "\"deploy.*.all\" has wildcards; a request goes to one subject"),
        ("deploy.test.>", "\"deploy.test.>\" has wildcards"),
        ("deploy.discover", "\"deploy.discover\" overlaps deploy.discover, which carries no requests"),
        ("deploy.responses.x", "\"deploy.responses.x\" overlaps deploy.responses.>"),
        ("deploy.responses", "overlaps deploy.responses, which carries no requests"),
        ("deploy..web1", "is not a subject: tokens are separated by single dots"),
        ("deploy.te st.web1", "is not a subject"),
        (".", "is not a subject"),
    ] {
        let refused = run(nowhere().args(["deploy", target]), 2);
        refused.complains(&["the target ", sentence]);
    }
}

#[test]
fn what_is_neither_subject_nor_alias_nor_name_is_refused() {
    for target in ["web 1", "", "wéb1", "all", "role"] {
        let refused = run(nowhere().args(["deploy", "--", target]), 2);
        refused.complains(&[&format!("{target:?} is no target"), "deploy.<tier>.<host>"]);
    }
}

#[test]
fn an_alias_that_leads_back_to_itself_is_refused() {
    let mut command = nowhere();
    command.env("HOMELAB_DEPLOY_ALIAS_ONE", "two").env("HOMELAB_DEPLOY_ALIAS_TWO", "one");
    let refused = run(command.args(["deploy", "one"]), 2);
    refused.complains(&["the alias \"one\" leads back to itself", "HOMELAB_DEPLOY_ALIAS_"]);
}

#[test]
fn an_alias_of_a_forbidden_subject_is_refused_too() {
    let mut command = nowhere();
    command.env("HOMELAB_DEPLOY_ALIAS_EVERYTHING", "deploy.>");
    run(command.args(["deploy", "everything"]), 2).complains(&["\"deploy.>\" has wildcards"]);
}

#[test]
fn contradicting_and_missing_arguments_are_refused_and_named() {
    let refused = |args: &[&str], named: &[&str]| run(nowhere().args(args), 2).complains(named);
    for command in ["deploy", "cancel", "diff", "rollback", "reboot", "release"] {
        refused(
            &[command],
            &["no host is named: give a TARGET (a host, an alias or a subject), or --role or --all"],
        );
        refused(&[command, "--tier", "test"], &["no host is named"]);
        refused(&[command, "web1", "--all", "--tier", "test"], &["TARGET", "--all"]);
    }
    refused(&["deploy", "--all"], &["--tier <TIER>"]);
    refused(&["deploy", "--role", "web"], &["--tier <TIER>"]);
    refused(&["deploy", "--all", "--role", "web", "--tier", "test"], &["--all", "--role"]);
    refused(&["deploy", "web1", "--all", "--tier", "test"], &["TARGET", "--all"]);
    refused(&["deploy", "web1", "--role", "web", "--tier", "test"], &["TARGET", "--role"]);
    refused(&["deploy", "web1", "--tier", "test"], &["TARGET", "--tier"]);
    refused(&["hosts", "--forget", "web1", "--tier", "test"], &["--forget", "--tier"]);
    refused(&["logs"], &["HOST"]);
    refused(&["logs", "web1", "web2"], &["web2"]);
    refused(&["hosts", "--tls-cert", "cert.pem"], &["--tls-key"]);
    refused(&["hosts", "--tls-key", "key.pem"], &["--tls-cert"]);
    refused(&[], &["Usage: homelab-deploy <COMMAND>"]);
    refused(&["deplyo"], &["deplyo", "deploy"]);
}

#[test]
fn a_server_must_be_named() {
    let mut command = nowhere();
    let refused = run(command.env_remove("HOMELAB_DEPLOY_NATS_URL").arg("hosts"), 2);
    refused.complains(&[
        "no NATS server is named: give --nats-url, set HOMELAB_DEPLOY_NATS_URL, ",
        "or write nats_url into a [contexts.NAME] of /nonexistent/homelab-deploy/config.toml",
    ]);
}

/// A key file with this content and mode.
fn key_file(folder: &Path, content: &str, mode: u32) -> String {
    let file = folder.join("key");
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_key_file_that_is_no_use_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let seed = homelab_deploy::keys::Seed::generate().unwrap();
    let account = nkeys::KeyPair::new_account().seed().unwrap();
    for (content, sentence) in [
        ("", "is empty; write a seed into it, for example with `homelab-deploy keys new`"),
        ("\n \n", "is empty"),
        ("hello", "holds no nkey seed of a user (a line that starts with SU)"),
        (seed.public_key(), "it holds a public key"),
        (&account, "it holds the seed of an account, operator or server"),
        (&seed.expose()[..40], "the seed is damaged"),
    ] {
        let file = key_file(folder.path(), content, 0o600);
        let refused = run(nowhere().args(["hosts", "--nkey-file", &file]), 2);
        refused.complains(&[&format!("the key file {file}"), sentence]);
        let secret = content.trim();
        assert!(!secret.starts_with("SU") || !refused.err.contains(secret), "{refused}");
    }
    let missing = run(nowhere().args(["hosts", "--nkey-file", "/missing/key"]), 2);
    let said = "error: could not read the key file /missing/key: No such file or directory (os error 2)\n";
    assert_eq!(missing.err, said);
}

#[test]
fn a_key_file_that_everybody_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let seed = homelab_deploy::keys::Seed::generate().unwrap();
    let file = key_file(folder.path(), seed.expose(), 0o644);
    let refused = run(nowhere().args(["hosts", "--nkey-file", &file]), 2);
    refused.complains(&["can be read by everybody", &format!("chmod 600 {file}")]);
    // Its group may.
    let file = key_file(folder.path(), seed.expose(), 0o640);
    run(nowhere().args(["hosts", "--nkey-file", &file]), 5).complains(&["could not connect"]);
}

#[test]
fn a_key_is_needed_beyond_this_machine() {
    let hosts = |url: &str, code| run(nowhere().args(["hosts", "--nats-url", url]), code);
    let refused = hosts("nats://127.0.0.1:1,nats://nats.example.org:4222", 2);
    refused.complains(&["no key for nats://nats.example.org:4222", "--nkey-file"]);
    for url in ["nats://127.0.0.1:1", "nats://localhost:1", "nats://[::1]:1"] {
        hosts(url, 5).complains(&["could not connect"]);
    }
}

#[test]
fn a_certificate_file_that_is_not_there_is_refused() {
    let broker = Broker::start();
    for args in [&["--tls-ca", "/missing"][..], &["--tls-cert", "/missing", "--tls-key", "/missing"]] {
        let refused = run(crate::common::operator(&broker, "admin").arg("hosts").args(args), 2);
        refused.complains(&[&format!("could not read {} /missing: No such file", args[0])]);
    }
}

#[test]
fn a_group_without_its_tier_is_told_what_is_missing_and_no_usage_that_does_not_work() {
    for command in ["deploy", "diff", "rollback", "reboot", "cancel", "release"] {
        for (group, args) in [("--all", &["--all"][..]), ("--role", &["--role", "web"])] {
            let refused = run(nowhere().arg(command).args(args), 2);
            assert_eq!(
                refused.err,
                format!("error: {group} is for the hosts of a tier: add --tier <TIER>\n")
            );
        }
    }
}

#[test]
fn the_key_of_a_person_has_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let keys_new = |args: &[&str], code| {
        run(Command::new(binary()).args(["keys", "new"]).args(args).current_dir(folder.path()), code)
    };
    for name in ["alice", "bob"] {
        let made = keys_new(&["deployer", "--name", name, "--tier", "test"], 0);
        let (key, file) = (made.out.trim(), format!("{name}.nkey"));
        assert!(folder.path().join(&file).exists());
        made.complains(&[
            &format!("the seed is in {file}"),
            &format!("[operators.{name}]\nkind = \"deployer\"\ntiers = [\"test\"]\npublic_key = \"{key}\""),
        ]);
    }
    keys_new(&["listener", "--name", "web1"], 2).complains(&["give --host"]);
    keys_new(&["deployer", "--name", "web1", "--host", "web1"], 2).complains(&["cannot be used with"]);
}
