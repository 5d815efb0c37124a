//! Which repositories an operator's machine asks for the head of a branch, whatever hosts say.

use crate::common::{Broker, Ended, HostBuilder, Peer, Repo, Terminal, base_answer, operator, run};
use crate::configured::Home;
use crate::crowd::{Crowd, How, Member};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Command;

const COMMIT: &str = "0123456789012345678901234567890123456789";

/// A host that answers, and names this flake.
fn named(broker: &Broker, host: &str, tier: &str, flake: &str) -> Peer {
    let mut answer = base_answer(host, tier, "web");
    answer["commit"] = json!(COMMIT);
    answer["flake_url"] = json!(flake);
    Peer::start(broker, answer, |_| Vec::new())
}

fn hosts(broker: &Broker, args: &[&str], code: i32) -> Ended {
    run(operator(broker, "tester").arg("hosts").args(args), code)
}

/// A server that should not be asked, and its flake URL.
fn elsewhere() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let url = format!("git+http://{}/x.git", server.local_addr().unwrap());
    (server, url)
}

#[test]
fn a_flake_is_not_asked_at_first_sight() {
    let broker = Broker::start();
    let (server, url) = elsewhere();
    let _peers = [named(&broker, "web1", "test", &url), named(&broker, "web2", "test", &url)];
    let shown = hosts(&broker, &["--outdated"], 1);
    let note = format!(
        "note: `web1` is new here and names the flake `{url}`, which is asked from the next command on; "
    );
    assert!(shown.out.contains(&note), "{shown}");
    assert!(shown.out.contains("write yours into `allowed_flakes`\n"), "{shown}");
    assert!(shown.out.contains("note: not known of web1, web2: "), "{shown}");
    assert!(server.accept().is_err(), "it was asked");
    let again = Home::of(&broker, "tester", "");
    let json = run(again.command().args(["hosts", "--outdated", "--output", "json"]), 1).json();
    assert_eq!(json[0]["outdated"]["reason"], "no_head");
    assert!(json[2]["value"].as_str().unwrap().starts_with("`web1` is new here"), "{json:?}");
    assert!(server.accept().is_err(), "it was asked");
}

#[test]
fn of_many_hosts_that_are_new_the_first_are_named() {
    let broker = Broker::start();
    let flakes = |n: usize| format!("git+https://git.example.org/{n}");
    let member = |n| Member::new(&format!("web{n}"), "web", How::Completes).with("commit", COMMIT);
    let _crowd = Crowd::start(&broker, (10..25).map(|n| member(n).with("flake_url", flakes(n))).collect());
    let mut command = operator(&broker, "viewer");
    let shown = run(command.args(["hosts", "--outdated"]), 1);
    assert_eq!(shown.out.matches(" is new here and names ").count(), 10, "{shown}");
    assert!(shown.out.contains("note: the flakes of 5 more hosts were not asked either\n"), "{shown}");
}

#[test]
fn what_the_configuration_allows_is_asked_at_once_and_nothing_else() {
    let broker = Broker::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "head");
    let (server, url) = elsewhere();
    let _peers = [named(&broker, "web1", "test", &repo.url()), named(&broker, "web2", "test", &url)];
    let home = Home::of(&broker, "tester", &format!("allowed_flakes = [\"{}\"]", repo.url()));
    for _ in 0..2 {
        let shown = run(home.command().args(["hosts", "--outdated"]), 1);
        assert!(
            shown.out.lines().any(|line| line.starts_with("web1 ") && line.contains("master ")),
            "{shown}"
        );
        let said = format!(
            "note: `web2` names the flake `{url}`, expected one of `allowed_flakes` ({})",
            repo.url()
        );
        assert!(shown.out.contains(&said), "{shown}");
    }
    assert!(server.accept().is_err(), "it was asked");
}

#[test]
fn what_is_no_flake_cannot_be_allowed() {
    let home =
        Home::with("[contexts.home]\nnats_url = \"nats://localhost\"\nallowed_flakes = [\"nixpkgs\"]\n");
    let said = "\"nixpkgs\" is not a flake URL that can be deployed: use git+https://HOST/PATH, ";
    run(home.command().arg("hosts"), 2).complains(&[&home.at("3:18"), said]);
    let checked = run(home.command().args(["config", "check"]), 2);
    assert!(checked.out.contains(&format!("problem: {}: {said}", home.at("3:18"))), "{checked}");
}

#[test]
fn a_host_that_names_another_flake_is_refused_until_it_is_forgotten() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let (server, url) = elsewhere();
    // Also where the other one is that of another host.
    let mut other = base_answer("db1", "test", "db");
    other["flake_url"] = json!(url);
    let _other = Peer::start(&broker, other, |_| Vec::new());
    let own = named(&broker, "web1", "test", &repo.url());
    hosts(&broker, &[], 0);
    drop(own);
    for flake in [json!(url), Value::Null] {
        let members = vec![
            Member::new("web1", "web", How::Completes)
                .with("flake_url", flake.clone())
                .with("commit", COMMIT),
        ];
        let crowd = Crowd::start(&broker, members);
        let names = flake.as_str().map_or("no flake".to_owned(), |flake| format!("the flake `{flake}`"));
        let said =
            format!("`web1` names {names}, expected the flake `{}` that it was known with; ", repo.url());
        let advice = "run `homelab-deploy hosts --forget web1`, then `homelab-deploy hosts`";
        for more in [&["--pin"][..], &["--batch", "1"]] {
            let refused = run(deploy(&broker, "web1").args(more), 2);
            refused.complains(&[&said, advice, "nothing was sent"]);
        }
        let shown = run(operator(&broker, "tester").args(["hosts", "--outdated", "--role", "web"]), 1);
        assert!(shown.out.contains(&said) && shown.out.contains(advice), "{shown}");
        assert_eq!(crowd.asked(), Vec::<String>::new());
    }
    assert!(server.accept().is_err(), "it was asked");
    hosts(&broker, &["--forget", "web1"], 0);
    let crowd =
        Crowd::start(&broker, vec![Member::new("web1", "web", How::Completes).with("flake_url", repo.url())]);
    hosts(&broker, &[], 0);
    run(deploy(&broker, "web1").arg("--pin"), 0);
    assert_eq!(crowd.request().1["commit"], json!(head));
}

fn deploy(broker: &Broker, host: &str) -> Command {
    let mut command = operator(broker, "tester");
    command.env("HOMELAB_DEPLOY_NKEY_FILE", broker.key("everything"));
    command.args(["deploy", host, "--branch", "master"]);
    command
}

#[test]
fn a_script_that_pins_at_first_sight_reads_what_it_trusts() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let member = Member::new("web1", "web", How::Completes).with("flake_url", repo.url());
    let crowd = Crowd::start(&broker, vec![member]);
    let note = format!("web1 is new here and names the flake {}", repo.url());
    let done = run(deploy(&broker, "web1").arg("--pin"), 0);
    assert!(done.err.contains(&format!("note: {note}\n")), "{done}");
    let json = run(
        deploy(&broker, "web1")
            .args(["--pin", "--output", "json"])
            .env("XDG_STATE_HOME", broker.folder().join("new")),
        0,
    );
    assert_eq!(json.json()[0], json!({"event": "note", "value": note}));
    let known = run(deploy(&broker, "web1").arg("--pin"), 0);
    assert!(!known.err.contains("new here"), "{known}");
    for _ in 0..3 {
        assert_eq!(crowd.request().1["commit"], json!(head));
    }
}

/// The question of a deployment to the tier `prod` on a terminal; it is answered by no.
fn question(broker: &Broker, user: &str, more: &[&str]) -> String {
    let mut command = operator(broker, user);
    command.args(["deploy", "ns1", "--branch", "master"]).args(more);
    let mut terminal = Terminal::start(&command);
    terminal.shows("Type yes:");
    terminal.types("no\r");
    terminal.ended().text
}

#[test]
fn the_question_shows_flake_and_commit() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").flake(&repo.url()).start();
    let flat = |text: String| text.replace(['\n', '\r'], "");
    // Nothing is asked before the question has shown where.
    let new = flat(question(&broker, "admin", &[]));
    assert!(
        new.contains(&format!("flake {}, new here: each host looks master up itself", repo.url())),
        "{new}"
    );
    let known = flat(question(&broker, "admin", &[]));
    assert!(known.contains(&format!("flake {} at {head}", repo.url())), "{known}");
    let asked = flat(question(&broker, "tester", &["--pin"]));
    assert!(asked.contains(&format!("ns1 is new here and names the flake {}", repo.url())), "{asked}");
    assert!(asked.contains("Look master up there? Type yes: no"), "{asked}");
    assert!(asked.contains("not confirmed; nothing was sent"), "{asked}");
}

#[test]
fn a_host_that_no_longer_sends_its_instance_is_refused() {
    let broker = Broker::start();
    let member = || Member::new("web1", "web", How::Completes);
    let own = Crowd::start(&broker, vec![member()]);
    hosts(&broker, &[], 0);
    drop(own);
    let crowd = Crowd::start(&broker, vec![member().with("instance", Value::Null)]);
    let refused = run(&mut deploy(&broker, "web1"), 2);
    refused.complains(&[
        "`web1` replies without an instance, expected one as before: another program may reply in its name",
        "run `homelab-deploy hosts --forget web1`, then `homelab-deploy hosts`; nothing was sent",
    ]);
    assert_eq!(crowd.asked(), Vec::<String>::new());
    hosts(&broker, &["--forget", "web1"], 0);
    run(&mut deploy(&broker, "web1"), 0);
}

/// The operator's command with a git that is this script.
fn with_git(command: &mut Command, folder: &std::path::Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let git = folder.join("git");
    std::fs::write(&git, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&git, PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.display()));
}

#[test]
fn git_is_asked_for_one_name_and_may_use_little() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let _peer = named(&broker, "web1", "test", "git+https://git.example.org/x");
    hosts(&broker, &[], 0);
    let asked = folder.path().join("asked");
    // It is limited as soon as it runs, which may be a moment after its first line.
    let limited = format!(
        "until [ \"$(ulimit -v)\" = 1048576 ]; do :; done\necho \"$@\" > {}\nprintf '{COMMIT}\\trefs/heads/main\\n'",
        asked.display()
    );
    let outdated = |script: &str, code: i32| {
        let mut command = operator(&broker, "tester");
        with_git(&mut command, folder.path(), script);
        run(command.args(["hosts", "--outdated", "--branch", "main"]), code)
    };
    assert_eq!(outdated(&limited, 0).out, "no host is behind main\n");
    let asked = std::fs::read_to_string(asked).unwrap();
    assert_eq!(
        asked,
        "ls-remote --symref -- https://git.example.org/x HEAD refs/heads/main refs/tags/main refs/tags/main^{}\n"
    );
    let endless = outdated("yes", 1);
    assert!(endless.out.contains("its answer to one name is longer than 1 MiB"), "{endless}");
}
