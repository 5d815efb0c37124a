//! Hosts, messages and servers that get lost in the middle of a deployment.

use crate::common::{Broker, Gate, HostBuilder, Peer, Running, Wire, base_answer, held_in, operator, run};
use serde_json::{Value, json};

#[test]
fn a_host_that_died_is_asked_after_three_heartbeats_and_ends_as_unknown() {
    let broker = Broker::start();
    let heartbeat = ["--heartbeat-interval", "1"];
    let mut host =
        HostBuilder::new(&broker, "web1", "test", "web").args(&heartbeat).script(&held_in("build")).start();
    let _gate = Gate::of(&host);
    let wire = Wire::connect(&broker, "everything");
    let asks = wire.listen("deploy.discover");
    let mut command = operator(&broker, "tester");
    let mut deploy = Running::start(command.args(["deploy", "web1", "--timeout", "6"]));
    deploy.says("web1  build");
    host.kill();

    let ask = asks.until(|ask| ask["want"] == "job");
    assert_eq!(ask["hosts"], json!(["web1"]));
    assert!(ask["id"].is_string(), "{ask}");
    assert!(ask["reply_to"].as_str().unwrap().starts_with("deploy.responses.ask."), "{ask}");
    let lost = deploy.ended(4);
    let row = lost.out.lines().last().unwrap();
    assert!(row.starts_with("web1  unknown  "), "{lost}");
    assert!(row.contains("was in build, last heard of "), "{lost}");
}

/// A peer of `db1` that says `first` to a request, and tells of its verdict only when asked.
fn tells_when_asked(broker: &Broker, first: Option<&'static str>) -> Peer {
    let report = |status: &str, id: &Value| {
        json!({"hostname": "db1", "status": status, "error": null, "message": status, "id": id, "heartbeat_s": 1,
            "seq": if status == "completed" { 2 } else { 1 }})
    };
    Peer::start(broker, base_answer("db1", "test", "db"), move |message| {
        let id = &message["id"];
        if message["want"] == "job" {
            return vec![
                json!({"want": "job", "id": id, "hostname": "db1", "report": report("completed", id)}),
            ];
        }
        first.iter().map(|status| report(status, id)).collect()
    })
}

#[test]
fn a_job_that_was_accepted_and_then_forgotten_is_sent_again() {
    let broker = Broker::start();
    let mut requests = 0;
    let peer = Peer::start(&broker, base_answer("db1", "test", "db"), move |message| {
        let id = &message["id"];
        if message["want"] == "job" {
            return vec![json!({"want": "job", "id": id, "hostname": "db1", "report": null})];
        }
        requests += 1;
        let status = if requests == 1 { "accepted" } else { "completed" };
        vec![json!({"hostname": "db1", "status": status, "error": null, "message": status, "id": id,
            "heartbeat_s": 15, "seq": requests})]
    });
    let done = run(operator(&broker, "tester").args(["deploy", "db1", "--timeout", "30"]), 0);
    assert!(done.out.contains("db1  completed: completed\n"), "{done}");
    let (first, second) = (peer.request(), peer.request());
    assert_eq!(first["id"], second["id"]);
    assert_eq!(peer.others(), 0);
}

#[test]
fn a_verdict_that_was_lost_is_asked_for() {
    let lost = |first| {
        let broker = Broker::start();
        let peer = tells_when_asked(&broker, first);
        let done = run(operator(&broker, "tester").args(["deploy", "db1"]), 0);
        assert!(done.out.contains("db1  completed: completed\n"), "{done}");
        peer.request();
        assert_eq!(peer.others(), 0, "asked, not sent to again");
    };
    std::thread::scope(|both| {
        both.spawn(|| lost(Some("accepted")));
        both.spawn(|| lost(None));
    });
}

#[test]
fn the_server_is_restarted_meanwhile_and_the_verdict_arrives() {
    let mut broker = Broker::start();
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("build")).start();
    let gate = Gate::of(&host);
    let mut deploy = Running::start(operator(&broker, "tester").args(["deploy", "web1"]));
    deploy.says("web1  build");
    broker.stop();
    deploy.says("note: the connection was lost; what runs on the hosts goes on");
    // The job ends while nobody can hear of it.
    gate.pass();
    host.logged("job completed");
    broker.restart();
    deploy.says("note: connected again; asking what happened meanwhile");
    let done = deploy.ended(0);
    assert!(done.out.contains("\nweb1  completed  master"), "{done}");
}

#[test]
fn the_server_is_gone_for_good_and_the_time_runs_out() {
    let mut broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("build")).start();
    let _gate = Gate::of(&host);
    let mut command = operator(&broker, "tester");
    let mut deploy = Running::start(command.args(["deploy", "web1", "--timeout", "2"]));
    deploy.says("web1  build");
    broker.stop();
    let late = deploy.ended(4);
    assert!(late.out.contains("note: the connection was lost"), "{late}");
    assert!(late.out.lines().last().unwrap().starts_with("web1  unknown"), "{late}");
}

#[test]
fn a_verdict_that_an_announcement_brings_first_is_told_whole() {
    let broker = Broker::start();
    let peer = Peer::start(&broker, base_answer("db1", "test", "db"), |_| Vec::new());
    let wire = Wire::connect(&broker, "everything");
    let deploy = Running::start(operator(&broker, "tester").args(["deploy", "db1"]));
    let id = peer.request()["id"].as_str().unwrap().to_owned();
    let mut verdict = json!({"hostname": "db1", "status": "failed", "error": "build_failed", "message": "no", "id": id, "seq": 3});
    let mut announcement = base_answer("db1", "test", "db");
    announcement["job"] = verdict.clone();
    wire.say("deploy.responses.presence", &announcement);
    verdict["diagnostics"] = json!("last words");
    wire.say(&format!("deploy.responses.{id}"), &verdict);
    let failed = deploy.ended(1);
    assert!(failed.out.starts_with("db1  failed (build_failed): no\n"), "{failed}");
    assert!(failed.out.ends_with("\n  | last words\n"), "{failed}");
}
