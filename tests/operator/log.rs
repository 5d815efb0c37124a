//! Following the log of a job on a real listener: stored and live parts form one text.

use crate::common::{
    DEADLINE, FollowedLog, Host, HostBuilder, NatsServer, RawClient, RawMessage, eventually,
};
use homelab_deploy::client::{LogEvent, LogStart};
use serde_json::json;
use std::time::{Duration, Instant};

/// A server and `web1`, whose program waits at the gate `go` and can signal at the gate `reached`.
struct Scene {
    wire: RawClient,
    host: Host,
    nats: NatsServer,
}

impl Scene {
    fn new(script: &str) -> Self {
        let nats = NatsServer::start();
        let wire = RawClient::connect(&nats, "everything");
        let presence = wire.subscribe("deploy.responses.presence");
        let host = HostBuilder::new(&nats, "web1", "test", "web").script(script);
        let host = host.gate("go").gate("reached").start();
        // Presence is published after the subscriptions on the same connection.
        presence.next();
        Self { wire, host, nats }
    }

    /// Starts a job and waits until it is accepted.
    fn begin(&self, id: &str) {
        let reply_to = format!("deploy.responses.{id}");
        let reports = self.wire.subscribe(&reply_to);
        let request = json!({"action": "switch", "revision": "master", "reply_to": reply_to});
        self.wire.publish("deploy.test.web1", &request);
        reports.next();
    }

    fn completes(&self, id: &str) {
        let reports = self.wire.subscribe(&format!("deploy.responses.{id}"));
        self.begin(id);
        reports.final_report();
    }

    fn follow(&self, id: &str, start: LogStart) -> FollowedLog {
        FollowedLog::open(&self.nats, "tester", "web1", id, start)
    }

    fn stored(&self, id: &str) -> String {
        std::fs::read_to_string(self.host.file("state/jobs").join(id).join("log")).unwrap()
    }
}

/// A script that prints this many lines with characters of each UTF-8 length.
fn lines(count: usize) -> String {
    format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo \"line $i aü€😀\"; done")
}

const NOTIFY: &str = "echo > $DIR/reached; read _ < $DIR/go";

#[test]
fn stored_and_live_lines_join_without_a_gap() {
    let scene = Scene::new(&format!("{}; echo held; {NOTIFY}; {}; echo over", lines(5000), lines(2000)));
    scene.begin("f-1");
    let mut early = scene.follow("f-1", LogStart::From(0));
    scene.host.wait_for_line("reached");
    let mut late = scene.follow("f-1", LogStart::From(0));
    let before = [early.until("\nheld\n"), late.until("\nheld\n")];
    scene.host.open("go");
    let after = [early.until("\nover\n"), late.until("\nover\n")];
    let start = Instant::now();
    early.ends();
    late.ends();
    assert!(start.elapsed() < Duration::from_secs(10), "the final report ends the log before the next query");
    let stored = scene.stored("f-1");
    for ((first, before), (next, after)) in before.into_iter().zip(after) {
        assert_eq!((first, next), (0, before.len() as u64));
        assert!(before + &after == stored);
    }
    let mut afterwards = scene.follow("f-1", LogStart::From(0));
    assert!(afterwards.until("\nover\n") == (0, stored));
    afterwards.ends();
}

#[test]
fn a_line_is_printed_while_the_program_runs_without_a_query() {
    let scene = Scene::new(&format!("echo one; {NOTIFY}; echo two; {NOTIFY}"));
    let asks = scene.wire.subscribe("deploy.discover");
    scene.begin("f-2");
    scene.host.wait_for_line("reached");
    let mut log = scene.follow("f-2", LogStart::From(0));
    let (_, before) = log.until("\none\n");
    // There is more than one query if the host announced itself in between.
    scene.wire.round_trip();
    assert_ne!(asks.received(), []);
    scene.host.open("go");
    assert_eq!(log.chunk(), (before.len() as u64, "two\n".to_owned()));
    scene.wire.round_trip();
    assert_eq!(asks.received(), []);
    scene.host.open("go");
    log.ends();
}

#[test]
fn the_end_of_a_log_starts_at_a_line_and_continues() {
    let scene = Scene::new(&format!("{}; echo held; {NOTIFY}; echo over", lines(9000)));
    scene.begin("f-3");
    scene.host.wait_for_line("reached");
    // The program's output reaches the log through a pipe, with a delay.
    let stored =
        eventually("all of it", || Some(scene.stored("f-3")).filter(|stored| stored.ends_with("\nheld\n")));
    // Start offsets: within the previous line, just after its end, and one byte before that.
    let line = stored.rfind("line 5000 ").unwrap();
    let mut followed = Vec::new();
    for bytes in [stored.len() - line + 5, stored.len() - line, stored.len() - line + 1] {
        let mut log = scene.follow("f-3", LogStart::Last(bytes as u64));
        let (offset, text) = log.until("\nheld\n");
        assert_eq!(offset, line as u64, "{bytes}");
        assert!(text == stored[line..]);
        followed.push(log);
    }
    let asks = scene.wire.subscribe("deploy.discover");
    let mut nothing = scene.follow("f-3", LogStart::Last(0));
    // No old text is returned. The query that starts at the end has fixed the start offset.
    let begins = |ask: &RawMessage| ask.body["offset"] == stored.len() - 1;
    eventually("the question from there", || {
        nothing.quiet(Duration::from_millis(20));
        asks.received().iter().any(begins).then_some(())
    });
    followed.push(nothing);
    let mut all = scene.follow("f-3", LogStart::Last(u64::MAX));
    assert!(all.until("\nheld\n") == (0, stored.clone()));
    followed.push(all);
    scene.host.open("go");
    for mut log in followed {
        assert_eq!(log.chunk(), (stored.len() as u64, "over\n".to_owned()));
        log.ends();
    }
}

#[test]
fn the_end_of_one_long_line_is_printed() {
    let scene = Scene::new("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); printf 'ü'; done");
    scene.completes("f-4");
    let stored = scene.stored("f-4");
    let mut log = scene.follow("f-4", LogStart::Last(101));
    // The first byte belongs to a character that starts before the offset.
    assert_eq!(log.until("ü"), (stored.len() as u64 - 100, "ü".repeat(50)));
    log.ends();
}

#[test]
fn a_log_that_is_not_stored_is_missing() {
    let scene = Scene::new("");
    for start in [LogStart::From(0), LogStart::Last(100)] {
        let mut log = scene.follow("f-99", start);
        assert_eq!(log.event(), LogEvent::Missing);
        assert_eq!(log.raw(), None);
    }
}

#[test]
fn lines_written_during_an_outage_are_printed_after_the_reconnect() {
    let mut scene = Scene::new(&format!("echo one; {NOTIFY}; {}; {NOTIFY}; echo over", lines(2000)));
    scene.begin("f-5");
    scene.host.wait_for_line("reached");
    let mut log = scene.follow("f-5", LogStart::From(0));
    let (_, before) = log.until("\none\n");
    scene.nats.stop();
    scene.host.open("go");
    scene.host.wait_for_line("reached");
    let mut opened_during = scene.follow("f-5", LogStart::Last(100_000));
    scene.nats.restart();
    let (next, during) = log.until("line 2000 aü€😀\n");
    assert_eq!(next, before.len() as u64);
    assert_eq!(opened_during.until("line 2000 aü€😀\n"), (0, before.clone() + &during));
    scene.host.open("go");
    let (_, over) = log.until("over\n");
    assert!(before + &during + &over == scene.stored("f-5"));
    log.ends();
    assert_eq!(opened_during.until("over\n").1, "over\n");
    opened_during.ends();
}

#[test]
fn a_wait_that_is_cut_short_loses_nothing() {
    let scene = Scene::new(&format!("{NOTIFY}; {}; echo over", lines(9000)));
    scene.begin("f-6");
    scene.host.wait_for_line("reached");
    let mut log = scene.follow("f-6", LogStart::From(0));
    scene.host.open("go");
    let (mut all, start) = (String::new(), Instant::now());
    loop {
        assert!(start.elapsed() < DEADLINE, "no end after {} bytes", all.len());
        match log.within(Duration::from_micros(50)) {
            Err(_) => {}
            Ok(Some(Ok(LogEvent::Text { offset, text }))) if offset == all.len() as u64 => all += &text,
            Ok(Some(Ok(LogEvent::End))) => break,
            other => panic!("{other:?} after {} bytes", all.len()),
        }
    }
    assert!(all == scene.stored("f-6"));
}
