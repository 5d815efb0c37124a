//! Presence messages that a listener sends without a query.

use crate::common::{HostBuilder, NatsServer, RawClient, eventually, is_running};
use crate::stage::{Stage, phase};
use serde_json::json;
use std::time::{Duration, Instant};

const PRESENCE: &str = "deploy.responses.presence";

#[test]
fn a_host_announces_itself_at_start_and_after_each_job() {
    let nats = NatsServer::start();
    let viewer = RawClient::connect(&nats, "viewer");
    let presence = viewer.subscribe(PRESENCE);
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let first = presence.next().body;
    assert_eq!(
        (&first["hostname"], &first["tier"], &first["role"]),
        (&json!("web1"), &json!("test"), &json!("web"))
    );
    assert_eq!(
        first["deploy_subjects"],
        json!(["deploy.test.web1", "deploy.test.all", "deploy.test.role.web"])
    );
    assert_eq!(first["interval_s"], 30);
    assert_eq!(first["capabilities"], json!(["build", "cancel", "hold", "release"]));
    assert!(first["instance"].is_string() && first["version"].is_string(), "{first}");
    assert!(first["job"].is_null() && first["query"].is_null(), "{first}");
    assert_ne!(first["online"], false);

    let operator = RawClient::connect(&nats, "tester");
    let request = json!({"action": "switch", "revision": "v1", "reply_to": "deploy.responses.p-1"});
    operator.publish("deploy.test.web1", &request);
    // The interval of 30 seconds has not passed, so the end of the job caused this message.
    let after = presence.next().body;
    assert_eq!((&after["job"]["id"], &after["job"]["status"]), (&json!("p-1"), &json!("completed")));
    assert_eq!(after["revision"], "v1");
}

#[test]
fn presence_is_repeated_after_the_interval() {
    let stage = Stage::with("", |host| host.args(&["--presence-interval", "1"]));
    let presence = stage.wire.subscribe(PRESENCE);
    presence.next();
    let started = Instant::now();
    let second = presence.next().body;
    assert_eq!(second["interval_s"], 1);
    // The jitter is a tenth of the interval, and the delivery takes time.
    assert!(started.elapsed() > Duration::from_millis(700), "{:?}", started.elapsed());
}

#[test]
fn with_an_interval_of_zero_no_presence_is_sent() {
    let nats = NatsServer::start();
    let operator = RawClient::connect(&nats, "tester");
    let presence = operator.subscribe(PRESENCE);
    let reports = operator.subscribe("deploy.responses.p-2");
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").args(&["--presence-interval", "0"]).start();
    let request = json!({"action": "switch", "revision": "v1", "reply_to": "deploy.responses.p-2"});
    // There is no presence message to wait for, so the request is repeated until it is accepted.
    eventually("an accepted request", || {
        operator.publish("deploy.test.web1", &request);
        reports.within(Duration::from_millis(100))
    });
    reports.final_report();
    host.terminate();
    assert!(host.wait_for_exit().success());
    operator.round_trip();
    assert!(presence.quiet(Duration::from_millis(50)).is_empty());
}

#[test]
fn a_stop_is_announced_and_the_exit_is_clean() {
    let mut stage = Stage::new("");
    let presence = stage.wire.subscribe(PRESENCE);
    let started = Instant::now();
    stage.host.terminate();
    let last = presence.next().body;
    assert_eq!((&last["hostname"], &last["online"]), (&json!("web1"), &json!(false)));
    assert_ne!(last["restarting"], true);
    assert_eq!(stage.host.wait_for_exit().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_stop_during_a_job_leaves_its_program_running_and_is_announced() {
    let script = format!("echo $$ > $DIR/pid\n{}read _ < $DIR/go\ntouch $DIR/finished", phase("activate"));
    let mut stage = Stage::with(&script, |host| host.gate("go"));
    let presence = stage.wire.subscribe(PRESENCE);
    let reports = stage.deploy("p-3", json!({}));
    let program = stage.host.pid("pid");
    reports.until(|report| report["message"] == "activate");
    stage.host.terminate();
    let last = presence.next().body;
    assert_eq!((&last["online"], &last["restarting"]), (&json!(false), &json!(true)));
    assert_eq!(last["job"]["id"], "p-3");
    assert_eq!(stage.host.wait_for_exit().code(), Some(0));
    assert!(is_running(program), "the program was ended with its listener");
    stage.host.open("go");
    eventually("the program finishing", || stage.host.file("finished").exists().then_some(()));
    stage.gone("pid");
}

#[test]
fn a_stop_is_clean_even_if_the_server_is_down_or_hangs() {
    let mut stage = Stage::new("");
    stage.nats.suspend();
    let started = Instant::now();
    stage.host.terminate();
    assert_eq!(stage.host.wait_for_exit().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());

    let mut nats = NatsServer::start();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").start();
    nats.stop();
    host.wait_for_log("not connected");
    let started = Instant::now();
    host.terminate();
    assert_eq!(host.wait_for_exit().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
