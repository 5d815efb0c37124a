//! The examples for hosts that are not NixOS: the unit equals the one of NixOS, systemd accepts it, and the program applies a commit
//! to the host.

use crate::common::{HostBuilder, NatsServer, Repo, TestDir, binary, operator, run};
use crate::page::{Page, root};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

const UNIT: &str = "docs/examples/homelab-deploy-listener.service";
const SETTINGS: &str = "docs/examples/listener.env";
const PROGRAM: &str = "docs/examples/rebuild";

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The lines of a unit without comments and empty lines.
fn lines(unit: &str) -> BTreeSet<&str> {
    unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn the_unit_is_that_of_nixos() {
    let (own, nixos) = (text(UNIT), text("nixos/homelab-deploy-listener.service"));
    let differ = |a, b| {
        let lines: BTreeSet<_> = &lines(a) - &lines(b);
        lines.into_iter().map(|line| line.split('=').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        differ(&own, &nixos),
        ["EnvironmentFile", "ExecStart", "LoadCredential", "RestartSec", "WantedBy", "[Install]"]
    );
    // Settings that only NixOS reads, and those that systemd supports since version 254.
    let left_out = ["ExecStart", "LoadCredential", "RestartMaxDelaySec", "RestartSec", "RestartSteps"];
    let of_nixos = ["X-StopIfChanged", "X-StopOnRemoval"];
    assert_eq!(differ(&nixos, &own), [&left_out[..], &of_nixos].concat());
}

#[test]
fn systemd_accepts_the_unit_file() {
    crate::page::assert_systemd_accepts(&text(UNIT));
}

#[test]
fn the_command_of_the_unit_is_understood() {
    let (unit, settings) = (text(UNIT), text(SETTINGS));
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut command = command.replace("%d", "/run/credentials");
    for (name, value) in settings.lines().filter_map(|line| line.split_once('=')) {
        assert!(name.starts_with('#') || command.contains(&format!("${name}")) || command.contains(name));
        command = command.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    assert!(!command.contains('$'), "{command}");
    // `--help` keeps the program from running.
    let arguments: Vec<_> = command.split(' ').skip(1).chain(["--help"]).collect();
    run(Command::new(binary()).args(arguments), 0);
}

#[test]
fn the_page_shows_the_example_program() {
    let (_, blocks) = Page::read("docs/not-nixos.md").parts();
    let shown = blocks.iter().find(|block| block.mark.as_deref() == Some("file docs/examples/rebuild"));
    assert_eq!(shown.expect("the program").text(), text(PROGRAM));
}

#[test]
fn the_program_applies_a_commit_for_a_host_without_nix() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    fs::create_dir(repo.path().join("hosts")).unwrap();
    let host = HostBuilder::new(&nats, "web1", "test", "web");
    let done = host.dir().join("done");
    let script = |word: &str| format!("echo {word} >> {}\n", done.display());
    repo.commit("hosts/web1.sh", &script("one"));
    // The host has git and a few programs of the system, but no nix.
    let programs = host.dir().join("programs");
    fs::create_dir(&programs).unwrap();
    for name in ["git", "sh", "mkdir", "cat"] {
        let found = run(Command::new("sh").args(["-c", &format!("command -v {name}")]), 0).stdout;
        std::os::unix::fs::symlink(found.trim(), programs.join(name)).unwrap();
    }
    let _host = host
        .flake(&repo.url())
        .flag("--rebuild-command", root().join(PROGRAM).to_str().unwrap())
        .env("PATH", programs.to_str().unwrap())
        .env("FLEET", done.with_file_name("fleet").to_str().unwrap())
        .start();
    let deploy = |action: &str, code| {
        run(operator(&nats, "tester").args(["deploy", "web1", "--action", action]), code)
    };

    deploy("dry-activate", 0);
    deploy("build", 0);
    assert!(!done.exists(), "neither action changes the host");
    deploy("switch", 0);
    repo.commit("hosts/web1.sh", &script("two"));
    deploy("switch", 0);
    assert_eq!(fs::read_to_string(&done).unwrap(), "one\ntwo\n");

    let refused = deploy("boot", 1);
    assert!(refused.stdout.contains("this host cannot do boot"), "{refused}");
    repo.commit("hosts/web1.sh", "if\n");
    let refused = deploy("switch", 1);
    assert!(refused.stdout.contains("web1  failed (check refused)"), "{refused}");
    repo.commit("hosts/web1.sh", "echo no disk; exit 3\n");
    let failed = deploy("switch", 1);
    assert!(failed.stdout.contains("activation failed") && failed.stdout.contains("no disk"), "{failed}");
    assert_eq!(fs::read_to_string(&done).unwrap(), "one\ntwo\n");
}

#[test]
fn the_program_fails_if_the_commit_cannot_be_fetched() {
    let repo = Repo::new();
    fs::create_dir(repo.path().join("hosts")).unwrap();
    let directory = TestDir::new();
    let done = directory.path().join("done");
    let commit = repo.commit("hosts/web1.sh", &format!("touch {}\n", done.display()));
    let rebuild = |commit: &str, code| {
        let url = format!("{}?ref=refs/heads/master&rev={commit}#web1", repo.url());
        let mut command = Command::new(root().join(PROGRAM));
        run(command.args(["switch", "--flake", &url]).env("FLEET", directory.path().join("fleet")), code)
    };
    rebuild(&commit, 0);
    fs::remove_file(&done).unwrap();
    rebuild(&"0".repeat(40), 128);
    assert!(!done.exists(), "the program applied the previous commit");
}
