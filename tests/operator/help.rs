//! Help texts, and errors for invalid values of every flag.

use crate::common::{binary, run};
use crate::usage::nowhere;
use homelab_deploy::keys::UserSeed;
use std::collections::BTreeSet;
use std::process::Command;

/// Every command with its subcommands.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["listener"],
    &["builder"],
    &["notify"],
    &["deploy"],
    &["tui"],
    &["hosts"],
    &["status"],
    &["logs"],
    &["history"],
    &["diff"],
    &["diagnose"],
    &["resume"],
    &["rollback"],
    &["rollouts"],
    &["reboot"],
    &["build"],
    &["cancel"],
    &["hold"],
    &["release"],
    &["flake-update"],
    &["mcp"],
    &["config"],
    &["config", "show"],
    &["config", "check"],
    &["keys"],
    &["keys", "new"],
    &["keys", "nats-config"],
    &["keys", "rotate"],
    &["demo"],
    &["completions"],
    &["man"],
];

fn help(command: &[&str]) -> String {
    run(Command::new(binary()).env_clear().args(command).arg("--help"), 0).stdout
}

#[test]
fn each_command_has_help() {
    for command in COMMANDS {
        let name = ["help"].iter().chain(*command).copied().collect::<Vec<_>>().join("-");
        insta::assert_snapshot!(name, help(command));
    }
}

#[test]
fn help_is_never_wider_than_a_page() {
    for command in COMMANDS {
        for line in help(command).lines().filter(|line| !line.starts_with("Usage:")) {
            assert!(line.chars().count() <= 100, "{command:?}: {line}");
        }
    }
}

/// The commands that a help text lists. The main help has them in groups.
fn listed<'a>(command: &[&str], help: &'a str) -> Vec<&'a str> {
    let commands = if command.is_empty() {
        help.split("\nOptions:\n").next().unwrap()
    } else {
        help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap()
    };
    // A long description continues on lines that are indented further.
    let lines = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.map(|line| line.split_whitespace().next().unwrap()).collect()
}

#[test]
fn the_help_lists_every_command_once_in_its_group() {
    let help = help(&[]);
    let mut commands = listed(&[], &help);
    let known: BTreeSet<_> = COMMANDS.iter().filter_map(|command| command.first().copied()).collect();
    assert_eq!(commands.pop(), Some("help"));
    assert_eq!((commands.len(), commands.into_iter().collect()), (known.len(), known));
    for line in ["Inspect:", "Change:", "Run as a service:", "Set up:", "Examples:"] {
        assert!(help.lines().any(|own| own == line), "no {line} in {help}");
    }
}

#[test]
fn the_examples_are_understood() {
    let help = help(&[]);
    let examples = help.split("Examples:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let examples: Vec<_> = examples.map(|line| line.trim().split("   ").next().unwrap()).collect();
    assert_eq!(examples.len(), 5, "{help}");
    for example in examples {
        let arguments = example.strip_prefix("homelab-deploy ").unwrap_or_else(|| panic!("{example}"));
        run(Command::new(binary()).args(arguments.split(' ')).arg("--help"), 0);
    }
}

#[test]
fn no_command_is_missing_here() {
    for command in COMMANDS {
        let help = help(command);
        for word in listed(command, &help) {
            let inner: Vec<_> = command.iter().copied().chain([word]).collect();
            assert!(word == "help" || COMMANDS.contains(&inner.as_slice()), "{inner:?}");
        }
    }
}

#[test]
fn the_version_is_printed() {
    let version = format!("homelab-deploy {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(Command::new(binary()).arg("--version"), 0).stdout, version);
}

/// Valid arguments of each command, so that only the tested flag is invalid.
const LISTENER: &[&str] = &[
    "listener",
    "--hostname=web1",
    "--tier=test",
    "--nats-url=nats://127.0.0.1:1",
    "--nkey-file=KEY",
    "--flake-url=path:/flake",
    "--rebuild-command=true",
    "--state-dir=/dev/null",
];
const BUILDER: &[&str] = &[
    "builder",
    "--config=CONFIG",
    "--nats-url=nats://127.0.0.1:1",
    "--nkey-file=KEY",
    "--state-dir=/dev/null",
];
const NOTIFY: &[&str] = &[
    "notify",
    "--config=NOTIFY",
    "--nats-url=nats://127.0.0.1:1",
    "--nkey-file=KEY",
    "--state-dir=/dev/null",
];
const DEPLOY: &[&str] = &["deploy", "web1"];
const TUI: &[&str] = &["tui", "--snapshot"];
const HOSTS: &[&str] = &["hosts"];
const STATUS: &[&str] = &["status"];
const LOGS: &[&str] = &["logs", "web1"];
const HISTORY: &[&str] = &["history"];
const DIFF: &[&str] = &["diff", "web1"];
const ROLLBACK: &[&str] = &["rollback", "web1"];
const RESUME: &[&str] = &["resume", "chelsty"];
const DIAGNOSE: &[&str] = &["diagnose", "chelsty"];
const REBOOT: &[&str] = &["reboot", "web1"];
const BUILD: &[&str] = &["build", "web1"];
const CANCEL: &[&str] = &["cancel", "web1"];
const ROLLOUTS: &[&str] = &["rollouts"];
const HOLD: &[&str] = &["hold", "web1", "--reason=why"];
const RELEASE: &[&str] = &["release", "web1"];
const FLAKE_UPDATE: &[&str] = &["flake-update", "--repo=/", "--notify"];
const MCP: &[&str] = &["mcp", "--enable-admin", "--admin-nkey-file=KEY"];
const CONFIG: &[&str] = &["config", "show"];
const CHECK: &[&str] = &["config", "check"];
const KEYS_ROTATE: &[&str] = &["keys", "rotate", "bob", "--fleet-file=FLEET", "--status"];
const KEYS_NEW: &[&str] = &["keys", "new", "listener"];

/// Each flag with a value: the command, the flag, an invalid value, and a part of the error.
const WRONG: &[(&[&str], &str, &str, &str)] = &[
    (HOSTS, "--silent-for", "soon", "invalid time \"soon\""),
    (LISTENER, "--hostname", "a.b", "is not a name"),
    (LISTENER, "--flake-attr", "a#b", "invalid name below nixosConfigurations"),
    (LISTENER, "--tier", "all", "reserved word"),
    (LISTENER, "--role", "web server", "is not a name"),
    (LISTENER, "--nats-url", "http://nats", "is not the URL of a NATS server"),
    (LISTENER, "--nkey-file", "/missing", "could not read the key file /missing"),
    (LISTENER, "--flake-credentials", "/missing", "could not read the credentials file /missing"),
    (LISTENER, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (LISTENER, "--tls-cert", "/missing", "--tls-key"),
    (LISTENER, "--tls-key", "/missing", "--tls-cert"),
    (LISTENER, "--flake-url", "nixpkgs", "nixpkgs"),
    (LISTENER, "--engine", "docker", "nix, compose"),
    (LISTENER, "--repo-url", "nixpkgs", "nixpkgs"),
    (LISTENER, "--compose-command", " ", "expected a command such as `docker compose`"),
    (LISTENER, "--exposure", "lan", "expected enforce, warn or off"),
    (LISTENER, "--activate-timeout", "0", "0 is not in 1..=86400"),
    (LISTENER, "--confirm-hold", "3601", "3601 is not in 0..=3600"),
    (LISTENER, "--confirm-peers", "web1,a.b", "write any, or host names separated by commas"),
    (LISTENER, "--rebuild-silence", "x", "invalid digit"),
    (LISTENER, "--rebuild-silence", "0", "0 is not in 1.."),
    (LISTENER, "--timeout", "0", "0 is not in 1.."),
    (LISTENER, "--deploy-subject", "deploy.<host>", "unknown placeholder"),
    (LISTENER, "--discover-subject", "deploy..discover", "cannot be used"),
    (LISTENER, "--heartbeat-interval", "0", "0 is not in 1.."),
    (LISTENER, "--presence-interval", "-1", "invalid digit"),
    (LISTENER, "--metrics-addr", "9972", "expected :PORT for all addresses"),
    (LISTENER, "--log-format", "xml", "json, text"),
    (LISTENER, "--health-timeout", "0", "0 is not in 1.."),
    (LISTENER, "--confirm-timeout", "-1", "invalid digit"),
    (LISTENER, "--min-free", "much", "expected a size such as 500MiB or 1GiB"),
    (LISTENER, "--min-free", "99999999999999TiB", "expected a size such as 500MiB or 1GiB"),
    (LISTENER, "--log-dir", "/dev/null/logs", "must be a writable directory"),
    (BUILDER, "--config", "/missing", "failed to read builder configuration /missing"),
    (BUILDER, "--nats-url", "http://nats", "is not the URL of a NATS server"),
    (BUILDER, "--nkey-file", "/missing", "could not read the key file /missing"),
    (BUILDER, "--flake-credentials", "/missing", "could not read the credentials file /missing"),
    (BUILDER, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (BUILDER, "--tls-cert", "/missing", "--tls-key"),
    (BUILDER, "--tls-key", "/missing", "--tls-cert"),
    (BUILDER, "--metrics-addr", "9973", "expected :PORT for all addresses"),
    (BUILDER, "--log-format", "xml", "json, text"),
    (BUILDER, "--log-dir", "/dev/null/logs", "must be a writable directory"),
    (NOTIFY, "--config", "/missing", "failed to read notify configuration /missing"),
    (NOTIFY, "--test", "a.b", "is not a name"),
    (NOTIFY, "--nats-url", "http://nats", "is not the URL of a NATS server"),
    (NOTIFY, "--nkey-file", "/missing", "could not read the key file /missing"),
    (NOTIFY, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (NOTIFY, "--tls-cert", "/missing", "--tls-key"),
    (NOTIFY, "--tls-key", "/missing", "--tls-cert"),
    (NOTIFY, "--log-format", "xml", "json, text"),
    (NOTIFY, "--log-dir", "/dev/null/logs", "must be a writable directory"),
    (CHECK, "--file", "/missing", "could not read --file /missing: No such file"),
    (DEPLOY, "--role", "a.b", "is not a name"),
    (DEPLOY, "--tier", "role", "reserved word"),
    (DEPLOY, "--branch", "a..b", "git allows no `..`, `//` or `@{` in a name"),
    (DEPLOY, "--branch", "deadbeef", "looks like a short commit"),
    (DEPLOY, "--branch", "", "revision is empty"),
    (DEPLOY, "--branch", "-x", "git allows no name that starts with `-`"),
    (DEPLOY, "--action", "cancel", "[possible values: switch, boot, test, dry-activate, build]"),
    (DEPLOY, "--action", "destroy", "[possible values: switch, boot, test, dry-activate, build]"),
    (DEPLOY, "--timeout", "0", "0 is not in 1.."),
    (DEPLOY, "--timeout", "1h", "invalid digit"),
    (DEPLOY, "--timeout", "18446744073709551615", "is not in 1.."),
    (DEPLOY, "--activate-timeout", "0", "0 is not in 1..=86400"),
    (DEPLOY, "--batch", "0", "expected a number of hosts (1 or more) or a percentage such as 25%"),
    (DEPLOY, "--canary", "a.b", "expected a host or a number of hosts (1 or more)"),
    (DEPLOY, "--max-failures", "-1", "invalid digit"),
    (DEPLOY, "--pause", "1h", "expected seconds, at most 86400"),
    (DEPLOY, "--order", "age", "expected tier, role or host"),
    (DEPLOY, "--output", "yaml", "human, json"),
    (DEPLOY, "--context", "a.b", "is not a name"),
    (DEPLOY, "--fleet-name", "a.b", "is not a name"),
    (DEPLOY, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (DEPLOY, "--nats-url", "nats://:x", "is not the URL of a NATS server"),
    (DEPLOY, "--nats-url", "", "is not the URL of a NATS server"),
    (DEPLOY, "--nkey-file", "/missing", "could not read the key file /missing"),
    (DEPLOY, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (DEPLOY, "--tls-cert", "/missing", "--tls-key"),
    (DEPLOY, "--tls-key", "/missing", "--tls-cert"),
    (TUI, "--branch", "a..b", "git allows no `..`, `//` or `@{` in a name"),
    (TUI, "--shell", "ssh", "expected a command that contains {host}"),
    (TUI, "--size", "abc", "expected columns and lines such as 160x50"),
    (TUI, "--size", "10x5", "from 40x10 to 1000x1000"),
    (TUI, "--size", "39x10", "from 40x10 to 1000x1000"),
    (TUI, "--size", "80x1001", "from 40x10 to 1000x1000"),
    (TUI, "--size", "80x24x1", "expected columns and lines"),
    (TUI, "--size", "-80x24", "expected columns and lines"),
    (TUI, "--keys", "j<entr>", "unknown key <entr>"),
    (TUI, "--context", "a.b", "is not a name"),
    (TUI, "--fleet-name", "a.b", "is not a name"),
    (TUI, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (TUI, "--nats-url", "http://nats", "is not the URL of a NATS server"),
    (TUI, "--nkey-file", "/missing", "could not read the key file /missing"),
    (TUI, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (TUI, "--tls-cert", "/missing", "--tls-key"),
    (TUI, "--tls-key", "/missing", "--tls-cert"),
    (HOSTS, "--tier", "a.b", "is not a name"),
    (HOSTS, "--role", "a.b", "is not a name"),
    (HOSTS, "--branch", "a..b", "git allows no `..`, `//` or `@{` in a name"),
    (HOSTS, "--forget", "a.b", "is not a name"),
    (HOSTS, "--trust", "a.b", "is not a name"),
    (HOSTS, "--output", "yaml", "human, json"),
    (HOSTS, "--context", "a.b", "is not a name"),
    (HOSTS, "--fleet-name", "a.b", "is not a name"),
    (HOSTS, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (HOSTS, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (HOSTS, "--nkey-file", "/missing", "could not read the key file /missing"),
    (HOSTS, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (HOSTS, "--tls-cert", "/missing", "--tls-key"),
    (HOSTS, "--tls-key", "/missing", "--tls-cert"),
    (LOGS, "--id", "a.b", "use 1 to 63 letters, digits"),
    (HISTORY, "--limit", "0", "0 is not in 1..=100000"),
    (DIFF, "--role", "a.b", "is not a name"),
    (DIFF, "--tier", "role", "reserved word"),
    (ROLLBACK, "--role", "a.b", "is not a name"),
    (ROLLBACK, "--tier", "role", "reserved word"),
    (CANCEL, "--role", "a.b", "is not a name"),
    (CANCEL, "--tier", "role", "reserved word"),
    (HOLD, "--role", "a.b", "is not a name"),
    (HOLD, "--tier", "role", "reserved word"),
    (RELEASE, "--role", "a.b", "is not a name"),
    (RELEASE, "--tier", "role", "reserved word"),
    (DIFF, "--branch", "deadbeef", "looks like a short commit"),
    (DIFF, "--timeout", "0", "0 is not in 1.."),
    (DEPLOY, "--service", "a.b", "is not a name"),
    (DIFF, "--service", "a.b", "is not a name"),
    (RESUME, "--role", "a.b", "is not a name"),
    (RESUME, "--tier", "role", "reserved word"),
    (RESUME, "--timeout", "0", "0 is not in 1.."),
    (RESUME, "--output", "yaml", "human, json"),
    (RESUME, "--context", "a.b", "is not a name"),
    (RESUME, "--fleet-name", "a.b", "is not a name"),
    (RESUME, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (RESUME, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (RESUME, "--nkey-file", "/missing", "could not read the key file /missing"),
    (RESUME, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (RESUME, "--tls-cert", "/missing", "--tls-key"),
    (RESUME, "--tls-key", "/missing", "--tls-cert"),
    (DIAGNOSE, "--role", "a.b", "is not a name"),
    (DIAGNOSE, "--tier", "role", "reserved word"),
    (DIAGNOSE, "--timeout", "0", "0 is not in 1.."),
    (DIAGNOSE, "--output", "yaml", "human, json"),
    (DIAGNOSE, "--context", "a.b", "is not a name"),
    (DIAGNOSE, "--fleet-name", "a.b", "is not a name"),
    (DIAGNOSE, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (DIAGNOSE, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (DIAGNOSE, "--nkey-file", "/missing", "could not read the key file /missing"),
    (DIAGNOSE, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (DIAGNOSE, "--tls-cert", "/missing", "--tls-key"),
    (DIAGNOSE, "--tls-key", "/missing", "--tls-cert"),
    (ROLLBACK, "--generation", "-1", "invalid digit"),
    (ROLLBACK, "--timeout", "0", "0 is not in 1.."),
    (STATUS, "--output", "yaml", "human, json"),
    (STATUS, "--context", "a.b", "is not a name"),
    (STATUS, "--fleet-name", "a.b", "is not a name"),
    (STATUS, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (STATUS, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (STATUS, "--nkey-file", "/missing", "could not read the key file /missing"),
    (STATUS, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (STATUS, "--tls-cert", "/missing", "--tls-key"),
    (STATUS, "--tls-key", "/missing", "--tls-cert"),
    (LOGS, "--output", "yaml", "human, json"),
    (LOGS, "--context", "a.b", "is not a name"),
    (LOGS, "--fleet-name", "a.b", "is not a name"),
    (LOGS, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (LOGS, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (LOGS, "--nkey-file", "/missing", "could not read the key file /missing"),
    (LOGS, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (LOGS, "--tls-cert", "/missing", "--tls-key"),
    (LOGS, "--tls-key", "/missing", "--tls-cert"),
    (HISTORY, "--output", "yaml", "human, json"),
    (HISTORY, "--context", "a.b", "is not a name"),
    (HISTORY, "--fleet-name", "a.b", "is not a name"),
    (HISTORY, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (HISTORY, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (HISTORY, "--nkey-file", "/missing", "could not read the key file /missing"),
    (HISTORY, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (HISTORY, "--tls-cert", "/missing", "--tls-key"),
    (HISTORY, "--tls-key", "/missing", "--tls-cert"),
    (DIFF, "--output", "yaml", "human, json"),
    (DIFF, "--context", "a.b", "is not a name"),
    (DIFF, "--fleet-name", "a.b", "is not a name"),
    (DIFF, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (DIFF, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (DIFF, "--nkey-file", "/missing", "could not read the key file /missing"),
    (DIFF, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (DIFF, "--tls-cert", "/missing", "--tls-key"),
    (DIFF, "--tls-key", "/missing", "--tls-cert"),
    (REBOOT, "--batch", "0", "expected a number of hosts (1 or more) or a percentage such as 25%"),
    (REBOOT, "--canary", "a.b", "expected a host or a number of hosts (1 or more)"),
    (REBOOT, "--max-failures", "-1", "invalid digit"),
    (REBOOT, "--pause", "1h", "expected seconds, at most 86400"),
    (REBOOT, "--order", "age", "expected tier, role or host"),
    (REBOOT, "--role", "a.b", "is not a name"),
    (REBOOT, "--tier", "role", "reserved word"),
    (REBOOT, "--timeout", "0", "0 is not in 1.."),
    (REBOOT, "--output", "yaml", "human, json"),
    (REBOOT, "--context", "a.b", "is not a name"),
    (REBOOT, "--fleet-name", "a.b", "is not a name"),
    (REBOOT, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (REBOOT, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (REBOOT, "--nkey-file", "/missing", "could not read the key file /missing"),
    (REBOOT, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (REBOOT, "--tls-cert", "/missing", "--tls-key"),
    (REBOOT, "--tls-key", "/missing", "--tls-cert"),
    (DEPLOY, "--build-repo", "a.b", "is not a name"),
    (BUILD, "--repo", "a.b", "is not a name"),
    (BUILD, "--branch", "deadbeef", "looks like a short commit"),
    (BUILD, "--timeout", "0", "0 is not in 1.."),
    (BUILD, "--output", "yaml", "human, json"),
    (BUILD, "--context", "a.b", "is not a name"),
    (BUILD, "--fleet-name", "a.b", "is not a name"),
    (BUILD, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (BUILD, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (BUILD, "--nkey-file", "/missing", "could not read the key file /missing"),
    (BUILD, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (BUILD, "--tls-cert", "/missing", "--tls-key"),
    (BUILD, "--tls-key", "/missing", "--tls-cert"),
    (ROLLBACK, "--output", "yaml", "human, json"),
    (ROLLBACK, "--context", "a.b", "is not a name"),
    (ROLLBACK, "--fleet-name", "a.b", "is not a name"),
    (ROLLBACK, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (ROLLBACK, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (ROLLBACK, "--nkey-file", "/missing", "could not read the key file /missing"),
    (ROLLBACK, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (ROLLBACK, "--tls-cert", "/missing", "--tls-key"),
    (ROLLBACK, "--tls-key", "/missing", "--tls-cert"),
    (FLAKE_UPDATE, "--repo", "/missing", "is not a directory: give the directory of a checkout, or a URL"),
    (FLAKE_UPDATE, "--base", "a..b", "git allows no `..`, `//` or `@{` in a name"),
    (FLAKE_UPDATE, "--remote", "-x", "expected the name of a remote"),
    (FLAKE_UPDATE, "--parallel", "0", "0 is not in 1..=1000"),
    (FLAKE_UPDATE, "--timeout", "0", "0 is not in 1.."),
    (FLAKE_UPDATE, "--output", "yaml", "human, json"),
    (FLAKE_UPDATE, "--flake-credentials", "/missing", "could not read the credentials file /missing"),
    (FLAKE_UPDATE, "--token-file", "/missing", "could not read the token file /missing"),
    (FLAKE_UPDATE, "--forge", "gitlab", "gitea, github"),
    (FLAKE_UPDATE, "--label", "", "expected 1 to 50 characters on one line"),
    (FLAKE_UPDATE, "--forge-timeout", "0", "0 is not in 1..=3600"),
    (FLAKE_UPDATE, "--builder-repo", "a.b", "is not a name"),
    (FLAKE_UPDATE, "--context", "a.b", "is not a name"),
    (FLAKE_UPDATE, "--fleet-name", "a.b", "is not a name"),
    (FLAKE_UPDATE, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (FLAKE_UPDATE, "--nats-url", "ws://nats", "is not the URL of a NATS server"),
    (FLAKE_UPDATE, "--nkey-file", "/missing", "could not read the key file /missing"),
    (FLAKE_UPDATE, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (FLAKE_UPDATE, "--tls-cert", "/missing", "--tls-key"),
    (FLAKE_UPDATE, "--tls-key", "/missing", "--tls-cert"),
    (MCP, "--admin-nkey-file", "/missing", "could not read the key file /missing"),
    (MCP, "--log-format", "xml", "json, text"),
    (MCP, "--timeout", "0", "0 is not in 1.."),
    (MCP, "--context", "a.b", "is not a name"),
    (MCP, "--fleet-name", "a.b", "is not a name"),
    (MCP, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (MCP, "--nats-url", "tls://a:b:c", "is not the URL of a NATS server"),
    (MCP, "--nkey-file", "/missing", "could not read the key file /missing"),
    (MCP, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (MCP, "--tls-cert", "/missing", "--tls-key"),
    (MCP, "--tls-key", "/missing", "--tls-cert"),
    (ROLLOUTS, "--output", "", "human, json"),
    (ROLLOUTS, "--context", "a.b", "is not a name"),
    (ROLLOUTS, "--fleet-name", "a.b", "is not a name"),
    (ROLLOUTS, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (ROLLOUTS, "--nats-url", "ws://nats", "is not the URL of a NATS server"),
    (ROLLOUTS, "--nkey-file", "/missing", "could not read the key file /missing"),
    (ROLLOUTS, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (ROLLOUTS, "--tls-cert", "/missing", "--tls-key"),
    (ROLLOUTS, "--tls-key", "/missing", "--tls-cert"),
    (CANCEL, "--output", "", "human, json"),
    (CANCEL, "--context", "a.b", "is not a name"),
    (CANCEL, "--fleet-name", "a.b", "is not a name"),
    (CANCEL, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (CANCEL, "--nats-url", "ws://nats", "is not the URL of a NATS server"),
    (CANCEL, "--nkey-file", "/missing", "could not read the key file /missing"),
    (CANCEL, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (CANCEL, "--tls-cert", "/missing", "--tls-key"),
    (CANCEL, "--tls-key", "/missing", "--tls-cert"),
    (HOLD, "--reason", "", "the hold reason is empty"),
    (HOLD, "--output", "yaml", "human, json"),
    (HOLD, "--context", "a.b", "is not a name"),
    (HOLD, "--fleet-name", "a.b", "is not a name"),
    (HOLD, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (HOLD, "--nats-url", "ws://nats", "is not the URL of a NATS server"),
    (HOLD, "--nkey-file", "/missing", "could not read the key file /missing"),
    (HOLD, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (HOLD, "--tls-cert", "/missing", "--tls-key"),
    (HOLD, "--tls-key", "/missing", "--tls-cert"),
    (RELEASE, "--output", "yaml", "human, json"),
    (RELEASE, "--context", "a.b", "is not a name"),
    (RELEASE, "--fleet-name", "a.b", "is not a name"),
    (RELEASE, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (RELEASE, "--nats-url", "ws://nats", "is not the URL of a NATS server"),
    (RELEASE, "--nkey-file", "/missing", "could not read the key file /missing"),
    (RELEASE, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (RELEASE, "--tls-cert", "/missing", "--tls-key"),
    (RELEASE, "--tls-key", "/missing", "--tls-cert"),
    (CONFIG, "--branch", "a..b", "git allows no `..`, `//` or `@{` in a name"),
    (CONFIG, "--output", "yaml", "human, json"),
    (LISTENER, "--trusted-key", "alice", "it is not a public key (invalid key length)"),
    (BUILDER, "--trusted-key", "alice", "it is not a public key (invalid key length)"),
    (LISTENER, "--fleet-name", "a.b", "is not a name"),
    (KEYS_ROTATE, "--fleet-file", "/missing", "could not read the fleet file /missing"),
    (
        &["keys", "rotate", "alice", "--fleet-file=FLEET"],
        "--out",
        "/missing/key",
        "could not write the seed to",
    ),
    (KEYS_ROTATE, "--context", "a.b", "is not a name"),
    (KEYS_ROTATE, "--fleet-name", "a.b", "is not a name"),
    (KEYS_ROTATE, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (KEYS_ROTATE, "--nats-url", "http://nats", "is not the URL of a NATS server"),
    (KEYS_ROTATE, "--nkey-file", "/missing", "could not read the key file /missing"),
    (KEYS_ROTATE, "--tls-ca", "/missing", "could not read --tls-ca /missing"),
    (KEYS_ROTATE, "--tls-cert", "/missing", "--tls-key"),
    (KEYS_ROTATE, "--tls-key", "/missing", "--tls-cert"),
    (LISTENER, "--allow-branch", "a..b", "git allows no `..`, `//` or `@{` in a name"),
    (LISTENER, "--commit-signers", "/missing", "cannot be used with path:/flake, which has no commits"),
    (CONFIG, "--context", "a.b", "is not a name"),
    (CONFIG, "--fleet-name", "a.b", "is not a name"),
    (CONFIG, "--unproven", "maybe", "expected \"allow\" or \"refuse\""),
    (CONFIG, "--nats-url", "ws://nats", "is not the URL of a NATS server"),
    (CONFIG, "--tls-cert", "/missing", "--tls-key"),
    (CONFIG, "--tls-key", "/missing", "--tls-cert"),
    (KEYS_NEW, "--name", "a.b", "is not a name"),
    (KEYS_NEW, "--host", "a.b", "is not a name"),
    (KEYS_NEW, "--tier", "a.b", "is not a name"),
    (&["demo"], "--hosts", "0", "0 is not in 1..=10000"),
    (KEYS_NEW, "--out", "/missing/key", "could not write the seed to /missing/key"),
];

/// Flags whose values can only be checked when they are used.
const LATER: [(&str, &str); 14] = [
    ("notify", "--state-dir"),
    ("builder", "--state-dir"),
    ("builder", "--nix-may-read"),
    ("flake-update", "--nix-may-read"),
    ("man", "--out"),
    ("flake-update", "--forge-url"),
    ("config", "--nkey-file"),
    ("config", "--tls-ca"),
    ("listener", "--rebuild-command"),
    ("listener", "--state-dir"),
    ("listener", "--health-check"),
    ("listener", "--compose-root"),
    ("listener", "--pre-activate-script"),
    ("listener", "--ignore-unit"),
];

#[test]
fn each_wrong_value_is_refused_as_exit_2_and_its_flag_named() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    UserSeed::generate().unwrap().write_new(&key).unwrap();
    let config = directory.path().join("config");
    std::fs::write(&config, "[repos.fleet]\nurl = \"git+https://git.example.org/fleet\"\n").unwrap();
    let notify = directory.path().join("notify");
    std::fs::write(&notify, "[targets.phone]\nkind = \"ntfy\"\nurl = \"https://ntfy.sh/topic\"\n").unwrap();
    let fleet = directory.path().join("fleet.toml");
    let keys = [0; 3].map(|_| UserSeed::generate().unwrap().public_key().to_owned());
    let entries = format!(
        "[operators.alice]\nkind = \"viewer\"\npublic_key = {:?}\n[operators.bob]\nkind = \"admin\"\npublic_key = {:?}\nnext_public_key = {:?}\n",
        keys[0], keys[1], keys[2]
    );
    std::fs::write(&fleet, entries).unwrap();
    for (command, flag, value, why) in WRONG {
        let given = |argument: &&&str| argument.starts_with(&format!("{flag}="));
        let rest = command.iter().filter(|argument| !given(argument));
        let rest = rest.map(|argument| {
            [("KEY", &key), ("CONFIG", &config), ("NOTIFY", &notify), ("FLEET", &fleet)]
                .into_iter()
                .fold((*argument).to_owned(), |argument, (word, file)| {
                    argument.replace(word, file.to_str().unwrap())
                })
        });
        let refused = run(nowhere().args(rest).arg(format!("{flag}={value}")), 2);
        // Settings that may also come from the environment are named by their meaning instead of the flag.
        let named = match *flag {
            "--nkey-file"
            | "--fleet-file"
            | "--out"
            | "--log-dir"
            | "--config"
            | "--token-file"
            | "--flake-credentials" => value,
            "--deploy-subject" | "--discover-subject" => "subject",
            flag => flag,
        };
        refused.assert_stderr(&[named, why]);
    }
}

#[test]
fn each_flag_that_takes_a_value_is_tried() {
    for command in COMMANDS {
        let help = help(command);
        let words: Vec<_> = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")).collect();
        let takes = words.iter().filter(|line| line.split(' ').nth(1).is_some_and(|v| v.starts_with('<')));
        let takes: BTreeSet<_> = takes.map(|line| format!("--{}", line.split(' ').next().unwrap())).collect();
        let tried = |flag: &&String| {
            let later = command.first().is_some_and(|command| LATER.contains(&(command, flag)));
            later || WRONG.iter().any(|(words, tried, ..)| words.starts_with(command) && tried == flag)
        };
        let missing: Vec<_> = takes.iter().filter(|flag| !tried(flag)).collect();
        assert!(missing.is_empty(), "{command:?}: {missing:?}");
        let flags = WRONG.iter().any(|(words, ..)| !command.is_empty() && words.starts_with(command));
        assert!(
            !flags
                || !takes.is_empty()
                || [&["keys"][..], &["config"], &["config", "check"]].contains(command),
            "{command:?} has no flags here"
        );
    }
}

#[test]
fn help_shows_no_credential_of_the_environment() {
    let seed = UserSeed::generate().unwrap();
    for command in COMMANDS {
        let mut help = nowhere();
        help.env("HOMELAB_DEPLOY_NATS_URL", "nats://alice:s3cret@127.0.0.1").args(*command).arg("--help");
        let shown = run(help.env("HOMELAB_DEPLOY_NKEY_FILE", seed.expose()), 0).stdout;
        assert!(!shown.contains("s3cret") && !shown.contains(seed.expose()), "{command:?}: {shown}");
    }
}
