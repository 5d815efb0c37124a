//! Hosts whose clocks are wrong: the operator tells by how much, and sends once more by their time.

use crate::common::{Broker, HostBuilder, Peer, Wire, base_answer, base_report, operator, run};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A peer of `db1` whose clock is ahead, and that heeds `expires_at`.
fn ahead(broker: &Broker, by: SignedDuration) -> Peer {
    Peer::start(broker, base_answer("db1", "test", "db"), move |request| {
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
fn a_host_three_hours_ahead_gets_the_request_once_more_by_its_clock() {
    let broker = Broker::start();
    let by = SignedDuration::from_secs(3 * 3600 + 30);
    let peer = ahead(&broker, by);
    let done = run(operator(&broker, "tester").args(["deploy", "db1"]), 0);
    let note = "note: the clock of db1 is 3 h 0 min ahead of ours; sent again by its clock\n";
    assert!(done.out.starts_with(note), "{done}");
    assert!(!done.out.contains("expired"), "{done}");

    let (first, second) = (peer.request(), peer.request());
    assert_ne!(first["id"], second["id"]);
    assert_eq!(second["reply_to"], format!("deploy.responses.{}", second["id"].as_str().unwrap()));
    // When it was issued is told by our own clock: nobody has us sign what is of use at a time of their choice.
    for (field, by) in [("issued_at", SignedDuration::ZERO), ("expires_at", by)] {
        let off = time(&second, field).duration_since(time(&first, field)) - by;
        assert!(off.abs() < SignedDuration::from_secs(20), "{field} is off by {off}");
    }
    for field in ["action", "revision", "issuer"] {
        assert_eq!(first[field], second[field]);
    }
    assert_eq!(peer.others(), 0);
}

#[test]
fn a_retry_is_told_as_json_too() {
    let broker = Broker::start();
    let _peer = ahead(&broker, SignedDuration::from_hours(49));
    let lines = run(operator(&broker, "tester").args(["deploy", "db1", "--output", "json"]), 0).json();
    let [note, report, result] = &lines[..] else { panic!("{lines:?}") };
    let said = note["value"].as_str().unwrap();
    assert!(said.starts_with("the clock of db1 is 2 d 0 h ahead of ours"), "{said}");
    assert_eq!(report["value"]["status"], "completed");
    assert_eq!(result["value"]["hosts"][0]["verdict"], "completed");
}

#[test]
fn a_host_that_always_says_expired_gets_one_retry() {
    let broker = Broker::start();
    let peer = Peer::start(&broker, base_answer("db1", "test", "db"), |_| {
        let mut report = base_report("db1", "rejected", Some("expired"), "too late");
        report["at"] = json!(Timestamp::now() - SignedDuration::from_secs(150));
        vec![report]
    });
    let rejected = run(operator(&broker, "tester").args(["deploy", "db1"]), 1);
    assert!(rejected.out.contains("note: the clock of db1 is 2 min 30 s behind ours"), "{rejected}");
    assert!(rejected.out.contains("\ndb1  rejected (expired): too late\n"), "{rejected}");
    assert_ne!(peer.request()["id"], peer.request()["id"]);
    assert_eq!(peer.others(), 0);
}

#[test]
fn expired_without_a_time_is_a_verdict() {
    let broker = Broker::start();
    let peer = Peer::start(&broker, base_answer("db1", "test", "db"), |_| {
        vec![base_report("db1", "rejected", Some("expired"), "too late")]
    });
    run(operator(&broker, "tester").args(["deploy", "db1"]), 1);
    peer.request();
    assert_eq!(peer.others(), 0);
}

#[test]
fn a_subject_of_many_hosts_is_not_sent_to_again_for_one_of_them() {
    let broker = Broker::start();
    let peer = ahead(&broker, SignedDuration::from_hours(3));
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let wire = Wire::connect(&broker, "everything");
    let (to_all, to_one) = (wire.listen("deploy.test.all"), wire.listen("deploy.test.db1"));
    let done = run(operator(&broker, "tester").args(["deploy", "deploy.test.all"]), 0);
    assert!(done.out.contains("\ndb1   completed"), "{done}");
    wire.round_trip();
    assert_eq!(to_all.arrived().len(), 1, "once for all");
    assert_eq!(to_one.arrived().len(), 1, "and once more for the one whose clock is wrong");
    peer.request();
    peer.request();
    host.terminate();
    let jobs = host.rest_of_log().iter().filter(|line| line["msg"] == "accepted a job").count();
    assert_eq!(jobs, 1);
}
