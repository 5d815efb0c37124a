//! `hold` and `release`, with a real listener.

use crate::common::{FakeListener, HostBuilder, NatsServer, base_presence, operator, run};
use crate::usage::nowhere;
use serde_json::{Value, json};

const REASON: &str = "kernel bisect";

#[test]
fn a_held_host_is_shown_as_held_and_rejects_requests_until_it_is_released() {
    let nats = NatsServer::start();
    let _hosts = ["web1", "web2"].map(|name| HostBuilder::new(&nats, name, "test", "web").start());
    let command = |args: &[&str], code| run(operator(&nats, "tester").args(args), code);
    command(&["deploy", "web1"], 0);

    let held = command(&["hold", "web1", "--reason", REASON], 0);
    assert!(held.stdout.contains("\nweb1  completed"), "{held}");
    assert!(held.stdout.contains("held until `homelab-deploy release web1`"), "{held}");

    let deployed = command(&["deploy", "web1", "web2"], 1);
    assert!(deployed.stdout.contains("\nweb1  rejected"), "{deployed}");
    assert!(deployed.stdout.contains("\nweb2  completed"), "{deployed}");
    for expected in [
        "held: held since 20",
        " by tester@",
        ": kernel bisect; release it with `homelab-deploy release web1`",
    ] {
        let words: String = deployed.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(expected), "no {expected:?} in {deployed}");
    }

    let hosts = command(&["hosts"], 0);
    let row = |name: &str| hosts.stdout.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(row("web1").contains(" held ") && row("web2").contains(" idle "), "{hosts}");
    assert!(hosts.stdout.contains("\nnote: web1: held: kernel bisect (tester@"), "{hosts}");
    let json = command(&["hosts", "--output", "json"], 0).json();
    let held: Vec<_> = json.iter().map(|host| host["host"]["answer"]["held"].as_str()).collect();
    assert!(held[0].is_some_and(|held| held.starts_with("kernel bisect (")) && held[1].is_none(), "{held:?}");

    let status = command(&["status"], 0);
    assert!(status.stdout.contains("\nweb1 is held: kernel bisect (tester@"), "{status}");
    assert!(!status.stdout.contains("web2 is held"), "{status}");
    assert!(status.stdout.contains("switch"), "the previous job is still shown: {status}");
    let json = command(&["status", "--output", "json"], 0).json();
    assert!(json[0]["held"].is_string() && json[1].get("held").is_none(), "{json:?}");

    let released = command(&["release", "web1"], 0);
    assert!(released.stdout.contains("released; was held since 20"), "{released}");
    command(&["deploy", "web1"], 0);
    assert!(!command(&["hosts"], 0).stdout.contains("held"));
    let history = command(&["history", "web1"], 0);
    let rows: Vec<_> = history.stdout.lines().skip(1).collect();
    assert!(rows[1].contains("release ") && rows[2].contains("hold "), "{history}");
    assert!(rows[2].contains("tester@") && rows[2].ends_with(REASON), "{history}");
}

#[test]
fn a_host_whose_last_job_failed_is_shown_as_both() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script("exit 1").start();
    run(operator(&nats, "tester").args(["deploy", "web1"]), 1);
    run(operator(&nats, "tester").args(["hold", "web1", "--reason", REASON]), 0);
    let hosts = run(operator(&nats, "tester").arg("hosts"), 0);
    assert!(hosts.stdout.contains(" failed: activation failed, held "), "{hosts}");
}

#[test]
fn hosts_aliases_and_subjects_are_held_without_confirmation() {
    let nats = NatsServer::start();
    let _hosts = ["ns1", "ns2"].map(|name| HostBuilder::new(&nats, name, "prod", "dns").start());
    let admin = |args: &[&str]| {
        let mut command = operator(&nats, "admin");
        command.env("HOMELAB_DEPLOY_ALIAS_SECOND", "ns2");
        run(command.args(args), 0)
    };
    let held = || -> Vec<_> {
        let hosts = admin(&["hosts", "--output", "json"]).json();
        hosts.iter().map(|host| !host["host"]["answer"]["held"].is_null()).collect()
    };
    let lines = admin(&["hold", "ns1", "second", "--reason", REASON, "--output", "json"]).json();
    let result = lines.last().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(0)));
    assert_eq!(result["value"]["hosts"].as_array().unwrap().len(), 2);
    assert_eq!(held(), [true, true]);
    admin(&["release", "deploy.prod.all"]);
    assert_eq!(held(), [false, false]);
}

#[test]
fn the_request_has_issuer_and_reason() {
    let nats = NatsServer::start();
    let mut answer = base_presence("web1", "test", "web");
    answer["capabilities"] = json!(["hold", "release"]);
    let peer = FakeListener::start(&nats, answer, |_| Vec::new());
    run(operator(&nats, "tester").args(["hold", "web1", "--reason", "  kernel bisect "]), 3);
    let request = peer.request();
    assert_eq!((&request["action"], &request["reason"]), (&json!("hold"), &json!(REASON)));
    assert!(request["issuer"].as_str().unwrap().starts_with("tester@"));
    assert!(request["expires_at"].is_string() && request.get("revision").is_none(), "{request}");
}

#[test]
fn an_unsupported_action_is_refused_and_nothing_is_sent() {
    let nats = NatsServer::start();
    let peer = FakeListener::start(&nats, base_presence("web1", "test", "web"), |_| Vec::<Value>::new());
    for args in [&["hold", "web1", "--reason", REASON][..], &["release", "web1"]] {
        let refused = run(operator(&nats, "tester").args(args), 2);
        refused.assert_stderr(&[
            &format!("the listener on web1 does not support `{}`", args[0]),
            "nothing was sent",
        ]);
    }
    assert_eq!(peer.unread_requests(), 0);
}

#[test]
fn a_hold_without_a_reason_is_refused_before_anything_is_connected() {
    let refused = |args: &[&str], texts: &[&str]| run(nowhere().args(args), 2).assert_stderr(texts);
    refused(&["hold", "web1"], &["--reason <TEXT>"]);
    refused(
        &["hold", "web1", "--reason", " "],
        &["--reason", "the hold reason is empty: give a reason of at most 300 characters"],
    );
    let long = "x".repeat(301);
    refused(
        &["hold", "web1", "--reason", &long],
        &["the hold reason has 301 characters: give a reason of at most 300 characters"],
    );
    refused(&["hold", "--reason", REASON], &["TARGET"]);
    refused(&["release"], &["TARGET"]);
}
