//! The repositories that an operator's machine queries for branch heads, with hosts that name any flake URL.

use crate::common::{
    CommandOutput, FakeListener, HostBuilder, NatsServer, Repo, Terminal, base_presence, operator, run,
};
use crate::config_home::Home;
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Command;

const COMMIT: &str = "0123456789012345678901234567890123456789";

/// A host that reports this flake.
fn named(nats: &NatsServer, host: &str, tier: &str, flake: &str) -> FakeListener {
    let mut answer = base_presence(host, tier, "web");
    answer["commit"] = json!(COMMIT);
    answer["flake_url"] = json!(flake);
    FakeListener::start(nats, answer, |_| Vec::new())
}

fn hosts(nats: &NatsServer, args: &[&str], code: i32) -> CommandOutput {
    run(operator(nats, "tester").arg("hosts").args(args), code)
}

/// A server that must not be contacted, and its flake URL.
fn elsewhere() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let url = format!("git+http://{}/x.git", server.local_addr().unwrap());
    (server, url)
}

#[test]
fn a_new_flake_is_not_queried() {
    let nats = NatsServer::start();
    let (server, url) = elsewhere();
    let _peers = [named(&nats, "web1", "test", &url), named(&nats, "web2", "test", &url)];
    let shown = hosts(&nats, &["--outdated"], 1);
    let note = format!(
        "note: `web1` is new here and names the flake `{url}`, which is looked up from the next command on; "
    );
    assert!(shown.stdout.contains(&note), "{shown}");
    assert!(shown.stdout.contains("list your own in `allowed_flakes`\n"), "{shown}");
    assert!(shown.stdout.contains("note: unknown for web1, web2: "), "{shown}");
    assert!(server.accept().is_err(), "the server was contacted");
    let again = Home::of(&nats, "tester", "");
    let json = run(again.command().args(["hosts", "--outdated", "--output", "json"]), 1).json();
    assert_eq!(json[0]["outdated"]["reason"], "no_head");
    assert!(json[2]["value"].as_str().unwrap().starts_with("`web1` is new here"), "{json:?}");
    assert!(server.accept().is_err(), "the server was contacted");
}

#[test]
fn only_the_first_of_many_new_hosts_are_named() {
    let nats = NatsServer::start();
    let flakes = |n: usize| format!("git+https://git.example.org/{n}");
    let member = |n| FakeHost::new(&format!("web{n}"), "web", Behavior::Completes).with("commit", COMMIT);
    let _fake_hosts =
        FakeHosts::start(&nats, (10..25).map(|n| member(n).with("flake_url", flakes(n))).collect());
    let mut command = operator(&nats, "viewer");
    let shown = run(command.args(["hosts", "--outdated"]), 1);
    assert_eq!(shown.stdout.matches(" is new here and names ").count(), 10, "{shown}");
    assert!(shown.stdout.contains("note: the flakes of 5 more hosts were not queried either\n"), "{shown}");
}

#[test]
fn allowed_flakes_are_queried_immediately_and_no_others() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "head");
    let (server, url) = elsewhere();
    let _peers = [named(&nats, "web1", "test", &repo.url()), named(&nats, "web2", "test", &url)];
    let home = Home::of(&nats, "tester", &format!("allowed_flakes = [\"{}\"]", repo.url()));
    for _ in 0..2 {
        let shown = run(home.command().args(["hosts", "--outdated"]), 1);
        assert!(
            shown.stdout.lines().any(|line| line.starts_with("web1 ") && line.contains("master ")),
            "{shown}"
        );
        let expected = format!(
            "note: `web2` names the flake `{url}`, expected one of `allowed_flakes` ({})",
            repo.url()
        );
        assert!(shown.stdout.contains(&expected), "{shown}");
    }
    assert!(server.accept().is_err(), "the server was contacted");
}

#[test]
fn an_invalid_flake_cannot_be_allowed() {
    let home =
        Home::with("[contexts.home]\nnats_url = \"nats://localhost\"\nallowed_flakes = [\"nixpkgs\"]\n");
    let expected = "\"nixpkgs\" is not a flake URL that can be deployed: use git+https://HOST/PATH, ";
    run(home.command().arg("hosts"), 2).assert_stderr(&[&home.at("3:18"), expected]);
    let checked = run(home.command().args(["config", "check"]), 2);
    assert!(checked.stdout.contains(&format!("problem: {}: {expected}", home.at("3:18"))), "{checked}");
}

#[test]
fn a_host_that_names_another_flake_is_refused_until_it_is_forgotten() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let (server, url) = elsewhere();
    // Also if the other flake belongs to another host.
    let mut other = base_presence("db1", "test", "db");
    other["flake_url"] = json!(url);
    let _other = FakeListener::start(&nats, other, |_| Vec::new());
    let own = named(&nats, "web1", "test", &repo.url());
    hosts(&nats, &[], 0);
    drop(own);
    for flake in [json!(url), Value::Null] {
        let members = vec![
            FakeHost::new("web1", "web", Behavior::Completes)
                .with("flake_url", flake.clone())
                .with("commit", COMMIT),
        ];
        let fake_hosts = FakeHosts::start(&nats, members);
        let names = flake.as_str().map_or("no flake".to_owned(), |flake| format!("the flake `{flake}`"));
        let expected =
            format!("`web1` names {names}, expected the flake `{}` that it was known with; ", repo.url());
        let advice = "run `homelab-deploy hosts --forget web1`, then `homelab-deploy hosts`";
        for more in [&["--pin"][..], &["--batch", "1"]] {
            let refused = run(deploy(&nats, "web1").args(more), 2);
            refused.assert_stderr(&[&expected, advice, "nothing was sent"]);
        }
        let shown = run(operator(&nats, "tester").args(["hosts", "--outdated", "--role", "web"]), 1);
        assert!(shown.stdout.contains(&expected) && shown.stdout.contains(advice), "{shown}");
        assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
    }
    assert!(server.accept().is_err(), "the server was contacted");
    hosts(&nats, &["--forget", "web1"], 0);
    let fake_hosts = FakeHosts::start(
        &nats,
        vec![FakeHost::new("web1", "web", Behavior::Completes).with("flake_url", repo.url())],
    );
    hosts(&nats, &[], 0);
    run(deploy(&nats, "web1").arg("--pin"), 0);
    assert_eq!(fake_hosts.request().1["commit"], json!(head));
}

fn deploy(nats: &NatsServer, host: &str) -> Command {
    let mut command = operator(nats, "tester");
    command.env("HOMELAB_DEPLOY_NKEY_FILE", nats.key("everything"));
    command.args(["deploy", host, "--branch", "master"]);
    command
}

#[test]
fn a_script_that_pins_at_first_sight_reads_what_it_trusts() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let member = FakeHost::new("web1", "web", Behavior::Completes).with("flake_url", repo.url());
    let fake_hosts = FakeHosts::start(&nats, vec![member]);
    let note = format!("web1 is new here and names the flake {}", repo.url());
    let done = run(deploy(&nats, "web1").arg("--pin"), 0);
    assert!(done.stderr.contains(&format!("note: {note}\n")), "{done}");
    let json = run(
        deploy(&nats, "web1")
            .args(["--pin", "--output", "json"])
            .env("XDG_STATE_HOME", nats.dir().join("new")),
        0,
    );
    assert_eq!(json.json()[0], json!({"event": "note", "value": note}));
    let known = run(deploy(&nats, "web1").arg("--pin"), 0);
    assert!(!known.stderr.contains("new here"), "{known}");
    for _ in 0..3 {
        assert_eq!(fake_hosts.request().1["commit"], json!(head));
    }
}

/// Output of a deployment to the tier `prod` on a terminal, whose prompt is answered with no.
fn question(nats: &NatsServer, user: &str, more: &[&str]) -> String {
    let mut command = operator(nats, user);
    command.args(["deploy", "ns1", "--branch", "master"]).args(more);
    let mut terminal = Terminal::start(&command);
    terminal.shows("Type yes:");
    terminal.types("no\r");
    terminal.wait_for_exit().text
}

#[test]
fn the_prompt_shows_flake_and_commit() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").flake(&repo.url()).start();
    let flat = |text: String| text.replace(['\n', '\r'], "");
    // A new flake is not contacted before the prompt has shown its URL.
    let new = flat(question(&nats, "admin", &[]));
    assert!(new.contains(&format!("flake {}, new here: each host resolves master", repo.url())), "{new}");
    let known = flat(question(&nats, "admin", &[]));
    assert!(known.contains(&format!("flake {} at {head}", repo.url())), "{known}");
    let asked = flat(question(&nats, "tester", &["--pin"]));
    assert!(asked.contains(&format!("ns1 is new here and names the flake {}", repo.url())), "{asked}");
    assert!(asked.contains("Look up master there? Type yes: no"), "{asked}");
    assert!(asked.contains("not confirmed; nothing was sent"), "{asked}");
}

#[test]
fn a_host_that_no_longer_sends_its_instance_is_refused() {
    let nats = NatsServer::start();
    let member = || FakeHost::new("web1", "web", Behavior::Completes);
    let own = FakeHosts::start(&nats, vec![member()]);
    hosts(&nats, &[], 0);
    drop(own);
    let fake_hosts = FakeHosts::start(&nats, vec![member().with("instance", Value::Null)]);
    let refused = run(&mut deploy(&nats, "web1"), 2);
    refused.assert_stderr(&[
        "`web1` replies without an instance, expected one as before: another program may reply in its name",
        "run `homelab-deploy hosts --forget web1`, then `homelab-deploy hosts`; nothing was sent",
    ]);
    assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
    hosts(&nats, &["--forget", "web1"], 0);
    run(&mut deploy(&nats, "web1"), 0);
}

/// Replaces git with this script for the command.
fn with_git(command: &mut Command, directory: &std::path::Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let git = directory.join("git");
    std::fs::write(&git, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&git, PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", directory.display()));
}

#[test]
fn git_queries_one_ref_with_few_permissions() {
    let nats = NatsServer::start();
    let directory = tempfile::tempdir().unwrap();
    let _peer = named(&nats, "web1", "test", "git+https://git.example.org/x");
    hosts(&nats, &[], 0);
    let asked = directory.path().join("asked");
    // The limit is applied soon after the start, possibly after the first line of the script.
    let limited = format!(
        "until [ \"$(ulimit -v)\" = 1048576 ]; do :; done\necho \"$@\" > {}\nprintf '{COMMIT}\\trefs/heads/main\\n'",
        asked.display()
    );
    let outdated = |script: &str, code: i32| {
        let mut command = operator(&nats, "tester");
        with_git(&mut command, directory.path(), script);
        run(command.args(["hosts", "--outdated", "--branch", "main"]), code)
    };
    assert_eq!(outdated(&limited, 0).stdout, "no host is outdated (branch main)\n");
    let asked = std::fs::read_to_string(asked).unwrap();
    assert_eq!(
        asked,
        "ls-remote --symref -- https://git.example.org/x HEAD refs/heads/main refs/tags/main refs/tags/main^{}\n"
    );
    let endless = outdated("yes", 1);
    assert!(endless.stdout.contains("its reply for one name is longer than 1 MiB"), "{endless}");
}
