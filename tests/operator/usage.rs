//! Errors that are reported before connecting: targets, conflicting arguments, key files. The server address is
//! unreachable, so that an attempt to connect would exit with 5.

use crate::common::{HostBuilder, NatsServer, binary, operator, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A command with a server address that refuses connections.
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
        ("deploy.*.all", "\"deploy.*.all\" has wildcards; write a single subject"),
        ("deploy.test.>", "\"deploy.test.>\" has wildcards"),
        ("deploy.discover", "\"deploy.discover\" overlaps deploy.discover, which carries no requests"),
        ("deploy.responses.x", "\"deploy.responses.x\" overlaps deploy.responses.>"),
        ("deploy.responses", "overlaps deploy.responses, which carries no requests"),
        ("deploy..web1", "is not a subject: expected tokens without blanks, separated by single dots"),
        ("deploy.te st.web1", "is not a subject"),
        (".", "is not a subject"),
    ] {
        let refused = run(nowhere().args(["deploy", target]), 2);
        refused.assert_stderr(&["the target ", sentence]);
    }
}

#[test]
fn an_invalid_target_is_refused() {
    for target in ["web 1", "", "wéb1", "all", "role"] {
        let refused = run(nowhere().args(["deploy", "--", target]), 2);
        refused.assert_stderr(&[&format!("invalid target {target:?}"), "deploy.<tier>.<host>"]);
    }
}

#[test]
fn an_alias_that_leads_back_to_itself_is_refused() {
    let mut command = nowhere();
    command.env("HOMELAB_DEPLOY_ALIAS_ONE", "two").env("HOMELAB_DEPLOY_ALIAS_TWO", "one");
    let refused = run(command.args(["deploy", "one"]), 2);
    refused.assert_stderr(&["alias \"one\" refers to itself", "HOMELAB_DEPLOY_ALIAS_"]);
}

#[test]
fn an_alias_of_a_forbidden_subject_is_refused_too() {
    let mut command = nowhere();
    command.env("HOMELAB_DEPLOY_ALIAS_EVERYTHING", "deploy.>");
    run(command.args(["deploy", "everything"]), 2).assert_stderr(&["\"deploy.>\" has wildcards"]);
}

#[test]
fn contradicting_and_missing_arguments_are_refused_and_named() {
    let refused = |args: &[&str], named: &[&str]| run(nowhere().args(args), 2).assert_stderr(named);
    for command in ["deploy", "cancel", "diff", "rollback", "reboot", "release"] {
        refused(
            &[command],
            &["no host selected: give a TARGET (a host, an alias or a subject), or --role or --all"],
        );
        refused(&[command, "--tier", "test"], &["no host selected"]);
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
    refused.assert_stderr(&[
        "no NATS server configured: give --nats-url, set HOMELAB_DEPLOY_NATS_URL, ",
        "or set nats_url in a [contexts.NAME] of /nonexistent/homelab-deploy/config.toml",
    ]);
}

/// Creates a key file with this content and mode.
fn key_file(directory: &Path, content: &str, mode: u32) -> String {
    let file = directory.join("key");
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn an_unusable_key_file_is_refused_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let seed = homelab_deploy::keys::UserSeed::generate().unwrap();
    let account = nkeys::KeyPair::new_account().seed().unwrap();
    let two_seeds =
        format!("{}\n{}\n", seed.expose(), homelab_deploy::keys::UserSeed::generate().unwrap().expose());
    for (content, sentence) in [
        ("", "is empty; write a seed into it, for example with `homelab-deploy keys new`"),
        ("\n \n", "is empty"),
        ("hello", "contains no user seed (a line that starts with SU)"),
        (seed.public_key(), "it contains a public key"),
        (&account, "it contains the seed of an account, operator or server"),
        (&seed.expose()[..40], "the seed is damaged"),
        (&two_seeds, "contains several user seeds; keep the one to use"),
    ] {
        let file = key_file(directory.path(), content, 0o600);
        let refused = run(nowhere().args(["hosts", "--nkey-file", &file]), 2);
        refused.assert_stderr(&[&format!("the key file {file}"), sentence]);
        let secret = content.trim();
        assert!(!secret.starts_with("SU") || !refused.stderr.contains(secret), "{refused}");
    }
    let missing = run(nowhere().args(["hosts", "--nkey-file", "/missing/key"]), 2);
    let expected =
        "error: could not read the key file /missing/key: No such file or directory (os error 2)\n";
    assert_eq!(missing.stderr, expected);
}

#[test]
fn a_key_file_that_everybody_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let seed = homelab_deploy::keys::UserSeed::generate().unwrap();
    let file = key_file(directory.path(), seed.expose(), 0o644);
    let refused = run(nowhere().args(["hosts", "--nkey-file", &file]), 2);
    refused.assert_stderr(&["is readable by all users", &format!("chmod 600 {file}")]);
    // A group-readable file is accepted.
    let file = key_file(directory.path(), seed.expose(), 0o640);
    run(nowhere().args(["hosts", "--nkey-file", &file]), 5).assert_stderr(&["could not connect"]);
}

#[test]
fn a_key_is_needed_beyond_this_machine() {
    let hosts = |url: &str, code| run(nowhere().args(["hosts", "--nats-url", url]), code);
    let refused = hosts("nats://127.0.0.1:1,nats://nats.example.org:4222", 2);
    refused.assert_stderr(&["no key for nats://nats.example.org:4222", "--nkey-file"]);
    for url in ["nats://127.0.0.1:1", "nats://localhost:1", "nats://[::1]:1"] {
        hosts(url, 5).assert_stderr(&["could not connect"]);
    }
}

#[test]
fn a_certificate_file_that_is_not_there_is_refused() {
    let nats = NatsServer::start();
    for args in [&["--tls-ca", "/missing"][..], &["--tls-cert", "/missing", "--tls-key", "/missing"]] {
        let refused = run(crate::common::operator(&nats, "admin").arg("hosts").args(args), 2);
        refused.assert_stderr(&[&format!("could not read {} /missing: No such file", args[0])]);
    }
}

#[test]
fn a_group_without_a_tier_is_refused_with_advice() {
    for command in ["deploy", "diff", "rollback", "reboot", "cancel", "release"] {
        for (group, args) in [("--all", &["--all"][..]), ("--role", &["--role", "web"])] {
            // A dry run changes nothing, so it may be of all hosts of all tiers.
            if (command, group) == ("diff", "--all") {
                continue;
            }
            let refused = run(nowhere().arg(command).args(args), 2);
            assert_eq!(refused.stderr, format!("error: {group} requires a tier: add --tier <TIER>\n"));
        }
    }
}

#[test]
fn a_new_key_is_named_after_the_person() {
    let directory = tempfile::tempdir().unwrap();
    let keys_new = |args: &[&str], code| {
        run(Command::new(binary()).args(["keys", "new"]).args(args).current_dir(directory.path()), code)
    };
    for name in ["alice", "bob"] {
        let made = keys_new(&["deployer", "--name", name, "--tier", "test"], 0);
        let (key, file) = (made.stdout.trim(), format!("{name}.nkey"));
        assert!(directory.path().join(&file).exists());
        made.assert_stderr(&[
            &format!("wrote the seed to {file}"),
            &format!("[operators.{name}]\nkind = \"deployer\"\ntiers = [\"test\"]\npublic_key = \"{key}\""),
        ]);
    }
    let example = "without --tier, its tier is an example";
    for kind in ["listener", "deployer"] {
        keys_new(&[kind], 0).assert_stderr(&[example]);
    }
    let without_tiers = keys_new(&["viewer"], 0);
    assert!(!without_tiers.stderr.contains(example), "{without_tiers}");
    keys_new(&["listener", "--name", "web1"], 2).assert_stderr(&["use --host"]);
    keys_new(&["deployer", "--name", "web1", "--host", "web1"], 2).assert_stderr(&["cannot be used with"]);
}

#[test]
fn services_take_the_server_from_the_environment_so_that_a_password_is_no_argument() {
    let nats = NatsServer::start();
    let listener = HostBuilder::new(&nats, "web1", "test", "web").without("--nats-url");
    let _listener = listener.env("HOMELAB_DEPLOY_NATS_URL", &nats.url()).start();
    run(operator(&nats, "tester").args(["deploy", "web1"]), 0);
    let builder = HostBuilder::builder(&nats, "[repos.infra]\nurl = \"git+file:///nonexistent\"\n")
        .without("--nats-url");
    let mut builder = builder.env("HOMELAB_DEPLOY_NATS_URL", &nats.url()).start();
    builder.last_log("connected");
}
