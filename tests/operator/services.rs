//! Hosts with Docker Compose: requests about single services, `resume` and `diagnose`, and what operators see of services.

use crate::common::{FakeListener, NatsServer, Terminal, base_presence, base_report, operator, run};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::{Value, json};

const SERVICES: [&str; 3] = ["mosquitto", "zigbee2mqtt", "homeassistant"];

/// Turns a presence into that of a host with services.
fn with_services(mut answer: Value) -> Value {
    answer["version"] = json!("1");
    answer["instance"] = answer["hostname"].clone();
    answer["engine"] = json!("compose");
    answer["components"] = json!(SERVICES);
    answer["capabilities"] = json!(["build", "rollback", "resume", "diagnose", "services"]);
    answer
}

fn components() -> Value {
    json!([
        {"name": "mosquitto", "state": "unchanged", "elapsed_ms": 0},
        {"name": "zigbee2mqtt", "state": "failed", "elapsed_ms": 12_000, "message": "it is unhealthy"},
        {"name": "homeassistant", "state": "skipped", "elapsed_ms": 0},
    ])
}

/// A host with services that replies with `report`, changed by its id.
fn host(nats: &NatsServer, name: &str, report: Value) -> FakeListener {
    let answer = with_services(base_presence(name, "test", "home"));
    FakeListener::start(nats, answer, move |_| vec![report.clone()])
}

fn compose_host(name: &str) -> FakeHost {
    let host = FakeHost::new(name, "home", Behavior::Completes);
    FakeHost { answer: with_services(host.answer), ..host }
}

#[test]
fn services_and_prune_are_sent_to_a_host_that_lists_them() {
    let nats = NatsServer::start();
    let hosts = FakeHosts::start(&nats, vec![compose_host("chelsty")]);
    let deploy = ["deploy", "chelsty", "--service", "zigbee2mqtt", "--service", "mosquitto", "--prune"];
    run(operator(&nats, "tester").args(deploy), 0);
    let (_, request) = hosts.request();
    assert_eq!(request["services"], json!(["zigbee2mqtt", "mosquitto"]), "{request}");
    assert_eq!(request["prune"], true, "{request}");
    run(operator(&nats, "tester").args(["deploy", "chelsty"]), 0);
    let (_, request) = hosts.request();
    assert!(request.get("services").is_none() && request.get("prune").is_none(), "{request}");
    run(operator(&nats, "tester").args(["diff", "chelsty", "--service", "mosquitto"]), 0);
    let (_, request) = hosts.request();
    assert_eq!((&request["action"], &request["services"]), (&json!("dry-activate"), &json!(["mosquitto"])));
}

/// A listener that does not know the fields would deploy everything.
#[test]
fn services_and_prune_are_not_sent_to_another_host_or_a_subject() {
    let nats = NatsServer::start();
    let nixos = FakeHost::new("web1", "web", Behavior::Completes);
    // It lists components, but does not say that it knows the fields.
    let older = compose_host("old1").with("capabilities", json!(["build"]));
    let hosts = FakeHosts::start(&nats, vec![nixos, older, compose_host("chelsty")]);
    let refused = |args: &[&str], text: &str| {
        let ended = run(operator(&nats, "tester").arg("deploy").args(args), 2);
        ended.assert_stderr(&[text, "nothing was sent"]);
    };
    let none = "it has no services that can be deployed alone";
    refused(&["web1", "--service", "nginx"], &format!("web1 cannot get this request: {none}"));
    refused(&["web1", "--prune"], &format!("web1 cannot get this request: {none}"));
    refused(&["old1", "--service", "mosquitto"], &format!("old1 cannot get this request: {none}"));
    refused(
        &["chelsty", "--service", "zigbee"],
        "chelsty cannot get this request: it has no service zigbee; it has mosquitto, zigbee2mqtt, homeassistant",
    );
    refused(
        &["deploy.test.chelsty", "--service", "mosquitto"],
        "the subject deploy.test.chelsty may reach other hosts",
    );
    refused(&["deploy.test.chelsty", "--prune"], "give the name of a host");
    assert_eq!(hosts.requested_hosts(), Vec::<String>::new());

    // Of a group, only the hosts with the service are deployed.
    let group = ["deploy", "--all", "--tier", "test", "--service", "mosquitto"];
    let ended = run(operator(&nats, "tester").args(group), 1);
    ended.assert_stderr(&[&format!("note: web1 is left out: {none}")]);
    assert_eq!(hosts.requested_hosts(), ["chelsty"], "{ended}");
}

#[test]
fn a_mixed_fleet_is_one_rollout_and_one_table() {
    let nats = NatsServer::start();
    let nixos = FakeHost::new("web1", "web", Behavior::Completes);
    let hosts = FakeHosts::start(&nats, vec![nixos, compose_host("chelsty")]);
    let ended = run(operator(&nats, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
    assert!(ended.stdout.contains("\nchelsty  completed"), "{ended}");
    assert!(ended.stdout.contains("\nweb1     completed"), "{ended}");
    let batches = ["deploy", "--all", "--tier", "test", "--batch", "1", "--no-pin"];
    run(operator(&nats, "tester").args(batches), 0);
    assert_eq!(hosts.requested_hosts(), ["chelsty", "web1", "chelsty", "web1"]);
    let listed = run(operator(&nats, "tester").arg("hosts"), 0);
    assert!(listed.stdout.contains("\nchelsty  test  home") && listed.stdout.contains("\nweb1 "), "{listed}");
    let hosts_json = run(operator(&nats, "tester").args(["hosts", "--output", "json"]), 0).json();
    let chelsty = hosts_json.iter().find(|line| line["host"]["name"] == "chelsty").unwrap();
    let answer = &chelsty["host"]["answer"];
    assert_eq!((&answer["engine"], &answer["components"]), (&json!("compose"), &json!(SERVICES)));
}

#[test]
fn boot_and_test_are_refused_for_services() {
    let nats = NatsServer::start();
    let nixos = FakeHost::new("web1", "web", Behavior::Completes);
    let hosts = FakeHosts::start(&nats, vec![nixos, compose_host("chelsty")]);
    for action in ["boot", "test"] {
        let deploy = ["deploy", "chelsty", "--action", action];
        run(operator(&nats, "tester").args(deploy), 2).assert_stderr(&[
            &format!(
                "chelsty runs services with Docker Compose, which has no system for the next boot, so `{action}` means \
                 nothing there: use `switch`"
            ),
            "nothing was sent",
        ]);
        let group = ["deploy", "--all", "--tier", "test", "--action", action];
        let ended = run(operator(&nats, "tester").args(group), 1);
        ended.assert_stderr(&[
            "chelsty is left out: it runs services with Docker Compose",
            "deploy it with `switch`",
        ]);
        assert_eq!(hosts.requested_hosts(), ["web1"], "{ended}");
    }
}

#[test]
fn a_deployment_shows_each_service() {
    let nats = NatsServer::start();
    let mut running = base_report("chelsty", "running", None, "activate");
    running["phases"] = json!([{"name": "activate", "state": "running", "elapsed_ms": 900}]);
    running["components"] = components();
    running["components"][1] = json!({"name": "zigbee2mqtt", "state": "running", "elapsed_ms": 900});
    let mut failed = base_report("chelsty", "failed", Some("activation_failed"), "zigbee2mqtt is unhealthy");
    failed["components"] = components();
    let answer = with_services(base_presence("chelsty", "test", "home"));
    let replies = vec![running, failed];
    let _host = FakeListener::start(&nats, answer, move |_| replies.clone());
    let ended = run(operator(&nats, "tester").args(["deploy", "chelsty"]), 1);
    assert!(ended.stdout.contains("chelsty  deploy 2/3 zigbee2mqtt\n"), "{ended}");
    let lines = "\n  mosquitto      unchanged\n  zigbee2mqtt    failed 12.0 s: it is unhealthy\n  homeassistant  skipped";
    assert!(ended.stdout.contains(lines), "{ended}");
    let json = run(operator(&nats, "tester").args(["deploy", "chelsty", "--output", "json"]), 1).json();
    let result = &json.last().unwrap()["value"]["hosts"][0]["report"];
    assert_eq!(result["components"], components(), "{result}");
}

#[test]
fn status_shows_each_service() {
    let nats = NatsServer::start();
    let mut done = base_report("chelsty", "completed", None, "switch done: 1 service changed");
    done["id"] = json!("j-1");
    done["components"] = components();
    done["components"][1] = json!({"name": "zigbee2mqtt", "state": "done", "elapsed_ms": 2700});
    let reply = json!({"query": "job", "hostname": "chelsty", "report": done});
    let _host = host(&nats, "chelsty", reply);
    let status = run(operator(&nats, "tester").args(["status", "chelsty"]), 0);
    let lines =
        "\n\nchelsty:\n  mosquitto      unchanged\n  zigbee2mqtt    done 2.7 s\n  homeassistant  skipped";
    assert!(status.stdout.contains(lines), "{status}");
}

#[test]
fn history_shows_which_services_a_job_changed() {
    let nats = NatsServer::start();
    let entry = |id: &str, components: Value| json!({"id": id, "at": "2026-11-21T09:00:00Z", "action": "switch", "status": "completed", "elapsed_ms": 1000, "components": components});
    let entries = json!([
        entry("j-3", json!(["a", "b", "c", "d", "e", "f"])),
        entry("j-2", json!(["zigbee2mqtt", "x\u{1b}[2Jy"])),
        entry("j-1", json!(null)),
    ]);
    let reply = json!({"query": "history", "hostname": "chelsty", "entries": entries, "next": null});
    let _host = host(&nats, "chelsty", reply);
    let history = run(operator(&nats, "tester").args(["history", "chelsty"]), 0);
    let lines: Vec<&str> = history.stdout.lines().map(str::trim_end).collect();
    assert!(lines[1].ends_with("  a, b, c, d and 2 more"), "{history}");
    assert!(lines[2].ends_with("  zigbee2mqtt, xy"), "{history}");
    assert!(lines[3].ends_with("1.0 s"), "{history}");
}

#[test]
fn a_dry_run_lists_what_each_service_would_do() {
    let nats = NatsServer::start();
    let mut done = base_report("chelsty", "completed", None, "dry-activate done: 1 service would change");
    done["action"] = json!("dry-activate");
    done["components"] = json!([
        {"name": "mosquitto", "state": "unchanged", "elapsed_ms": 0},
        {"name": "zigbee2mqtt", "state": "skipped", "elapsed_ms": 0, "message": "would change: the image"},
    ]);
    let _host = host(&nats, "chelsty", done);
    let diff = run(operator(&nats, "tester").args(["diff", "chelsty"]), 0);
    let lines = "\n\nchelsty:\n  mosquitto    unchanged\n  zigbee2mqtt  skipped: would change: the image";
    assert_eq!(diff.stdout.matches(lines).count(), 1, "{diff}");
}

#[test]
fn resume_names_the_failed_job() {
    let nats = NatsServer::start();
    let mut failed = base_report("chelsty", "failed", Some("interrupted"), "docker died");
    failed["id"] = json!("j-1");
    failed["action"] = json!("switch");
    let broken = compose_host("chelsty").with("job", failed.clone());
    let fine = compose_host("home2");
    let mut older = FakeHost::new("web1", "web", Behavior::Completes);
    failed["hostname"] = json!("web1");
    older = older.with("job", failed);
    let hosts = FakeHosts::start(&nats, vec![broken, fine, older]);
    let ended = run(operator(&nats, "tester").args(["resume", "chelsty"]), 0);
    let (host, request) = hosts.request();
    assert_eq!(
        (host.as_str(), &request["action"], &request["job"]),
        ("chelsty", &json!("resume"), &json!("j-1"))
    );
    assert!(request.get("revision").is_none() && request["id"] != "j-1", "{request}");
    assert!(ended.stdout.contains("\nchelsty  completed"), "{ended}");
    for (target, text) in [
        ("home2", "no job of home2 failed, so there is nothing to continue; nothing was sent"),
        ("web1", "the listener on web1 does not support `resume`"),
        ("deploy.test.chelsty", "give the name of a host"),
    ] {
        run(operator(&nats, "tester").args(["resume", target]), 2).assert_stderr(&[text]);
    }
    let ended = run(operator(&nats, "tester").args(["resume", "--all", "--tier", "test"]), 1);
    ended.assert_stderr(&["home2 is left out: none of its jobs failed"]);
    assert_eq!(hosts.requested_hosts(), ["chelsty"], "{ended}");
}

#[test]
fn diagnose_prints_what_the_host_collected() {
    let nats = NatsServer::start();
    let mut done = base_report("chelsty", "completed", None, "diagnose done");
    done["action"] = json!("diagnose");
    done["diagnostics"] = json!("$ docker ps -a\nzigbee2mqtt  Exited (1)\u{1b}[31m");
    let host = host(&nats, "chelsty", done);
    let ended = run(operator(&nats, "tester").args(["diagnose", "chelsty"]), 0);
    assert!(ended.stdout.contains("\nchelsty:\n  $ docker ps -a\n  zigbee2mqtt  Exited (1)\n"), "{ended}");
    let request = host.request();
    assert_eq!(request["action"], "diagnose", "{request}");
    assert!(request.get("revision").is_none(), "{request}");
    let _nixos = FakeListener::start(&nats, base_presence("web1", "test", "web"), |_| Vec::new());
    run(operator(&nats, "tester").args(["diagnose", "web1"]), 2)
        .assert_stderr(&["the listener on web1 does not support `diagnose`"]);
}

/// Names and messages come from a host, which may be hostile.
#[test]
fn hostile_services_are_made_printable() {
    let nats = NatsServer::start();
    let mut failed = base_report("chelsty", "failed", Some("activation_failed"), "no");
    failed["components"] = json!([
        {"name": "a\u{1b}[2Jb", "state": "ex\u{1b}[2Jploded", "elapsed_ms": u64::MAX, "message": "x\u{7}\u{202e}y"},
    ]);
    let _host = host(&nats, "chelsty", failed);
    let ended = run(operator(&nats, "tester").args(["deploy", "chelsty"]), 1);
    assert!(!ended.stdout.contains(|c: char| c.is_control() && c != '\n'), "{ended}");
    assert!(ended.stdout.contains("\n  ab  exploded"), "{ended}");
}

#[test]
fn the_prompt_names_the_services() {
    let nats = NatsServer::start();
    let answer = with_services(base_presence("chelsty", "prod", "home"));
    let host = FakeListener::start(&nats, answer, |_| Vec::new());
    for (args, head) in [
        (&["--service", "mosquitto"][..], "switch of main on 1 host, only the service mosquitto:"),
        (
            &["--service", "mosquitto", "--service", "zigbee2mqtt", "--prune"],
            "switch of main on 1 host, only the services mosquitto, zigbee2mqtt, and removing services that are not assigned any more:",
        ),
    ] {
        let mut command = operator(&nats, "admin");
        command.args(["deploy", "chelsty", "--branch", "main", "--no-pin"]).args(args);
        let mut asked = Terminal::sized(&command, 200, 40);
        asked.shows("Continue? Type yes:");
        asked.types("no\n");
        let refused = asked.wait_for_exit();
        assert_eq!(refused.text.lines().next().map(str::trim_end), Some(head), "{}", refused.text);
    }
    assert_eq!(host.unread_requests(), 0);
}
