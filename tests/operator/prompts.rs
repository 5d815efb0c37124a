//! Confirmation of a deployment to prod: a prompt on a terminal, `--yes` elsewhere.

use crate::common::{
    HostBuilder, NatsServer, RawClient, RawSubscription, Repo, Screen, Terminal, operator, run,
};
use serde_json::json;

/// Subscribes to all requests to prod.
fn requests(nats: &NatsServer) -> (RawClient, RawSubscription) {
    let wire = RawClient::connect(nats, "everything");
    let requests = wire.subscribe("deploy.prod.>");
    (wire, requests)
}

/// Deploys on a terminal and answers the prompt.
fn answered(nats: &NatsServer, answer: &str) -> Screen {
    let mut command = operator(nats, "admin");
    let mut terminal = Terminal::start(command.args(["deploy", "ns1"]));
    terminal.shows("Continue? Type yes:");
    terminal.types(answer);
    terminal.wait_for_exit()
}

#[test]
fn the_prompt_shows_the_exact_hosts_and_the_request() {
    let nats = NatsServer::start();
    let _hosts = [("ns1", "prod"), ("ns2", "prod"), ("web1", "test")]
        .map(|(name, tier)| HostBuilder::new(&nats, name, tier, "any").start());
    let mut command = operator(&nats, "admin");
    let flags = ["--branch", "release", "--action", "boot"];
    let mut terminal = Terminal::start(command.args(["deploy", "--all", "--tier", "prod"]).args(flags));
    terminal.shows("Continue? Type yes:");
    terminal.types("no\n");
    let asked = terminal.wait_for_exit();
    let lines: Vec<_> =
        asked.text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| match line.split_once(" (") {
            Some((flake, rest)) if flake.starts_with("flake path:/") => format!("flake PATH ({rest}"),
            _ => line.clone(),
        })
        .collect();
    assert_eq!(
        lines,
        [
            "boot of release on 2 hosts:",
            "HOST TIER ROLE RUNS",
            "ns1 prod any",
            "ns2 prod any",
            "flake PATH (ns1), new here: each host resolves release",
            "flake PATH (ns2), new here: each host resolves release",
            "Continue? Type yes: no",
            "error: not confirmed; nothing was sent",
        ],
    );
}

#[test]
fn the_prompt_shows_unresponsive_hosts() {
    let nats = NatsServer::start();
    let gone = HostBuilder::new(&nats, "ns2", "prod", "dns").start();
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    run(operator(&nats, "admin").arg("hosts"), 0);
    drop(gone);
    let mut terminal = Terminal::start(operator(&nats, "admin").args(["deploy", "--all", "--tier", "prod"]));
    terminal.shows("Continue? Type yes:");
    terminal.types("no\n");
    let asked = terminal.wait_for_exit().text;
    let offline =
        |host: &str| asked.lines().any(|line| line.starts_with(host) && line.contains("offline, last seen"));
    assert!(offline("ns2") && !offline("ns1"), "{asked}");
}

#[test]
fn only_yes_sends() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let (wire, requests) = requests(&nats);
    for answer in ["no\n", "\n", "y\n", "yesterday\n", "\u{4}"] {
        let refused = answered(&nats, answer);
        assert_eq!(refused.code, 2, "{answer:?}: {}", refused.text);
        assert!(refused.text.contains("not confirmed; nothing was sent"), "{answer:?}: {}", refused.text);
    }
    wire.round_trip();
    assert_eq!(requests.received().len(), 0);
    for answer in ["yes\n", " Yes \n"] {
        let done = answered(&nats, answer);
        assert_eq!(done.code, 0, "{}", done.text);
        assert!(
            done.text.contains("\nns1   completed") || done.text.contains("\nns1  completed"),
            "{}",
            done.text
        );
        requests.next();
    }
}

#[test]
fn subjects_are_confirmed_but_not_other_tiers_nor_with_yes() {
    let nats = NatsServer::start();
    let _hosts =
        [("ns1", "prod"), ("web1", "test")].map(|(n, tier)| HostBuilder::new(&nats, n, tier, "any").start());
    let terminal = |args: &[&str]| Terminal::start(operator(&nats, "admin").arg("deploy").args(args));
    let mut asked = terminal(&["deploy.prod.ns1", "web1"]);
    asked.shows("switch of master on 2 hosts by deploy.prod.ns1:");
    asked.shows("Continue?");
    asked.types("no\n");
    assert_eq!(asked.wait_for_exit().code, 2);
    for args in [&["web1"][..], &["deploy.test.all"], &["ns1", "--yes"], &["deploy.prod.all", "--yes"]] {
        let done = terminal(args).wait_for_exit();
        assert_eq!(done.code, 0, "{}", done.text);
        assert!(!done.text.contains("Continue?"), "{}", done.text);
    }
}

#[test]
fn without_a_terminal_a_prod_target_by_name_needs_yes() {
    let nats = NatsServer::start();
    let _hosts =
        [("ns1", "prod"), ("web1", "test")].map(|(n, tier)| HostBuilder::new(&nats, n, tier, "any").start());
    let (wire, requests) = requests(&nats);
    let deploy = |args: &[&str], code| {
        let mut command = operator(&nats, "admin");
        command
            .env("HOMELAB_DEPLOY_ALIAS_ALL_PROD", "deploy.prod.all")
            .env("HOMELAB_DEPLOY_ALIAS_DNS", "ns1");
        run(command.arg("deploy").args(args), code)
    };
    for args in [
        &["ns1"][..],
        &["web1", "ns1"],
        &["deploy.prod.all", "ns1"],
        &["--all", "--tier", "prod"],
        &["--role", "any", "--tier", "prod"],
    ] {
        deploy(args, 2).assert_stderr(&[
            "deploys to prod, which must be confirmed: add --yes, or give the subject as the target",
        ]);
    }
    wire.round_trip();
    assert_eq!(requests.received().len(), 0);
    for args in [
        &["ns1", "--yes"][..],
        &["deploy.prod.ns1"],
        &["all-prod"],
        &["dns"],
        &["--all", "--tier", "prod", "--yes"],
    ] {
        deploy(args, 0);
        requests.next();
    }
    deploy(&["--all", "--tier", "test"], 0);
}

#[test]
fn the_commit_that_is_shown_is_what_is_built() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").flake(&repo.url()).start();
    let (_wire, requests) = requests(&nats);
    run(operator(&nats, "admin").arg("hosts"), 0);
    let asked = |flags: &[&str]| {
        let mut terminal = Terminal::start(operator(&nats, "admin").args(["deploy", "ns1"]).args(flags));
        terminal.shows("Continue? Type yes:");
        let shown = terminal.lines().join("\n");
        repo.commit("flake.nix", &format!("moved after {flags:?}"));
        terminal.types("yes\n");
        assert_eq!(terminal.wait_for_exit().code, 0);
        (shown, requests.next().body)
    };
    let (shown, request) = asked(&[]);
    assert!(shown.contains(&format!("switch of master ({}) on 1 host:", &head[..7])), "{shown}");
    assert_eq!((&request["revision"], &request["commit"]), (&json!("master"), &json!(head)));
    let (shown, request) = asked(&["--no-pin"]);
    assert!(shown.contains("switch of master on 1 host:"), "{shown}");
    assert_eq!(request.get("commit"), None, "{request}");
}

#[test]
fn the_prompt_shows_the_batch_of_each_host() {
    let nats = NatsServer::start();
    let _hosts = ["ns1", "ns2"].map(|name| HostBuilder::new(&nats, name, "prod", "dns").start());
    let flags = ["--all", "--tier", "prod", "--canary", "ns2", "--no-pin"];
    let mut terminal = Terminal::start(operator(&nats, "admin").arg("deploy").args(flags));
    terminal.shows("Continue? Type yes:");
    let shown = terminal.lines().join("\n");
    terminal.types("no\n");
    let rows: Vec<_> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "switch of master on 2 hosts in 2 batches:",
        "BATCH HOST TIER ROLE RUNS",
        "1 canary ns2 prod dns",
        "2 ns1 prod dns",
    ];
    assert!(rows.starts_with(&expected.map(str::to_owned)), "{shown}");
    assert_eq!(terminal.wait_for_exit().code, 2);
}
