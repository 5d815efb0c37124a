//! Hosts, messages and servers that are lost during a deployment.

use crate::common::{
    FakeListener, Gate, HostBuilder, NatsServer, RawClient, RunningCommand, base_presence, hold_in_phase,
    operator, run,
};
use serde_json::{Value, json};

#[test]
fn a_dead_host_is_queried_after_three_heartbeats_and_ends_as_unknown() {
    let nats = NatsServer::start();
    let heartbeat = ["--heartbeat-interval", "1"];
    let mut host = HostBuilder::new(&nats, "web1", "test", "web")
        .args(&heartbeat)
        .script(&hold_in_phase("build"))
        .start();
    let _gate = Gate::of(&host);
    let wire = RawClient::connect(&nats, "everything");
    let asks = wire.subscribe("deploy.discover");
    let mut command = operator(&nats, "tester");
    let mut deploy = RunningCommand::start(command.args(["deploy", "web1", "--timeout", "6"]));
    deploy.wait_for_line("web1  build");
    host.kill();

    let ask = asks.until(|ask| ask["query"] == "job");
    assert_eq!(ask["hosts"], json!(["web1"]));
    assert!(ask["id"].is_string(), "{ask}");
    assert!(ask["reply_to"].as_str().unwrap().starts_with("deploy.responses.ask."), "{ask}");
    let lost = deploy.wait_for_exit(4);
    let row = lost.stdout.lines().last().unwrap();
    assert!(row.starts_with("web1  unknown  "), "{lost}");
    assert!(row.contains("was in build, last seen "), "{lost}");
}

/// A fake `db1` that replies to a request with `first`, and reports its result only when queried.
fn answers_queries(nats: &NatsServer, first: Option<&'static str>) -> FakeListener {
    let report = |status: &str, id: &Value| {
        json!({"hostname": "db1", "status": status, "error": null, "message": status, "id": id, "heartbeat_s": 1,
            "seq": if status == "completed" { 2 } else { 1 }})
    };
    FakeListener::start(nats, base_presence("db1", "test", "db"), move |message| {
        let id = &message["id"];
        if message["query"] == "job" {
            return vec![
                json!({"query": "job", "id": id, "hostname": "db1", "report": report("completed", id)}),
            ];
        }
        first.iter().map(|status| report(status, id)).collect()
    })
}

#[test]
fn a_job_that_was_accepted_and_then_forgotten_is_sent_again() {
    let nats = NatsServer::start();
    let mut requests = 0;
    let peer = FakeListener::start(&nats, base_presence("db1", "test", "db"), move |message| {
        let id = &message["id"];
        if message["query"] == "job" {
            return vec![json!({"query": "job", "id": id, "hostname": "db1", "report": null})];
        }
        requests += 1;
        let status = if requests == 1 { "accepted" } else { "completed" };
        vec![json!({"hostname": "db1", "status": status, "error": null, "message": status, "id": id,
            "heartbeat_s": 15, "seq": requests})]
    });
    let done = run(operator(&nats, "tester").args(["deploy", "db1", "--timeout", "30"]), 0);
    assert!(done.stdout.contains("db1  completed: completed\n"), "{done}");
    let (first, second) = (peer.request(), peer.request());
    assert_eq!(first["id"], second["id"]);
    assert_eq!(peer.unread_requests(), 0);
}

#[test]
fn a_lost_final_report_is_queried() {
    let lost = |first| {
        let nats = NatsServer::start();
        let peer = answers_queries(&nats, first);
        let done = run(operator(&nats, "tester").args(["deploy", "db1"]), 0);
        assert!(done.stdout.contains("db1  completed: completed\n"), "{done}");
        peer.request();
        assert_eq!(peer.unread_requests(), 0, "queried, not sent again");
    };
    std::thread::scope(|both| {
        both.spawn(|| lost(Some("accepted")));
        both.spawn(|| lost(None));
    });
}

#[test]
fn the_result_arrives_after_a_server_restart() {
    let mut nats = NatsServer::start();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("build")).start();
    let gate = Gate::of(&host);
    let mut deploy = RunningCommand::start(operator(&nats, "tester").args(["deploy", "web1"]));
    deploy.wait_for_line("web1  build");
    nats.stop();
    deploy.wait_for_line("note: connection lost; the jobs on the hosts continue");
    // The job ends while the connection is down.
    gate.pass();
    host.wait_for_log("job completed");
    nats.restart();
    deploy.wait_for_line("note: reconnected; asking for the current state");
    let done = deploy.wait_for_exit(0);
    assert!(done.stdout.contains("\nweb1  completed  master"), "{done}");
}

#[test]
fn a_server_that_does_not_return_ends_in_a_timeout() {
    let mut nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("build")).start();
    let _gate = Gate::of(&host);
    let mut command = operator(&nats, "tester");
    let mut deploy = RunningCommand::start(command.args(["deploy", "web1", "--timeout", "2"]));
    deploy.wait_for_line("web1  build");
    nats.stop();
    let late = deploy.wait_for_exit(4);
    assert!(late.stdout.contains("note: connection lost"), "{late}");
    assert!(late.stdout.lines().last().unwrap().starts_with("web1  unknown"), "{late}");
}

#[test]
fn a_result_from_a_presence_message_is_reported_in_full() {
    let nats = NatsServer::start();
    let peer = FakeListener::start(&nats, base_presence("db1", "test", "db"), |_| Vec::new());
    let wire = RawClient::connect(&nats, "everything");
    let deploy = RunningCommand::start(operator(&nats, "tester").args(["deploy", "db1"]));
    let id = peer.request()["id"].as_str().unwrap().to_owned();
    let mut result = json!({"hostname": "db1", "status": "failed", "error": "build_failed", "message": "no", "id": id, "seq": 3});
    let mut announcement = base_presence("db1", "test", "db");
    announcement["job"] = result.clone();
    wire.publish("deploy.responses.presence", &announcement);
    result["diagnostics"] = json!("last words");
    wire.publish(&format!("deploy.responses.{id}"), &result);
    let failed = deploy.wait_for_exit(1);
    assert!(failed.stdout.starts_with("db1  failed (build failed): no\n"), "{failed}");
    assert!(failed.stdout.ends_with("\n  | last words\n"), "{failed}");
}
