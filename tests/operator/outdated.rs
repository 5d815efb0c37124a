//! Which hosts are behind the branch in their flake: real repositories, real listeners.

use crate::common::{
    Broker, DEADLINE, Ended, Host, HostBuilder, Peer, Repo, Running, base_answer, operator, run,
};
use crate::configured::Home;
use homelab_deploy::deployer::heads;
use homelab_deploy::fleet::{Fleet, Heads, KnownFlakes, Lag, Why};
use homelab_deploy::protocol::{HostAnswer, Revision};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn host(broker: &Broker, repo: &Repo, name: &str) -> Host {
    HostBuilder::new(broker, name, "test", "web").flake(&repo.url()).start()
}

fn deploy(broker: &Broker, host: &str, branch: &str) {
    run(operator(broker, "tester").args(["deploy", host, "--branch", branch]), 0);
}

fn outdated(broker: &Broker, args: &[&str], code: i32) -> Ended {
    run(operator(broker, "viewer").args(["hosts", "--outdated"]).args(args), code)
}

/// Has the operator see the hosts, and so know their flakes.
fn seen(broker: &Broker) {
    run(operator(broker, "viewer").arg("hosts"), 0);
}

/// The rows of a table without their spacing.
fn rows(ended: &Ended) -> Vec<String> {
    let row = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    ended.out.lines().map(row).collect()
}

#[test]
fn hosts_that_do_not_run_the_head_are_shown_with_what_they_should_run() {
    let broker = Broker::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _hosts = ["web1", "web2", "db1"].map(|name| host(&broker, &repo, name));
    deploy(&broker, "web1", "master");
    deploy(&broker, "web2", "master");
    seen(&broker);
    let unknown = "note: not known of db1: which commit they run is not told";
    assert_eq!(rows(&outdated(&broker, &[], 0)), ["no host is known to be behind master", unknown]);

    let head = repo.commit("flake.nix", "new");
    deploy(&broker, "web2", "master");
    let shown = outdated(&broker, &[], 0);
    assert_eq!(
        rows(&shown),
        [
            "HOST TIER ROLE STATE REVISION GEN SEEN HEAD".to_owned(),
            format!("web1 test web idle master {} 0 s master {}", &old[..7], &head[..7]),
            unknown.to_owned(),
        ],
        "{shown}"
    );
    let json = outdated(&broker, &["--output", "json"], 0).json();
    let told: Vec<_> = json.iter().map(|line| (&line["host"]["name"], &line["outdated"])).collect();
    let expected = [
        (&json!("db1"), &json!({"state": "unknown", "branch": "master", "reason": "no_commit"})),
        (&json!("web1"), &json!({"state": "behind", "branch": "master", "head": head})),
    ];
    assert_eq!(told, expected);
    assert_eq!((&json[1]["presence"], &json[1]["two_of_one_name"]), (&json!("online"), &json!(false)));

    deploy(&broker, "web1", "master");
    let only = outdated(&broker, &["--role", "web"], 0);
    assert_eq!(rows(&only)[0], "no host is known to be behind master");
    deploy(&broker, "db1", "master");
    assert_eq!(outdated(&broker, &[], 0).out, "no host is behind master\n");
    assert_eq!(outdated(&broker, &["--output", "json"], 0).out, "");
}

#[test]
fn the_branch_is_that_of_the_flag_the_environment_or_the_context() {
    let broker = Broker::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "old");
    repo.git(&["branch", "kept"]);
    repo.git(&["checkout", "--quiet", "-b", "ahead"]);
    repo.commit("flake.nix", "new");
    let _host = host(&broker, &repo, "web1");
    deploy(&broker, "web1", "kept");
    seen(&broker);
    let home = Home::of(&broker, "viewer", "branch = \"ahead\"");
    run(home.command().arg("hosts"), 0);
    let said = |variable: Option<&str>, args: &[&str]| {
        let mut command = home.command();
        command.args(["hosts", "--outdated"]).args(args);
        command.envs(variable.map(|branch| ("HOMELAB_DEPLOY_BRANCH", branch)));
        run(&mut command, 0).out.lines().last().unwrap().to_owned()
    };
    assert!(said(None, &[]).contains(" ahead "));
    assert_eq!(said(Some("kept"), &[]), "no host is behind kept");
    assert!(said(Some("kept"), &["--branch", "ahead"]).contains(" ahead "));
    assert_eq!(said(None, &["--branch", "kept"]), "no host is behind kept");
    assert_eq!(outdated(&broker, &[], 0).out, "no host is behind master\n");

    // Without --outdated nothing is looked up: the variable is for those commands that need it.
    run(home.command().env("HOMELAB_DEPLOY_BRANCH", "kept").arg("hosts"), 0);
    let refused = run(home.command().args(["hosts", "--branch", "kept"]), 2);
    refused.complains(&["--branch is for --outdated; add that"]);
}

#[test]
fn a_repository_that_cannot_be_asked_is_told_and_the_others_are_asked() {
    let broker = Broker::start();
    let repos = [Repo::new(), Repo::new()];
    let _hosts = ["web1", "web2"].map(|name| {
        let repo = &repos[usize::from(name == "web2")];
        repo.commit("flake.nix", "old");
        let host = host(&broker, repo, name);
        deploy(&broker, name, "master");
        repo.commit("flake.nix", "new");
        host
    });
    seen(&broker);
    fs::rename(repos[0].path().join(".git"), repos[0].path().join("away")).unwrap();
    let shown = outdated(&broker, &[], 1);
    let rows = rows(&shown);
    assert!(rows[1].starts_with("web2 test web idle master "), "{shown}");
    let note = format!("note: could not look up \"master\" in {}: ", repos[0].url());
    assert!(rows[2].starts_with(&note), "{shown}");
    assert!(rows[2].ends_with("; this machine must be able to read the repository too"), "{shown}");
    assert_eq!(rows[3], "note: not known of web1: the head of their branch could not be looked up");
    let json = outdated(&broker, &["--output", "json"], 1).json();
    assert_eq!(json[0]["outdated"], json!({"state": "unknown", "branch": "master", "reason": "no_head"}));
    assert_eq!(json[1]["outdated"]["state"], "behind");
    assert_eq!(json[2]["event"], "note");
    assert!(json[2]["value"].as_str().unwrap().starts_with(&note[6..]), "{json:?}");

    let unknown = outdated(&broker, &["--branch", "nosuch", "--role", "web"], 1);
    assert!(unknown.out.contains("\"nosuch\" is not a branch or tag of "), "{unknown}");
}

#[test]
fn without_a_branch_the_default_one_is_named_and_head_means_it() {
    let broker = Broker::start();
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "new");
    repo.git(&["branch", "--move", "main"]);
    let _host = host(&broker, &repo, "web1");
    let said = "its default branch is main: name that, as in `--branch main`, or set it as `branch` in the configuration";
    let deploy =
        |args: &[&str], code: i32| run(operator(&broker, "tester").args(["deploy", "web1"]).args(args), code);
    assert!(deploy(&[], 1).out.contains(said));
    deploy(&["--pin"], 2).complains(&[said]);
    let home = Home::of(&broker, "tester", "branch = \"HEAD\"");
    for pin in [&[][..], &["--pin"]] {
        let mut command = home.command();
        command.args(["deploy", "web1"]).args(pin);
        let done = run(&mut command, 0);
        assert!(done.out.contains(&commit[..7]), "{done}");
    }
    seen(&broker);
    assert!(outdated(&broker, &[], 1).out.contains(said));
    assert_eq!(outdated(&broker, &["--branch", "HEAD"], 0).out, "no host is behind HEAD\n");
    repo.commit("flake.nix", "newer");
    assert!(outdated(&broker, &["--branch", "HEAD"], 0).out.contains("web1"));
}

#[test]
fn what_a_host_makes_up_does_no_harm() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let commit = "0123456789012345678901234567890123456789";
    let told = |name: &str, flake: String| {
        let mut answer = base_answer(name, "test", "web");
        answer["commit"] = json!(commit);
        answer["flake_url"] = json!(flake);
        Peer::start(&broker, answer, |_| Vec::new())
    };
    let _peers = [
        told("web1", format!("git+ext::touch {}", touched.display())),
        told("web2", format!("git+ssh://-oProxyCommand=touch%20{}/x", touched.display())),
        told("db1", "\u{1b}]0;owned\u{7}".to_owned()),
    ];
    seen(&broker);
    let shown = outdated(&broker, &[], 1);
    assert!(!touched.exists(), "{shown}");
    assert!(shown.out.starts_with("no host is known to be behind master\n"), "{shown}");
    assert!(shown.out.contains("\nnote: not known of db1, web1, web2: the head of their branch"), "{shown}");
    assert!(!shown.out.contains('\u{1b}') && !shown.out.contains('\u{7}'), "{shown}");
}

#[test]
fn ctrl_c_ends_it_and_every_git() {
    let broker = Broker::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut answer = base_answer("web1", "test", "web");
    answer["commit"] = json!("0".repeat(40));
    answer["flake_url"] = json!(format!("git+http://{}/x.git", silent.local_addr().unwrap()));
    let _peer = Peer::start(&broker, answer, |_| Vec::new());
    seen(&broker);
    let asking = Running::start(operator(&broker, "viewer").args(["hosts", "--outdated"]));
    let (mut git, _) = silent.accept().unwrap();
    git.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut request = [0; 20];
    git.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"GET /x.git/info/refs");
    asking.interrupt();
    asking.ended(130).complains(&["error: interrupted"]);
    // Its end of the connection goes with it, cleanly or not.
    let mut rest = Vec::new();
    let gone = git.read_to_end(&mut rest);
    assert!(gone.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::ConnectionReset), "{gone:?}");
}

#[test]
fn nobody_is_told_as_without_the_flag() {
    let broker = Broker::start();
    let nobody = outdated(&broker, &[], 3);
    assert!(nobody.out.starts_with("no host answered; is a listener running"), "{nobody}");
}

fn looked_up(flakes: &[String], branch: &str, within: Duration) -> Heads {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let branch = Revision::new(branch).unwrap();
    runtime.block_on(heads(
        flakes.iter().cloned(),
        &branch,
        within,
        &homelab_deploy::nix::Credentials::default(),
    ))
}

#[test]
fn repositories_that_never_answer_hold_nobody_up() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "first");
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut flakes: Vec<_> = (0..40).map(|n| format!("git+http://u:s3cret@{address}/{n}.git")).collect();
    // Asked before all of them, and by itself.
    flakes.insert(0, repo.url());
    let (begun, within) = (Instant::now(), Duration::from_secs(2));
    let heads = looked_up(&flakes, "master", within);
    assert!(begun.elapsed() < 4 * within, "all of them share the time: {:?}", begun.elapsed());
    assert_eq!(heads.of.len(), 41);
    assert_eq!(heads.of[&repo.url()], Ok(commit));
    let late = heads.of[&flakes[40]].as_ref().unwrap_err();
    let said = format!("could not look up \"master\" in git+http://{address}/39.git: no answer within 2 s; ");
    assert!(late.starts_with(&said), "{late}");
    assert!(heads.failures().all(|failure| !failure.contains("s3cret")));
}

#[test]
fn each_way_of_not_having_a_head_has_its_sentence() {
    let empty = Repo::new();
    let flakes = [empty.url(), "path:/etc/nixos".to_owned(), "nixpkgs".to_owned()];
    let heads = looked_up(&flakes, "main", Duration::from_secs(20));
    let said = |flake: &str| heads.of[flake].as_ref().unwrap_err().clone();
    let none =
        format!("\"main\" is not a branch or tag of {}; check the name, or push it first", empty.url());
    assert_eq!(said(&flakes[0]), none);
    assert_eq!(said("path:/etc/nixos"), "path:/etc/nixos takes no revision, so it has no head");
    assert!(said("nixpkgs").starts_with("\"nixpkgs\" is not a flake URL that can be deployed: "));
}

#[test]
fn a_host_is_behind_current_or_unknown() {
    let (head, other) = ("a".repeat(40), "b".repeat(40));
    let of =
        [("git+file:///a".to_owned(), Ok(head.clone())), ("git+file:///b".to_owned(), Err("no".to_owned()))];
    let heads = Heads { branch: Revision::new("main").unwrap(), of: of.into() };
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
        let mut answer: Value = base_answer(name, "test", "web");
        answer["commit"] = json!(commit);
        answer["flake_url"] = json!(flake);
        let answer = HostAnswer::parse(answer.to_string().as_bytes()).unwrap();
        fleet.apply_host(answer, Timestamp::UNIX_EPOCH);
    }
    let lag = |name: &str| heads.lag(&fleet.hosts[name]);
    assert_eq!(lag("current"), Lag::Current);
    assert_eq!(lag("behind"), Lag::Behind { head: &head });
    assert_eq!(lag("unasked"), Lag::Unknown(Why::NoHead));
    assert_eq!(lag("failed"), Lag::Unknown(Why::NoHead));
    assert_eq!(lag("short"), Lag::Unknown(Why::NoCommit));
    assert_eq!(lag("untold"), Lag::Unknown(Why::NoCommit));
    assert_eq!(lag("homeless"), Lag::Unknown(Why::NoFlake));
    let asked = ["git+file:///a", "git+file:///b", "git+file:///c"].map(str::to_owned);
    assert_eq!(fleet.flakes(), [].into(), "none was known before");
    fleet.known_flakes = KnownFlakes { allowed: asked.clone().into(), ..KnownFlakes::default() }.into();
    assert_eq!(fleet.flakes(), asked.into());
    assert_eq!(heads.failures().collect::<Vec<_>>(), ["no"]);
}
