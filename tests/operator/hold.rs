//! Holding hosts and releasing them: from the command line to the listener and back.

use crate::common::{Broker, HostBuilder, Peer, base_answer, operator, run};
use crate::usage::nowhere;
use serde_json::{Value, json};

const WHY: &str = "kernel bisect";

#[test]
fn a_held_host_is_told_everywhere_and_takes_nothing_until_it_is_released() {
    let broker = Broker::start();
    let _hosts = ["web1", "web2"].map(|name| HostBuilder::new(&broker, name, "test", "web").start());
    let command = |args: &[&str], code| run(operator(&broker, "tester").args(args), code);
    command(&["deploy", "web1"], 0);

    let held = command(&["hold", "web1", "--reason", WHY], 0);
    assert!(held.out.contains("\nweb1  completed"), "{held}");
    assert!(held.out.contains("held until `homelab-deploy release web1`"), "{held}");

    let deployed = command(&["deploy", "web1", "web2"], 1);
    assert!(deployed.out.contains("\nweb1  rejected"), "{deployed}");
    assert!(deployed.out.contains("\nweb2  completed"), "{deployed}");
    for told in ["held: held since 20", " by tester@", ": kernel bisect; `homelab-deploy release web1` ends"]
    {
        let words: String = deployed.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(told), "no {told:?} in {deployed}");
    }

    let hosts = command(&["hosts"], 0);
    let row = |name: &str| hosts.out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(row("web1").contains(" held ") && row("web2").contains(" idle "), "{hosts}");
    assert!(hosts.out.contains("\nnote: web1: held: kernel bisect (tester@"), "{hosts}");
    let json = command(&["hosts", "--output", "json"], 0).json();
    let held: Vec<_> = json.iter().map(|host| host["host"]["answer"]["held"].as_str()).collect();
    assert!(held[0].is_some_and(|held| held.starts_with("kernel bisect (")) && held[1].is_none(), "{held:?}");

    let status = command(&["status"], 0);
    assert!(status.out.contains("\nweb1 is held: kernel bisect (tester@"), "{status}");
    assert!(!status.out.contains("web2 is held"), "{status}");
    assert!(status.out.contains("switch"), "the job before is still told: {status}");
    let json = command(&["status", "--output", "json"], 0).json();
    assert!(json[0]["held"].is_string() && json[1].get("held").is_none(), "{json:?}");

    let released = command(&["release", "web1"], 0);
    assert!(released.out.contains("released; it was held since 20"), "{released}");
    command(&["deploy", "web1"], 0);
    assert!(!command(&["hosts"], 0).out.contains("held"));
    let history = command(&["history", "web1"], 0);
    let rows: Vec<_> = history.out.lines().skip(1).collect();
    assert!(rows[1].contains("release ") && rows[2].contains("hold "), "{history}");
    assert!(rows[2].contains("tester@") && rows[2].ends_with(WHY), "{history}");
}

#[test]
fn a_host_whose_last_job_failed_is_shown_as_both() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").script("exit 1").start();
    run(operator(&broker, "tester").args(["deploy", "web1"]), 1);
    run(operator(&broker, "tester").args(["hold", "web1", "--reason", WHY]), 0);
    let hosts = run(operator(&broker, "tester").arg("hosts"), 0);
    assert!(hosts.out.contains(" failed: activation_failed, held "), "{hosts}");
}

#[test]
fn several_hosts_aliases_and_subjects_are_taken_without_a_question_and_followed_as_a_deployment_is() {
    let broker = Broker::start();
    let _hosts = ["ns1", "ns2"].map(|name| HostBuilder::new(&broker, name, "prod", "dns").start());
    let admin = |args: &[&str]| {
        let mut command = operator(&broker, "admin");
        command.env("HOMELAB_DEPLOY_ALIAS_SECOND", "ns2");
        run(command.args(args), 0)
    };
    let held = || -> Vec<_> {
        let hosts = admin(&["hosts", "--output", "json"]).json();
        hosts.iter().map(|host| !host["host"]["answer"]["held"].is_null()).collect()
    };
    let lines = admin(&["hold", "ns1", "second", "--reason", WHY, "--output", "json"]).json();
    let result = lines.last().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(0)));
    assert_eq!(result["value"]["hosts"].as_array().unwrap().len(), 2);
    assert_eq!(held(), [true, true]);
    admin(&["release", "deploy.prod.all"]);
    assert_eq!(held(), [false, false]);
}

#[test]
fn the_request_says_who_and_why() {
    let broker = Broker::start();
    let mut answer = base_answer("web1", "test", "web");
    answer["capabilities"] = json!(["hold", "release"]);
    let peer = Peer::start(&broker, answer, |_| Vec::new());
    run(operator(&broker, "tester").args(["hold", "web1", "--reason", "  kernel bisect "]), 3);
    let request = peer.request();
    assert_eq!((&request["action"], &request["reason"]), (&json!("hold"), &json!(WHY)));
    assert!(request["issuer"].as_str().unwrap().starts_with("tester@"));
    assert!(request["expires_at"].is_string() && request.get("revision").is_none(), "{request}");
}

#[test]
fn a_listener_that_cannot_is_refused_and_nothing_is_sent() {
    let broker = Broker::start();
    let peer = Peer::start(&broker, base_answer("web1", "test", "web"), |_| Vec::<Value>::new());
    for args in [&["hold", "web1", "--reason", WHY][..], &["release", "web1"]] {
        let refused = run(operator(&broker, "tester").args(args), 2);
        refused.complains(&[&format!("the listener on web1 cannot do `{}`", args[0]), "nothing was sent"]);
    }
    assert_eq!(peer.others(), 0);
}

#[test]
fn a_hold_without_a_reason_is_refused_before_anything_is_connected() {
    let refused = |args: &[&str], texts: &[&str]| run(nowhere().args(args), 2).complains(texts);
    refused(&["hold", "web1"], &["--reason <TEXT>"]);
    refused(&["hold", "web1", "--reason", " "], &["--reason", "a hold must say why: the reason is empty"]);
    let long = "x".repeat(301);
    refused(&["hold", "web1", "--reason", &long], &["at most 300 characters, and this one has 301"]);
    refused(&["hold", "--reason", WHY], &["TARGET"]);
    refused(&["release"], &["TARGET"]);
}
