//! `hosts --outdated` with real repositories and real listeners.

use crate::common::{
    CommandOutput, DEADLINE, FakeListener, Host, HostBuilder, NatsServer, Repo, RunningCommand,
    base_presence, operator, run,
};
use crate::config_home::Home;
use homelab_deploy::client::heads;
use homelab_deploy::fleet::{BranchHeads, Fleet, KnownFlakes, Outdated, UnknownReason};
use homelab_deploy::protocol::{Presence, Revision};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn host(nats: &NatsServer, repo: &Repo, name: &str) -> Host {
    HostBuilder::new(nats, name, "test", "web").flake(&repo.url()).start()
}

fn deploy(nats: &NatsServer, host: &str, branch: &str) {
    run(operator(nats, "tester").args(["deploy", host, "--branch", branch]), 0);
}

fn outdated(nats: &NatsServer, args: &[&str], code: i32) -> CommandOutput {
    run(operator(nats, "viewer").args(["hosts", "--outdated"]).args(args), code)
}

/// Lists the hosts, so that the operator's inventory has their flakes.
fn seen(nats: &NatsServer) {
    run(operator(nats, "viewer").arg("hosts"), 0);
}

/// The rows of a table, with single spaces.
fn rows(ended: &CommandOutput) -> Vec<String> {
    let row = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    ended.stdout.lines().map(row).collect()
}

#[test]
fn outdated_hosts_are_shown_with_the_head() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _hosts = ["web1", "web2", "db1"].map(|name| host(&nats, &repo, name));
    deploy(&nats, "web1", "master");
    deploy(&nats, "web2", "master");
    seen(&nats);
    let unknown = "note: unknown for db1: they do not report which commit they run";
    assert_eq!(rows(&outdated(&nats, &[], 0)), ["no host is known to be outdated (branch master)", unknown]);

    let head = repo.commit("flake.nix", "new");
    deploy(&nats, "web2", "master");
    let shown = outdated(&nats, &[], 0);
    assert_eq!(
        rows(&shown),
        [
            "HOST TIER ROLE STATE REVISION GEN SEEN HEAD COMMITS".to_owned(),
            format!(
                "web1 test web idle master {} 0 s master {} 1 commit behind master",
                &old[..7],
                &head[..7]
            ),
            unknown.to_owned(),
        ],
        "{shown}"
    );
    let json = outdated(&nats, &["--output", "json"], 0).json();
    let actual: Vec<_> = json.iter().map(|line| (&line["host"]["name"], &line["outdated"])).collect();
    let expected = [
        (&json!("db1"), &json!({"state": "unknown", "branch": "master", "reason": "no_commit"})),
        (
            &json!("web1"),
            &json!({"state": "outdated", "branch": "master", "head": head, "commits_behind": 1}),
        ),
    ];
    assert_eq!(actual, expected);
    assert_eq!((&json[1]["presence"], &json[1]["name_conflict"]), (&json!("online"), &json!(false)));

    deploy(&nats, "web1", "master");
    let only = outdated(&nats, &["--role", "web"], 0);
    assert_eq!(rows(&only)[0], "no host is known to be outdated (branch master)");
    deploy(&nats, "db1", "master");
    assert_eq!(outdated(&nats, &[], 0).stdout, "no host is outdated (branch master)\n");
    assert_eq!(outdated(&nats, &["--output", "json"], 0).stdout, "");
}

#[test]
fn the_branch_is_that_of_the_flag_the_environment_or_the_context() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "old");
    repo.git(&["branch", "kept"]);
    repo.git(&["checkout", "--quiet", "-b", "ahead"]);
    repo.commit("flake.nix", "new");
    let _host = host(&nats, &repo, "web1");
    deploy(&nats, "web1", "kept");
    seen(&nats);
    let home = Home::of(&nats, "viewer", "branch = \"ahead\"");
    run(home.command().arg("hosts"), 0);
    let last_line = |variable: Option<&str>, args: &[&str]| {
        let mut command = home.command();
        command.args(["hosts", "--outdated"]).args(args);
        command.envs(variable.map(|branch| ("HOMELAB_DEPLOY_BRANCH", branch)));
        run(&mut command, 0).stdout.lines().last().unwrap().to_owned()
    };
    assert!(last_line(None, &[]).contains(" ahead "));
    assert_eq!(last_line(Some("kept"), &[]), "no host is outdated (branch kept)");
    assert!(last_line(Some("kept"), &["--branch", "ahead"]).contains(" ahead "));
    assert_eq!(last_line(None, &["--branch", "kept"]), "no host is outdated (branch kept)");
    assert_eq!(outdated(&nats, &[], 0).stdout, "no host is outdated (branch master)\n");

    // Without --outdated nothing is looked up, so the variable has no effect.
    run(home.command().env("HOMELAB_DEPLOY_BRANCH", "kept").arg("hosts"), 0);
    let refused = run(home.command().args(["hosts", "--branch", "kept"]), 2);
    refused.assert_stderr(&["--branch requires --outdated"]);
}

#[test]
fn an_unreachable_repository_is_reported_and_others_are_queried() {
    let nats = NatsServer::start();
    let repos = [Repo::new(), Repo::new()];
    let _hosts = ["web1", "web2"].map(|name| {
        let repo = &repos[usize::from(name == "web2")];
        repo.commit("flake.nix", "old");
        let host = host(&nats, repo, name);
        deploy(&nats, name, "master");
        repo.commit("flake.nix", "new");
        host
    });
    seen(&nats);
    fs::rename(repos[0].path().join(".git"), repos[0].path().join("away")).unwrap();
    let shown = outdated(&nats, &[], 1);
    let rows = rows(&shown);
    assert!(rows[1].starts_with("web2 test web idle master "), "{shown}");
    let note = format!("note: failed to look up \"master\" in {}: ", repos[0].url());
    assert!(rows[2].starts_with(&note), "{shown}");
    assert!(rows[2].ends_with("; this machine must be able to read the repository too"), "{shown}");
    assert_eq!(rows[3], "note: unknown for web1: the head of their branch could not be looked up");
    let json = outdated(&nats, &["--output", "json"], 1).json();
    assert_eq!(json[0]["outdated"], json!({"state": "unknown", "branch": "master", "reason": "no_head"}));
    assert_eq!(json[1]["outdated"]["state"], "outdated");
    assert_eq!(json[2]["event"], "note");
    assert!(json[2]["value"].as_str().unwrap().starts_with(&note[6..]), "{json:?}");

    let unknown = outdated(&nats, &["--branch", "nosuch", "--role", "web"], 1);
    assert!(unknown.stdout.contains("\"nosuch\" is not a branch or tag of "), "{unknown}");
}

#[test]
fn without_a_branch_the_default_one_is_named_and_head_means_it() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "new");
    repo.git(&["branch", "--move", "main"]);
    let _host = host(&nats, &repo, "web1");
    let expected =
        "its default branch is main: use `--branch main`, or set it as `branch` in the configuration";
    let deploy =
        |args: &[&str], code: i32| run(operator(&nats, "tester").args(["deploy", "web1"]).args(args), code);
    assert!(deploy(&[], 1).stdout.contains(expected));
    deploy(&["--pin"], 2).assert_stderr(&[expected]);
    let home = Home::of(&nats, "tester", "branch = \"HEAD\"");
    for pin in [&[][..], &["--pin"]] {
        let mut command = home.command();
        command.args(["deploy", "web1"]).args(pin);
        let done = run(&mut command, 0);
        assert!(done.stdout.contains(&commit[..7]), "{done}");
    }
    seen(&nats);
    assert!(outdated(&nats, &[], 1).stdout.contains(expected));
    assert_eq!(outdated(&nats, &["--branch", "HEAD"], 0).stdout, "no host is outdated (branch HEAD)\n");
    repo.commit("flake.nix", "newer");
    assert!(outdated(&nats, &["--branch", "HEAD"], 0).stdout.contains("web1"));
}

#[test]
fn invalid_values_of_a_host_are_harmless() {
    let nats = NatsServer::start();
    let directory = tempfile::tempdir().unwrap();
    let touched = directory.path().join("touched");
    let commit = "0123456789012345678901234567890123456789";
    let host_with_flake = |name: &str, flake: String| {
        let mut answer = base_presence(name, "test", "web");
        answer["commit"] = json!(commit);
        answer["flake_url"] = json!(flake);
        FakeListener::start(&nats, answer, |_| Vec::new())
    };
    let _peers = [
        host_with_flake("web1", format!("git+ext::touch {}", touched.display())),
        host_with_flake("web2", format!("git+ssh://-oProxyCommand=touch%20{}/x", touched.display())),
        host_with_flake("db1", "\u{1b}]0;owned\u{7}".to_owned()),
    ];
    seen(&nats);
    let shown = outdated(&nats, &[], 1);
    assert!(!touched.exists(), "{shown}");
    assert!(shown.stdout.starts_with("no host is known to be outdated (branch master)\n"), "{shown}");
    assert!(
        shown.stdout.contains("\nnote: unknown for db1, web1, web2: the head of their branch"),
        "{shown}"
    );
    assert!(!shown.stdout.contains('\u{1b}') && !shown.stdout.contains('\u{7}'), "{shown}");
}

#[test]
fn ctrl_c_ends_it_and_every_git() {
    let nats = NatsServer::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut answer = base_presence("web1", "test", "web");
    answer["commit"] = json!("0".repeat(40));
    answer["flake_url"] = json!(format!("git+http://{}/x.git", silent.local_addr().unwrap()));
    let _peer = FakeListener::start(&nats, answer, |_| Vec::new());
    seen(&nats);
    let asking = RunningCommand::start(operator(&nats, "viewer").args(["hosts", "--outdated"]));
    let (mut git, _) = silent.accept().unwrap();
    git.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut request = [0; 20];
    git.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"GET /x.git/info/refs");
    asking.interrupt();
    asking.wait_for_exit(130).assert_stderr(&["error: interrupted"]);
    // The process closes its end of the connection, cleanly or not.
    let mut rest = Vec::new();
    let gone = git.read_to_end(&mut rest);
    assert!(gone.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::ConnectionReset), "{gone:?}");
}

#[test]
fn no_hosts_are_reported_as_without_the_flag() {
    let nats = NatsServer::start();
    let unanswered = outdated(&nats, &[], 3);
    assert!(
        unanswered.stdout.starts_with("no host answered: check that a listener is running"),
        "{unanswered}"
    );
}

fn looked_up(flakes: &[String], branch: &str, within: Duration) -> BranchHeads {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let branch = Revision::new(branch).unwrap();
    runtime.block_on(heads(
        flakes.iter().cloned(),
        &branch,
        within,
        &homelab_deploy::git::Credentials::default(),
    ))
}

#[test]
fn unresponsive_repositories_do_not_delay_others() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "first");
    // The server accepts connections and never replies.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut flakes: Vec<_> = (0..40).map(|n| format!("git+http://u:s3cret@{address}/{n}.git")).collect();
    // The working repository is queried first.
    flakes.insert(0, repo.url());
    let (start, within) = (Instant::now(), Duration::from_secs(2));
    let heads = looked_up(&flakes, "master", within);
    assert!(start.elapsed() < 4 * within, "all of them share the time: {:?}", start.elapsed());
    assert_eq!(heads.by_flake.len(), 41);
    assert_eq!(heads.by_flake[&repo.url()], Ok(commit));
    let late = heads.by_flake[&flakes[40]].as_ref().unwrap_err();
    let expected =
        format!("failed to look up \"master\" in git+http://{address}/39.git: no answer within 2 s; ");
    assert!(late.starts_with(&expected), "{late}");
    assert!(heads.failures().all(|failure| !failure.contains("s3cret")));
}

#[test]
fn each_unknown_reason_has_its_message() {
    let empty = Repo::new();
    let flakes = [empty.url(), "path:/etc/nixos".to_owned(), "nixpkgs".to_owned()];
    let heads = looked_up(&flakes, "main", Duration::from_secs(20));
    let error_of = |flake: &str| heads.by_flake[flake].as_ref().unwrap_err().clone();
    let none =
        format!("\"main\" is not a branch or tag of {}; check the name, or push it first", empty.url());
    assert_eq!(error_of(&flakes[0]), none);
    assert_eq!(error_of("path:/etc/nixos"), "path:/etc/nixos does not take a revision, so it has no head");
    assert!(error_of("nixpkgs").starts_with("\"nixpkgs\" is not a flake URL that can be deployed: "));
}

#[test]
fn a_host_is_outdated_current_or_unknown() {
    let (head, other) = ("a".repeat(40), "b".repeat(40));
    let of =
        [("git+file:///a".to_owned(), Ok(head.clone())), ("git+file:///b".to_owned(), Err("no".to_owned()))];
    let heads = BranchHeads { branch: Revision::new("main").unwrap(), by_flake: of.into() };
    let mut fleet = Fleet::default();
    for (name, commit, flake) in [
        ("current", Some(&*head), Some("git+file:///a")),
        ("behind", Some(&*other), Some("git+file:///a")),
        ("unasked", Some(&*other), Some("git+file:///c")),
        ("failed", Some(&*other), Some("git+file:///b")),
        ("short", Some("abcdef1"), Some("git+file:///d")),
        ("untold", None, Some("git+file:///a")),
        ("homeless", Some(&*other), None),
    ] {
        let mut answer: Value = base_presence(name, "test", "web");
        answer["commit"] = json!(commit);
        answer["flake_url"] = json!(flake);
        let answer = Presence::parse(answer.to_string().as_bytes()).unwrap();
        fleet.apply_presence(answer, Timestamp::UNIX_EPOCH);
    }
    let lag = |name: &str| heads.outdated(&fleet.hosts[name]);
    assert_eq!(lag("current"), Outdated::No);
    assert_eq!(lag("behind"), Outdated::Yes { head: &head });
    assert_eq!(lag("unasked"), Outdated::Unknown(UnknownReason::NoHead));
    assert_eq!(lag("failed"), Outdated::Unknown(UnknownReason::NoHead));
    assert_eq!(lag("short"), Outdated::Unknown(UnknownReason::NoCommit));
    assert_eq!(lag("untold"), Outdated::Unknown(UnknownReason::NoCommit));
    assert_eq!(lag("homeless"), Outdated::Unknown(UnknownReason::NoFlake));
    let asked = ["git+file:///a", "git+file:///b", "git+file:///c"].map(str::to_owned);
    assert_eq!(fleet.flakes(), [].into(), "none was known before");
    fleet.known_flakes = KnownFlakes { allowed: asked.clone().into(), ..KnownFlakes::default() }.into();
    assert_eq!(fleet.flakes(), asked.into());
    assert_eq!(heads.failures().collect::<Vec<_>>(), ["no"]);
}
