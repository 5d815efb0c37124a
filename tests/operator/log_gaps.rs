//! Following a log of fake hosts: lost lines, missing replies, and messages about other jobs.

use crate::common::{FakeListener, FollowedLog, NatsServer, RawClient, RawSubscription, base_presence};
use homelab_deploy::client::{LogEvent, LogStart};
use homelab_deploy::nats::NatsError;
use serde_json::{Value, json};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LINES: &str = "deploy.responses.j-1.log.db1";

/// The stored log of job `j-1` on `db1`, and whether the job is running.
#[derive(Clone)]
struct StoredLog(Arc<Mutex<(String, bool)>>);

/// A fake `db1`, a connection to publish in its name, and the received queries.
struct Scene {
    stored: StoredLog,
    queries: RawSubscription,
    wire: RawClient,
    nats: NatsServer,
    peer: Option<FakeListener>,
}

impl StoredLog {
    fn write(&self, text: &str) {
        self.0.lock().unwrap().0 += text;
    }

    fn end(&self) {
        self.0.lock().unwrap().1 = false;
    }

    /// The correct reply to a query.
    fn answer(&self, query: &Value) -> Value {
        let stored = self.0.lock().unwrap();
        let offset = usize::try_from(query["offset"].as_u64().unwrap()).unwrap().min(stored.0.len());
        json!({"query": "log", "id": query["id"], "hostname": "db1", "offset": offset, "text": stored.0[offset..],
            "eof": true, "running": stored.1})
    }
}

impl Scene {
    fn new(text: &str) -> Self {
        Self::with(text, |stored, query| vec![stored.answer(query)])
    }

    /// A host that answers log queries with this function.
    fn with(text: &str, mut answers: impl FnMut(&StoredLog, &Value) -> Vec<Value> + Send + 'static) -> Self {
        let nats = NatsServer::start();
        let stored = StoredLog(Arc::new(Mutex::new((text.to_owned(), true))));
        let of_peer = stored.clone();
        let peer = FakeListener::start(&nats, base_presence("db1", "test", "db"), move |query| {
            answers(&of_peer, query)
        });
        let wire = RawClient::connect(&nats, "everything");
        let queries = wire.subscribe("deploy.discover");
        Self { stored, queries, wire, nats, peer: Some(peer) }
    }

    fn follow(&self) -> FollowedLog {
        FollowedLog::open(&self.nats, "tester", "db1", "j-1", LogStart::From(0))
    }

    /// Waits for a query, which must come soon. No event may arrive before it.
    fn is_asked(&self, log: &mut FollowedLog) {
        let start = Instant::now();
        while self.queries.received().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(10), "no query was sent");
            log.quiet(Duration::from_millis(20));
        }
    }

    /// Publishes a live line.
    fn line(&self, offset: usize, text: &str) {
        self.wire.publish(LINES, &json!({"id": "j-1", "hostname": "db1", "offset": offset, "text": text}));
    }

    /// Publishes the final report.
    fn final_report(&self) {
        let report =
            json!({"hostname": "db1", "status": "completed", "error": null, "message": "", "id": "j-1"});
        self.wire.publish("deploy.responses.j-1", &report);
    }
}

#[test]
fn the_host_is_queried_and_a_lost_line_is_requested() {
    let scene = Scene::new("one\n");
    let mut log = scene.follow();
    assert_eq!(log.chunk(), (0, "one\n".to_owned()));
    let query = scene.queries.next().body;
    let meant = ["query", "id", "hosts", "offset"].map(|field| query[field].clone());
    assert_eq!(meant, [json!("log"), json!("j-1"), json!(["db1"]), json!(0)]);
    assert!(query["reply_to"].as_str().unwrap().starts_with("deploy.responses.ask."), "{query}");

    scene.stored.write("two\nthree\nfour\n");
    scene.line(8, "three\n");
    scene.line(14, "four\n");
    assert_eq!(log.until("four\n"), (4, "two\nthree\nfour\n".to_owned()));
    assert_eq!(scene.queries.next().body["offset"], 4);
    scene.line(8, "three\n");
    scene.line(19, "five\n");
    assert_eq!(log.chunk(), (19, "five\n".to_owned()), "known text is not repeated");
    scene.stored.write("five\n");
    scene.stored.end();
    scene.final_report();
    log.ends();
}

#[test]
fn the_end_is_noticed_without_a_final_report() {
    let scene = Scene::new("one\n");
    let mut log = scene.follow();
    log.chunk();
    scene.stored.write("two\n");
    scene.stored.end();
    assert_eq!(log.chunk(), (4, "two\n".to_owned()));
    log.ends();
}

#[test]
fn a_line_after_the_query_causes_another_query() {
    for first in ["", "one\n"] {
        let (let_go, held) = channel();
        let scene = Scene::with(first, move |stored, query| {
            let answer = stored.answer(query);
            held.recv().unwrap();
            vec![answer]
        });
        let mut log = scene.follow();
        scene.is_asked(&mut log);
        scene.stored.write("lost\nheard\n");
        scene.line(first.len() + 5, "heard\n");
        log.quiet(Duration::from_millis(50));
        for _ in 0..2 {
            let_go.send(()).unwrap();
        }
        assert_eq!(log.until("heard\n").1, format!("{first}lost\nheard\n"));
    }
}

#[test]
fn a_gap_that_the_host_cannot_fill_is_requested_a_few_times_and_ends_with_the_job() {
    let scene = Scene::new("one\n");
    let mut log = scene.follow();
    log.chunk();
    for at in 100..150 {
        scene.line(at * 10, "far away\n");
        log.quiet(Duration::from_millis(20));
    }
    assert!(scene.queries.received().len() < 10);
    scene.line(4, "two\n");
    assert_eq!(log.chunk(), (4, "two\n".to_owned()));
    scene.stored.end();
    scene.final_report();
    log.ends();
}

#[test]
fn messages_of_other_hosts_are_ignored() {
    let scene = Scene::with("one\n", |stored, query| {
        let other = |field: &str, value| {
            let mut answer = stored.answer(query);
            (answer[field], answer["text"]) = (json!(value), json!("other\n"));
            answer
        };
        vec![
            other("hostname", "db2"),
            other("id", "j-2"),
            json!({"hostname": 7}),
            json!([]),
            stored.answer(query),
        ]
    });
    let mut log = scene.follow();
    assert_eq!(log.chunk(), (0, "one\n".to_owned()));
    for (field, value) in [("id", json!("j-2")), ("hostname", json!("db2")), ("offset", json!(-4))] {
        let mut line = json!({"id": "j-1", "hostname": "db1", "offset": 4, "text": "other\n"});
        line[field] = value;
        scene.wire.publish(LINES, &line);
    }
    scene.wire.publish_bytes(LINES, None, b"\xff".to_vec());
    scene.line(4, "two\n");
    assert_eq!(log.chunk(), (4, "two\n".to_owned()));
}

#[test]
fn a_host_without_logs_is_reported_immediately() {
    let scene = Scene::with("", |_, _| vec![base_presence("db1", "test", "db")]);
    let mut log = scene.follow();
    assert_eq!(log.event(), LogEvent::NoAnswer);
    scene.queries.next();
    // Every query gets this reply, but the missing answer is reported once.
    scene.line(0, "a live line\n");
    assert_eq!(log.chunk(), (0, "a live line\n".to_owned()));
    scene.is_asked(&mut log);
    log.quiet(Duration::from_millis(100));
}

#[test]
fn an_offline_host_is_queried_again_when_a_line_arrives() {
    let mut asked = 0;
    let scene = Scene::with("one\n", move |stored, query| {
        asked += 1;
        if asked == 2 { vec![stored.answer(query)] } else { Vec::new() }
    });
    let mut log = scene.follow();
    assert_eq!(log.event(), LogEvent::NoAnswer);
    scene.stored.write("two\n");
    scene.line(4, "two\n");
    assert_eq!(log.until("two\n"), (0, "one\ntwo\n".to_owned()));
    scene.line(12, "four\n");
    assert_eq!(log.event(), LogEvent::NoAnswer);
    scene.line(8, "4th\n");
    assert_eq!(log.chunk(), (8, "4th\nfour\n".to_owned()));
}

#[test]
fn a_returning_host_is_queried_again() {
    let mut asked = 0;
    let scene = Scene::with("one\n", move |stored, query| {
        asked += 1;
        if asked == 1 { Vec::new() } else { vec![stored.answer(query)] }
    });
    let mut log = scene.follow();
    assert_eq!(log.event(), LogEvent::NoAnswer);
    let mut announcement = base_presence("db1", "test", "db");
    announcement["online"] = json!(false);
    scene.wire.publish("deploy.responses.presence", &announcement);
    // The host has gone offline.
    log.quiet(Duration::from_secs(1));
    announcement["online"] = json!(null);
    scene.wire.publish("deploy.responses.presence", &announcement);
    assert_eq!(log.until("\n"), (0, "one\n".to_owned()));
}

#[test]
fn messages_of_a_watch_reach_the_log() {
    let mut asked = 0;
    let scene = Scene::with("one\n", move |stored, query| {
        asked += 1;
        if asked == 1 { Vec::new() } else { vec![stored.answer(query)] }
    });
    let mut log = FollowedLog::beside(&scene.nats, "tester", "db1", "j-1", LogStart::From(0));
    assert_eq!(log.event(), LogEvent::NoAnswer);
    scene.wire.publish("deploy.responses.presence", &base_presence("db2", "test", "db"));
    // The presence is from another instance.
    log.quiet(Duration::from_secs(1));
    scene.wire.publish("deploy.responses.presence", &base_presence("db1", "test", "db"));
    assert_eq!(log.until("\n"), (0, "one\n".to_owned()));
    scene.stored.end();
    scene.final_report();
    assert_eq!(log.event_soon(), LogEvent::End);
    assert_eq!(log.raw(), None);
}

#[test]
fn a_returning_host_is_reported_without_new_lines() {
    let mut asked = 0;
    let scene = Scene::with("one\n", move |stored, query| {
        asked += 1;
        if asked == 2 { Vec::new() } else { vec![stored.answer(query)] }
    });
    let mut log = scene.follow();
    assert_eq!(log.chunk(), (0, "one\n".to_owned()));
    // A gap in the live lines triggers a query.
    scene.line(100, "far away\n");
    assert_eq!(log.event(), LogEvent::NoAnswer);
    scene.wire.publish("deploy.responses.presence", &base_presence("db1", "test", "db"));
    assert_eq!(log.event(), LogEvent::Recovered);
}

#[test]
fn a_reconnect_causes_a_query() {
    let mut scene = Scene::new("one\n");
    let mut log = scene.follow();
    log.chunk();
    scene.peer = None;
    // A gap, so that a query is pending when the connection is lost.
    scene.line(100, "far away\n");
    log.quiet(Duration::from_millis(50));
    scene.nats.stop();
    // The missing reply is not reported, because the connection is down.
    log.quiet(Duration::from_secs(3));
    scene.nats.restart();
    // The missing answer shows that a query was sent.
    assert_eq!(log.event_soon(), LogEvent::NoAnswer);
}

#[test]
fn a_key_without_query_permission_is_reported() {
    let nats = NatsServer::start();
    let mut log = FollowedLog::open(&nats, "web1", "db1", "j-1", LogStart::From(0));
    match log.raw() {
        Some(Err(NatsError::PermissionViolation(refusal))) => {
            assert!(refusal.subject.starts_with("deploy."), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(log.raw(), None);
}
