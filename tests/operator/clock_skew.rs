//! Hosts with wrong clocks: the operator reports the offset and sends the request again with adjusted times.

use crate::common::{
    FakeListener, HostBuilder, NatsServer, RawClient, base_presence, base_report, operator, run,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A fake `db1` whose clock is ahead and that enforces `expires_at`.
fn ahead(nats: &NatsServer, by: SignedDuration) -> FakeListener {
    FakeListener::start(nats, base_presence("db1", "test", "db"), move |request| {
        let now = Timestamp::now() + by;
        let mut report = if expires_at(request) < now {
            base_report("db1", "rejected", Some("expired"), "too late")
        } else {
            base_report("db1", "completed", None, "done")
        };
        report["at"] = json!(now);
        report["id"] = request["id"].clone();
        vec![report]
    })
}

fn time(request: &Value, field: &str) -> Timestamp {
    request[field].as_str().unwrap().parse().unwrap()
}

fn expires_at(request: &Value) -> Timestamp {
    time(request, "expires_at")
}

#[test]
fn a_host_three_hours_ahead_gets_the_request_again_by_its_clock() {
    let nats = NatsServer::start();
    let by = SignedDuration::from_secs(3 * 3600 + 30);
    let peer = ahead(&nats, by);
    let done = run(operator(&nats, "tester").args(["deploy", "db1"]), 0);
    let note = "note: the clock of db1 is 3 h 0 min ahead of ours; sent again with an expiry by its clock\n";
    assert!(done.stdout.starts_with(note), "{done}");
    assert!(!done.stdout.contains("expired"), "{done}");

    let (first, second) = (peer.request(), peer.request());
    assert_ne!(first["id"], second["id"]);
    assert_eq!(second["reply_to"], format!("deploy.responses.{}", second["id"].as_str().unwrap()));
    // `issued_at` stays on the operator's clock, so that a host cannot obtain a signed request for a time of its
    // choice.
    for (field, by) in [("issued_at", SignedDuration::ZERO), ("expires_at", by)] {
        let off = time(&second, field).duration_since(time(&first, field)) - by;
        assert!(off.abs() < SignedDuration::from_secs(20), "{field} is off by {off}");
    }
    for field in ["action", "revision", "issuer"] {
        assert_eq!(first[field], second[field]);
    }
    assert_eq!(peer.unread_requests(), 0);
}

#[test]
fn a_retry_is_an_event_in_json() {
    let nats = NatsServer::start();
    let _peer = ahead(&nats, SignedDuration::from_hours(49));
    let lines = run(operator(&nats, "tester").args(["deploy", "db1", "--output", "json"]), 0).json();
    let [note, report, result] = &lines[..] else { panic!("{lines:?}") };
    let message = note["value"].as_str().unwrap();
    assert!(message.starts_with("the clock of db1 is 2 d 0 h ahead of ours"), "{message}");
    assert_eq!(report["value"]["status"], "completed");
    assert_eq!(result["value"]["hosts"][0]["result"], "completed");
}

#[test]
fn a_host_that_always_says_expired_gets_one_retry() {
    let nats = NatsServer::start();
    let peer = FakeListener::start(&nats, base_presence("db1", "test", "db"), |_| {
        let mut report = base_report("db1", "rejected", Some("expired"), "too late");
        report["at"] = json!(Timestamp::now() - SignedDuration::from_secs(150));
        vec![report]
    });
    let rejected = run(operator(&nats, "tester").args(["deploy", "db1"]), 1);
    assert!(rejected.stdout.contains("note: the clock of db1 is 2 min 30 s behind ours"), "{rejected}");
    assert!(rejected.stdout.contains("\ndb1  rejected (expired): too late\n"), "{rejected}");
    assert_ne!(peer.request()["id"], peer.request()["id"]);
    assert_eq!(peer.unread_requests(), 0);
}

#[test]
fn expired_without_a_time_is_a_final_report() {
    let nats = NatsServer::start();
    let peer = FakeListener::start(&nats, base_presence("db1", "test", "db"), |_| {
        vec![base_report("db1", "rejected", Some("expired"), "too late")]
    });
    run(operator(&nats, "tester").args(["deploy", "db1"]), 1);
    peer.request();
    assert_eq!(peer.unread_requests(), 0);
}

#[test]
fn a_resend_to_one_host_does_not_use_the_subject_of_many() {
    let nats = NatsServer::start();
    let peer = ahead(&nats, SignedDuration::from_hours(3));
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let wire = RawClient::connect(&nats, "everything");
    let (to_all, to_one) = (wire.subscribe("deploy.test.all"), wire.subscribe("deploy.test.db1"));
    let done = run(operator(&nats, "tester").args(["deploy", "deploy.test.all"]), 0);
    assert!(done.stdout.contains("\ndb1   completed"), "{done}");
    wire.round_trip();
    assert_eq!(to_all.received().len(), 1, "one message for all");
    assert_eq!(to_one.received().len(), 1, "and one more for the host whose clock is wrong");
    peer.request();
    peer.request();
    host.terminate();
    let jobs = host.rest_of_log().iter().filter(|line| line["msg"] == "accepted a job").count();
    assert_eq!(jobs, 1);
}
