//! The question before a deployment to prod: on a terminal it is asked, elsewhere it must have been answered.

use crate::common::{Broker, Ears, HostBuilder, Repo, Screen, Terminal, Wire, operator, run};
use serde_json::json;

/// Hears every request to prod.
fn requests(broker: &Broker) -> (Wire, Ears) {
    let wire = Wire::connect(broker, "everything");
    let ears = wire.listen("deploy.prod.>");
    (wire, ears)
}

/// Deploys in a terminal and gives this answer.
fn answered(broker: &Broker, answer: &str) -> Screen {
    let mut command = operator(broker, "admin");
    let mut terminal = Terminal::start(command.args(["deploy", "ns1"]));
    terminal.shows("Go on? Type yes:");
    terminal.types(answer);
    terminal.ended()
}

#[test]
fn the_question_shows_the_exact_hosts_and_what_is_sent_there() {
    let broker = Broker::start();
    let _hosts = [("ns1", "prod"), ("ns2", "prod"), ("web1", "test")]
        .map(|(name, tier)| HostBuilder::new(&broker, name, tier, "any").start());
    let mut command = operator(&broker, "admin");
    let flags = ["--branch", "release", "--action", "boot"];
    let mut terminal = Terminal::start(command.args(["deploy", "--all", "--tier", "prod"]).args(flags));
    terminal.shows("Go on? Type yes:");
    terminal.types("no\n");
    let asked = terminal.ended();
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
            "flake PATH (ns1), new here: each host looks release up itself",
            "flake PATH (ns2), new here: each host looks release up itself",
            "Go on? Type yes: no",
            "error: not confirmed; nothing was sent",
        ],
    );
}

#[test]
fn the_question_tells_which_hosts_are_silent() {
    let broker = Broker::start();
    let gone = HostBuilder::new(&broker, "ns2", "prod", "dns").start();
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    run(operator(&broker, "admin").arg("hosts"), 0);
    drop(gone);
    let mut terminal =
        Terminal::start(operator(&broker, "admin").args(["deploy", "--all", "--tier", "prod"]));
    terminal.shows("Go on? Type yes:");
    terminal.types("no\n");
    let asked = terminal.ended().text;
    let offline =
        |host: &str| asked.lines().any(|line| line.starts_with(host) && line.contains("offline, last seen"));
    assert!(offline("ns2") && !offline("ns1"), "{asked}");
}

#[test]
fn only_yes_sends() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let (wire, ears) = requests(&broker);
    for answer in ["no\n", "\n", "y\n", "yesterday\n", "\u{4}"] {
        let refused = answered(&broker, answer);
        assert_eq!(refused.code, 2, "{answer:?}: {}", refused.text);
        assert!(refused.text.contains("not confirmed; nothing was sent"), "{answer:?}: {}", refused.text);
    }
    wire.round_trip();
    assert_eq!(ears.arrived().len(), 0);
    for answer in ["yes\n", " Yes \n"] {
        let done = answered(&broker, answer);
        assert_eq!(done.code, 0, "{}", done.text);
        assert!(
            done.text.contains("\nns1   completed") || done.text.contains("\nns1  completed"),
            "{}",
            done.text
        );
        ears.next();
    }
}

#[test]
fn a_question_is_asked_of_subjects_too_but_not_of_other_tiers_nor_with_yes() {
    let broker = Broker::start();
    let _hosts = [("ns1", "prod"), ("web1", "test")]
        .map(|(n, tier)| HostBuilder::new(&broker, n, tier, "any").start());
    let terminal = |args: &[&str]| Terminal::start(operator(&broker, "admin").arg("deploy").args(args));
    let mut asked = terminal(&["deploy.prod.ns1", "web1"]);
    asked.shows("switch of master on 2 hosts by deploy.prod.ns1:");
    asked.shows("Go on?");
    asked.types("no\n");
    assert_eq!(asked.ended().code, 2);
    for args in [&["web1"][..], &["deploy.test.all"], &["ns1", "--yes"], &["deploy.prod.all", "--yes"]] {
        let done = terminal(args).ended();
        assert_eq!(done.code, 0, "{}", done.text);
        assert!(!done.text.contains("Go on?"), "{}", done.text);
    }
}

#[test]
fn without_a_terminal_what_is_looked_up_in_prod_needs_yes() {
    let broker = Broker::start();
    let _hosts = [("ns1", "prod"), ("web1", "test")]
        .map(|(n, tier)| HostBuilder::new(&broker, n, tier, "any").start());
    let (wire, ears) = requests(&broker);
    let deploy = |args: &[&str], code| {
        let mut command = operator(&broker, "admin");
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
        deploy(args, 2)
            .complains(&["deploys to prod, which must be confirmed: add --yes, or name the subject"]);
    }
    wire.round_trip();
    assert_eq!(ears.arrived().len(), 0);
    for args in [
        &["ns1", "--yes"][..],
        &["deploy.prod.ns1"],
        &["all-prod"],
        &["dns"],
        &["--all", "--tier", "prod", "--yes"],
    ] {
        deploy(args, 0);
        ears.next();
    }
    deploy(&["--all", "--tier", "test"], 0);
}

#[test]
fn the_commit_that_is_shown_is_what_is_built() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").flake(&repo.url()).start();
    let (_wire, ears) = requests(&broker);
    run(operator(&broker, "admin").arg("hosts"), 0);
    let asked = |flags: &[&str]| {
        let mut terminal = Terminal::start(operator(&broker, "admin").args(["deploy", "ns1"]).args(flags));
        terminal.shows("Go on? Type yes:");
        let shown = terminal.lines().join("\n");
        repo.commit("flake.nix", &format!("moved after {flags:?}"));
        terminal.types("yes\n");
        assert_eq!(terminal.ended().code, 0);
        (shown, ears.next().body)
    };
    let (shown, request) = asked(&[]);
    assert!(shown.contains(&format!("switch of master ({}) on 1 host:", &head[..7])), "{shown}");
    assert_eq!((&request["revision"], &request["commit"]), (&json!("master"), &json!(head)));
    let (shown, request) = asked(&["--no-pin"]);
    assert!(shown.contains("switch of master on 1 host:"), "{shown}");
    assert_eq!(request.get("commit"), None, "{request}");
}

#[test]
fn the_question_shows_who_goes_in_which_wave() {
    let broker = Broker::start();
    let _hosts = ["ns1", "ns2"].map(|name| HostBuilder::new(&broker, name, "prod", "dns").start());
    let flags = ["--all", "--tier", "prod", "--canary", "ns2", "--no-pin"];
    let mut terminal = Terminal::start(operator(&broker, "admin").arg("deploy").args(flags));
    terminal.shows("Go on? Type yes:");
    let shown = terminal.lines().join("\n");
    terminal.types("no\n");
    let rows: Vec<_> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "switch of master on 2 hosts in 2 waves:",
        "WAVE HOST TIER ROLE RUNS",
        "1 canary ns2 prod dns",
        "2 ns1 prod dns",
    ];
    assert!(rows.starts_with(&expected.map(str::to_owned)), "{shown}");
    assert_eq!(terminal.ended().code, 2);
}
