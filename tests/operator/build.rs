//! `build`: what operators see of a builder, with one written by hand that may misbehave.

use crate::common::{Broker, Builder, Ended, Running, build_report as report, operator, run};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Instant;

fn build(broker: &Broker, args: &[&str]) -> Command {
    let mut command = operator(broker, "everything");
    command.arg("build").args(args);
    command
}

fn result(ended: &Ended) -> Value {
    let last = ended.json().pop().unwrap();
    assert_eq!((&last["event"], &last["exit"]), (&json!("result"), &json!(ended.code)), "{ended}");
    last["value"].clone()
}

#[test]
fn a_host_is_built_and_people_see_it() {
    let broker = Broker::start();
    let builder = Builder::start(&broker, |request| {
        ["running", "done"]
            .iter()
            .zip(["started", "completed"])
            .zip(1..)
            .map(|((state, status), seq)| report(request, seq, status, &[("web1", state)]))
            .collect()
    });
    let done = run(&mut build(&broker, &["web1", "--repo", "fleet", "--branch", "main"]), 0);
    let (subject, request) = builder.request();
    assert_eq!((subject.as_str(), &request["target"]), ("build.fleet.web1", &json!("web1")));
    assert_eq!((&request["repo"], &request["branch"]), (&json!("fleet"), &json!("main")));
    assert!(
        request["issuer"].as_str().unwrap().starts_with("everything@") && request["expires_at"].is_string()
    );
    for said in [
        "web1  building\n",
        "web1  built in 1.2 s\n",
        "HOST  RESULT     TIME\nweb1  completed  1.2 s  /nix/store/abc-nixos-system-web1\n",
        "web1: commit 3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01 of fleet",
    ] {
        assert!(done.out.contains(said), "no {said:?} in {done}");
    }
    run(&mut build(&broker, &["web1"]), 0);
    let (subject, request) = builder.request();
    assert_eq!((subject.as_str(), request.get("repo"), request.get("branch")), ("build.web1", None, None));
}

#[test]
fn of_all_hosts_the_one_that_fails_is_told_with_its_last_lines() {
    let broker = Broker::start();
    let _builder = Builder::start(&broker, |request| {
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
    let failed = run(&mut build(&broker, &["--all"]), 1);
    for said in [
        "\nweb1  completed  1.2 s  /nix/store/abc-nixos-system-web1\n",
        "\nweb2  failed     1.2 s  build of foo-1.2 failed\n",
        "\ndb1   skipped    1.2 s\n",
        "\nweb2: build of foo-1.2 failed\n  | cc: fatal\n  | make: *** [all] Error 1\n",
        "\n  not a name, so not built: \"we b\"\n",
    ] {
        assert!(failed.out.contains(said), "no {said:?} in {failed}");
    }
    let json = run(&mut build(&broker, &["--all", "--output", "json"]), 1);
    let builds = result(&json)["builds"].clone();
    assert_eq!((&builds[0]["target"], &builds[0]["verdict"]), (&json!("all"), &json!("failed")));
    assert_eq!(builds[0]["report"]["hosts"][1]["log_tail"], "cc: fatal\nmake: *** [all] Error 1");
    assert_eq!(json.json().iter().filter(|line| line["event"] == "build").count(), 3);
}

#[test]
fn several_hosts_are_several_builds() {
    let broker = Broker::start();
    let builder = Builder::start(&broker, |request| {
        let host = request["target"].as_str().unwrap();
        let (status, state) = if host == "db1" { ("failed", "failed") } else { ("completed", "done") };
        vec![report(request, 1, status, &[(host, state)])]
    });
    let ended = run(&mut build(&broker, &["web1", "db1", "--output", "json"]), 1);
    let ids = [builder.request().1["id"].clone(), builder.request().1["id"].clone()];
    assert_ne!(ids[0], ids[1]);
    let verdicts: Vec<_> =
        result(&ended)["builds"].as_array().unwrap().iter().map(|b| b["verdict"].clone()).collect();
    assert_eq!(verdicts, ["completed", "failed"]);
}

#[test]
fn a_refusal_is_told_as_the_builder_says_it() {
    let broker = Broker::start();
    let _builder = Builder::start(&broker, |request| {
        let mut refused = report(request, 1, "rejected", &[]);
        (refused["error"], refused["message"]) =
            (json!("unknown_repo"), json!("no repository nosuch; there are fleet"));
        vec![refused]
    });
    let refused = run(&mut build(&broker, &["web1", "--repo", "nosuch"]), 1);
    assert!(
        refused.out.contains("\nweb1  rejected        unknown_repo: no repository nosuch; there are fleet"),
        "{refused}"
    );
}

#[test]
fn where_no_builder_is_that_is_said_at_once_and_one_that_is_mute_is_waited_for() {
    let broker = Broker::start();
    let begun = Instant::now();
    let nobody = run(&mut build(&broker, &["web1", "web2"]), 3);
    assert!(begun.elapsed().as_secs() < 4, "{:?}", begun.elapsed());
    assert!(
        nobody.out.contains(
            "web1  silent        no builder answered; is one running, and may this key publish there?"
        ),
        "{nobody}"
    );
    let _builder = Builder::start(&broker, |_| Vec::new());
    run(&mut build(&broker, &["--all"]), 3);
}

#[test]
fn the_time_runs_out_or_somebody_interrupts_and_the_builder_goes_on() {
    let broker = Broker::start();
    let _builder =
        Builder::start(&broker, |request| vec![report(request, 1, "progress", &[("web1", "running")])]);
    let late = run(&mut build(&broker, &["web1", "--timeout", "1"]), 4);
    assert!(late.out.contains("\nweb1  unknown  1.2 s"), "{late}");
    let mut running = Running::start(&mut build(&broker, &["web1"]));
    running.says("web1  building");
    running.interrupt();
    running.ended(130).complains(&["interrupted; what the builder builds goes on"]);
}

#[test]
fn after_a_lost_connection_the_same_request_asks_how_it_stands() {
    let mut broker = Broker::start();
    let builder =
        Builder::start(&broker, |request| vec![report(request, 1, "progress", &[("web1", "running")])]);
    let mut running = Running::start(&mut build(&broker, &["web1", "--output", "json"]));
    running.tells(|line| line["value"]["status"] == "progress");
    let (_, first) = builder.request();
    broker.stop();
    running.tells(|line| line["value"] == "the connection was lost; what the builder builds goes on");
    broker.restart();
    running.tells(|line| line["value"].as_str().is_some_and(|note| note.starts_with("connected again")));
    let (_, again) = builder.request();
    assert_eq!(first["id"], again["id"]);
    builder.say(again["reply_to"].as_str().unwrap(), &report(&again, 5, "completed", &[("web1", "done")]));
    running.ended(0);
}

#[test]
fn a_builder_of_the_base_format_is_not_asked_twice_for_it_would_build_twice() {
    let mut broker = Broker::start();
    let builder = Builder::start(&broker, |request| {
        let mut progress = report(request, 1, "progress", &[]);
        if request["target"] == "db1" {
            (progress["seq"], progress["id"]) = (Value::Null, Value::Null);
        }
        vec![progress]
    });
    let mut running = Running::start(&mut build(&broker, &["db1", "web1", "--output", "json"]));
    let [db1, _] = ["db1", "web1"].map(|target| {
        running.tells(|line| line["value"]["target"] == target);
        builder.request().1
    });
    broker.stop();
    running.tells(|line| line["value"] == "the connection was lost; what the builder builds goes on");
    broker.restart();
    // Asked for again is what can be asked for twice; db1 would come first.
    let (_, again) = builder.request();
    assert_eq!(again["target"], "web1");
    for request in [&db1, &again] {
        builder.say(request["reply_to"].as_str().unwrap(), &report(request, 5, "completed", &[]));
    }
    running.ended(0);
}

#[test]
fn a_builder_of_the_base_format_tells_no_ids_and_is_understood() {
    let broker = Broker::start();
    let _builder = Builder::start(&broker, |request| {
        ["started", "completed"]
            .map(|status| json!({"target": request["target"], "status": status, "message": "12 built"}))
            .into()
    });
    let done = run(&mut build(&broker, &["--all"]), 0);
    assert!(done.out.contains("\nall   completed        12 built"), "{done}");
}

#[test]
fn a_key_that_may_not_build_is_told_the_subject() {
    let broker = Broker::start();
    let refused = run(operator(&broker, "viewer").args(["build", "web1"]), 5);
    refused.complains(&["build.web1"]);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let broker = Broker::start();
    for (args, said) in [
        (&[][..], "HOST"),
        (&["web1", "--all"], "--all"),
        (&["a;b"], "is not a name"),
        (&["../x"], "is not a name"),
        (&["all"], "reserved word"),
    ] {
        run(&mut build(&broker, args), 2).complains(&[said]);
    }
}
