//! What a listener announces by itself.

use crate::common::{Broker, HostBuilder, Wire, eventually, runs};
use crate::stage::{Stage, phase};
use rustix::process::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

const PRESENCE: &str = "deploy.responses.presence";

#[test]
fn a_host_announces_itself_at_start_and_after_each_job() {
    let broker = Broker::start();
    let viewer = Wire::connect(&broker, "viewer");
    let presence = viewer.listen(PRESENCE);
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
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
    assert!(first["job"].is_null() && first["want"].is_null(), "{first}");
    assert_ne!(first["online"], false);

    let operator = Wire::connect(&broker, "tester");
    let request = json!({"action": "switch", "revision": "v1", "reply_to": "deploy.responses.p-1"});
    operator.say("deploy.test.web1", &request);
    // Thirty seconds have not gone by: it is the job's end that is announced.
    let after = presence.next().body;
    assert_eq!((&after["job"]["id"], &after["job"]["status"]), (&json!("p-1"), &json!("completed")));
    assert_eq!(after["revision"], "v1");
}

#[test]
fn announcements_come_again_after_the_interval() {
    let stage = Stage::with("", |host| host.args(&["--presence-interval", "1"]));
    let presence = stage.wire.listen(PRESENCE);
    presence.next();
    let begun = Instant::now();
    let second = presence.next().body;
    assert_eq!(second["interval_s"], 1);
    // A tenth of jitter either way, and the time that the message itself took.
    assert!(begun.elapsed() > Duration::from_millis(700), "{:?}", begun.elapsed());
}

#[test]
fn without_an_interval_nothing_is_ever_announced() {
    let broker = Broker::start();
    let operator = Wire::connect(&broker, "tester");
    let presence = operator.listen(PRESENCE);
    let reports = operator.listen("deploy.responses.p-2");
    let mut host =
        HostBuilder::new(&broker, "web1", "test", "web").args(&["--presence-interval", "0"]).start();
    let request = json!({"action": "switch", "revision": "v1", "reply_to": "deploy.responses.p-2"});
    // There is no announcement to wait for, so it is asked until it answers.
    eventually("an accepted request", || {
        operator.say("deploy.test.web1", &request);
        reports.within(Duration::from_millis(100))
    });
    reports.verdict();
    host.terminate();
    assert!(host.ended().success());
    operator.round_trip();
    assert!(presence.quiet(Duration::from_millis(50)).is_empty());
}

#[test]
fn a_stop_is_announced_and_the_exit_is_clean() {
    let mut stage = Stage::new("");
    let presence = stage.wire.listen(PRESENCE);
    let begun = Instant::now();
    stage.host.terminate();
    let last = presence.next().body;
    assert_eq!((&last["hostname"], &last["online"]), (&json!("web1"), &json!(false)));
    assert_ne!(last["restarting"], true);
    assert_eq!(stage.host.ended().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_stop_during_a_job_leaves_its_program_running_and_says_so() {
    let script = format!("echo $$ > $DIR/pid\n{}read _ < $DIR/go\ntouch $DIR/finished", phase("activate"));
    let mut stage = Stage::with(&script, |host| host.gate("go"));
    let presence = stage.wire.listen(PRESENCE);
    let reports = stage.deploy("p-3", json!({}));
    let program = stage.host.pid("pid");
    reports.until(|report| report["message"] == "activate");
    stage.host.terminate();
    let last = presence.next().body;
    assert_eq!((&last["online"], &last["restarting"]), (&json!(false), &json!(true)));
    assert_eq!(last["job"]["id"], "p-3");
    assert_eq!(stage.host.ended().code(), Some(0));
    assert!(runs(program), "the program was ended with its listener");
    stage.host.open("go");
    eventually("the program finishing", || stage.host.file("finished").exists().then_some(()));
    stage.gone("pid");
}

#[test]
fn a_stop_without_a_server_and_one_with_a_server_that_hangs_are_clean_too() {
    let mut stage = Stage::new("");
    stage.broker.signal(Signal::STOP);
    let begun = Instant::now();
    stage.host.terminate();
    assert_eq!(stage.host.ended().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());

    let mut broker = Broker::start();
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").start();
    broker.stop();
    host.logged("not connected");
    let begun = Instant::now();
    host.terminate();
    assert_eq!(host.ended().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
