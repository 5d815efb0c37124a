//! `build` with a fake builder that can misbehave.

use crate::common::{
    CommandOutput, FakeBuilder, NatsServer, RunningCommand, build_report as report, operator, run,
};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Instant;

fn build(nats: &NatsServer, args: &[&str]) -> Command {
    let mut command = operator(nats, "everything");
    command.arg("build").args(args);
    command
}

fn result(ended: &CommandOutput) -> Value {
    let last = ended.json().pop().unwrap();
    assert_eq!((&last["event"], &last["exit"]), (&json!("result"), &json!(ended.code)), "{ended}");
    last["value"].clone()
}

#[test]
fn a_host_is_built_and_people_see_it() {
    let nats = NatsServer::start();
    let builder = FakeBuilder::start(&nats, |request| {
        ["running", "done"]
            .iter()
            .zip(["started", "completed"])
            .zip(1..)
            .map(|((state, status), seq)| report(request, seq, status, &[("web1", state)]))
            .collect()
    });
    let done = run(&mut build(&nats, &["web1", "--repo", "fleet", "--branch", "main"]), 0);
    let (subject, request) = builder.request();
    assert_eq!((subject.as_str(), &request["target"]), ("build.fleet.web1", &json!("web1")));
    assert_eq!((&request["repo"], &request["branch"]), (&json!("fleet"), &json!("main")));
    assert!(
        request["issuer"].as_str().unwrap().starts_with("everything@") && request["expires_at"].is_string()
    );
    for expected in [
        "web1  building\n",
        "web1  built in 1.2 s\n",
        "HOST  RESULT     TIME\nweb1  completed  1.2 s  /nix/store/abc-nixos-system-web1\n",
        "web1: commit 3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01 of fleet",
    ] {
        assert!(done.stdout.contains(expected), "no {expected:?} in {done}");
    }
    run(&mut build(&nats, &["web1"]), 0);
    let (subject, request) = builder.request();
    assert_eq!((subject.as_str(), request.get("repo"), request.get("branch")), ("build.web1", None, None));
}

#[test]
fn a_failed_host_of_all_is_reported_with_its_last_lines() {
    let nats = NatsServer::start();
    let _builder = FakeBuilder::start(&nats, |request| {
        let mut last =
            report(request, 3, "failed", &[("web1", "done"), ("web2", "failed"), ("db1", "skipped")]);
        (last["error"], last["message"]) =
            (json!("build_failed"), json!("not a name, so not built: \"we b\""));
        vec![
            report(request, 1, "started", &[]),
            report(request, 2, "progress", &[("web1", "running"), ("web2", "pending")]),
            last,
        ]
    });
    let failed = run(&mut build(&nats, &["--all"]), 1);
    for expected in [
        "\nweb1  completed  1.2 s  /nix/store/abc-nixos-system-web1\n",
        "\nweb2  failed     1.2 s  build of foo-1.2 failed\n",
        "\ndb1   skipped    1.2 s\n",
        "\nweb2: build of foo-1.2 failed\n  | cc: fatal\n  | make: *** [all] Error 1\n",
        "\n  not a name, so not built: \"we b\"\n",
    ] {
        assert!(failed.stdout.contains(expected), "no {expected:?} in {failed}");
    }
    let json = run(&mut build(&nats, &["--all", "--output", "json"]), 1);
    let builds = result(&json)["builds"].clone();
    assert_eq!((&builds[0]["target"], &builds[0]["result"]), (&json!("all"), &json!("failed")));
    assert_eq!(builds[0]["report"]["hosts"][1]["log_tail"], "cc: fatal\nmake: *** [all] Error 1");
    assert_eq!(json.json().iter().filter(|line| line["event"] == "build").count(), 3);
}

#[test]
fn several_hosts_are_several_builds() {
    let nats = NatsServer::start();
    let builder = FakeBuilder::start(&nats, |request| {
        let host = request["target"].as_str().unwrap();
        let (status, state) = if host == "db1" { ("failed", "failed") } else { ("completed", "done") };
        vec![report(request, 1, status, &[(host, state)])]
    });
    let ended = run(&mut build(&nats, &["web1", "db1", "--output", "json"]), 1);
    let ids = [builder.request().1["id"].clone(), builder.request().1["id"].clone()];
    assert_ne!(ids[0], ids[1]);
    let results: Vec<_> =
        result(&ended)["builds"].as_array().unwrap().iter().map(|b| b["result"].clone()).collect();
    assert_eq!(results, ["completed", "failed"]);
}

#[test]
fn a_rejection_is_printed_with_the_message_of_the_builder() {
    let nats = NatsServer::start();
    let _builder = FakeBuilder::start(&nats, |request| {
        let mut refused = report(request, 1, "rejected", &[]);
        (refused["error"], refused["message"]) =
            (json!("unknown_repo"), json!("no repository nosuch; there are fleet"));
        vec![refused]
    });
    let refused = run(&mut build(&nats, &["web1", "--repo", "nosuch"]), 1);
    assert!(
        refused
            .stdout
            .contains("\nweb1  rejected        unknown repo: no repository nosuch; there are fleet"),
        "{refused}"
    );
}

#[test]
fn a_missing_builder_is_reported_immediately_and_a_mute_one_is_awaited() {
    let nats = NatsServer::start();
    let start = Instant::now();
    let unanswered = run(&mut build(&nats, &["web1", "web2"]), 3);
    assert!(start.elapsed().as_secs() < 4, "{:?}", start.elapsed());
    assert!(
        unanswered.stdout.contains(
            "web1  no answer        no builder answered: check that one is running and that this key may publish builds"
        ),
        "{unanswered}"
    );
    let _builder = FakeBuilder::start(&nats, |_| Vec::new());
    run(&mut build(&nats, &["--all"]), 3);
}

#[test]
fn the_builder_continues_after_a_timeout_or_an_interrupt() {
    let nats = NatsServer::start();
    let _builder =
        FakeBuilder::start(&nats, |request| vec![report(request, 1, "progress", &[("web1", "running")])]);
    let late = run(&mut build(&nats, &["web1", "--timeout", "1"]), 4);
    assert!(late.stdout.contains("\nweb1  unknown  1.2 s"), "{late}");
    let mut running = RunningCommand::start(&mut build(&nats, &["web1"]));
    running.wait_for_line("web1  building");
    running.interrupt();
    running.wait_for_exit(130).assert_stderr(&["interrupted; the builder continues to build"]);
}

#[test]
fn after_a_reconnect_the_same_request_returns_the_status() {
    let mut nats = NatsServer::start();
    let builder =
        FakeBuilder::start(&nats, |request| vec![report(request, 1, "progress", &[("web1", "running")])]);
    let mut running = RunningCommand::start(&mut build(&nats, &["web1", "--output", "json"]));
    running.wait_for_json(|line| line["value"]["status"] == "progress");
    let (_, first) = builder.request();
    nats.stop();
    running.wait_for_json(|line| line["value"] == "connection lost; the builder continues");
    nats.restart();
    running.wait_for_json(|line| line["value"].as_str().is_some_and(|note| note.starts_with("reconnected")));
    let (_, again) = builder.request();
    assert_eq!(first["id"], again["id"]);
    builder
        .publish(again["reply_to"].as_str().unwrap(), &report(&again, 5, "completed", &[("web1", "done")]));
    running.wait_for_exit(0);
}

#[test]
fn a_request_to_a_base_builder_is_not_repeated() {
    let mut nats = NatsServer::start();
    let builder = FakeBuilder::start(&nats, |request| {
        let mut progress = report(request, 1, "progress", &[]);
        if request["target"] == "db1" {
            (progress["seq"], progress["id"]) = (Value::Null, Value::Null);
        }
        vec![progress]
    });
    let mut running = RunningCommand::start(&mut build(&nats, &["db1", "web1", "--output", "json"]));
    let [db1, _] = ["db1", "web1"].map(|target| {
        running.wait_for_json(|line| line["value"]["target"] == target);
        builder.request().1
    });
    nats.stop();
    running.wait_for_json(|line| line["value"] == "connection lost; the builder continues");
    nats.restart();
    // Only the request that is safe to repeat is sent again; otherwise db1 would come first.
    let (_, again) = builder.request();
    assert_eq!(again["target"], "web1");
    for request in [&db1, &again] {
        builder.publish(request["reply_to"].as_str().unwrap(), &report(request, 5, "completed", &[]));
    }
    running.wait_for_exit(0);
}

#[test]
fn a_base_builder_without_ids_is_understood() {
    let nats = NatsServer::start();
    let _builder = FakeBuilder::start(&nats, |request| {
        ["started", "completed"]
            .map(|status| json!({"target": request["target"], "status": status, "message": "12 built"}))
            .into()
    });
    let done = run(&mut build(&nats, &["--all"]), 0);
    assert!(done.stdout.contains("\nall   completed        12 built"), "{done}");
}

#[test]
fn a_key_without_build_permission_is_reported_with_the_subject() {
    let nats = NatsServer::start();
    let refused = run(operator(&nats, "viewer").args(["build", "web1"]), 5);
    refused.assert_stderr(&["build.web1"]);
}

#[test]
fn invalid_arguments_are_refused() {
    let nats = NatsServer::start();
    for (args, expected) in [
        (&[][..], "HOST"),
        (&["web1", "--all"], "--all"),
        (&["a;b"], "is not a name"),
        (&["../x"], "is not a name"),
        (&["all"], "reserved word"),
    ] {
        run(&mut build(&nats, args), 2).assert_stderr(&[expected]);
    }
}
