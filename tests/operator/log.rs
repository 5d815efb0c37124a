//! The log of a job, followed from a real listener: what is kept and what comes live make one text.

use crate::common::{Broker, DEADLINE, Followed, Heard, Host, HostBuilder, Wire, eventually};
use homelab_deploy::deployer::{LogNews, LogStart};
use serde_json::json;
use std::time::{Duration, Instant};

/// A broker, and `web1` with a program that waits at the gate `go` and can tell at the gate `told`.
struct Scene {
    wire: Wire,
    host: Host,
    broker: Broker,
}

impl Scene {
    fn new(script: &str) -> Self {
        let broker = Broker::start();
        let wire = Wire::connect(&broker, "everything");
        let presence = wire.listen("deploy.responses.presence");
        let host = HostBuilder::new(&broker, "web1", "test", "web").script(script);
        let host = host.gate("go").gate("told").start();
        // Said after it has subscribed, on the same connection.
        presence.next();
        Self { wire, host, broker }
    }

    /// Begins a job and waits until it is accepted.
    fn begin(&self, id: &str) {
        let reply_to = format!("deploy.responses.{id}");
        let reports = self.wire.listen(&reply_to);
        let request = json!({"action": "switch", "revision": "master", "reply_to": reply_to});
        self.wire.say("deploy.test.web1", &request);
        reports.next();
    }

    fn completes(&self, id: &str) {
        let reports = self.wire.listen(&format!("deploy.responses.{id}"));
        self.begin(id);
        reports.verdict();
    }

    fn follow(&self, id: &str, start: LogStart) -> Followed {
        Followed::open(&self.broker, "tester", "web1", id, start)
    }

    fn kept(&self, id: &str) -> String {
        std::fs::read_to_string(self.host.file("state/jobs").join(id).join("log")).unwrap()
    }
}

/// So many lines with characters of every length.
fn lines(count: usize) -> String {
    format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo \"line $i aü€😀\"; done")
}

const TELL: &str = "echo > $DIR/told; read _ < $DIR/go";

#[test]
fn what_was_written_before_and_what_comes_live_join_without_a_gap() {
    let scene = Scene::new(&format!("{}; echo held; {TELL}; {}; echo over", lines(5000), lines(2000)));
    scene.begin("f-1");
    let mut early = scene.follow("f-1", LogStart::From(0));
    scene.host.told("told");
    let mut late = scene.follow("f-1", LogStart::From(0));
    let before = [early.until("\nheld\n"), late.until("\nheld\n")];
    scene.host.open("go");
    let after = [early.until("\nover\n"), late.until("\nover\n")];
    let begun = Instant::now();
    early.ends();
    late.ends();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "the verdict tells of the end, not only the next question"
    );
    let kept = scene.kept("f-1");
    for ((first, before), (next, after)) in before.into_iter().zip(after) {
        assert_eq!((first, next), (0, before.len() as u64));
        assert!(before + &after == kept);
    }
    let mut afterwards = scene.follow("f-1", LogStart::From(0));
    assert!(afterwards.until("\nover\n") == (0, kept));
    afterwards.ends();
}

#[test]
fn a_line_is_told_while_the_program_runs_and_nobody_asks_for_it() {
    let scene = Scene::new(&format!("echo one; {TELL}; echo two; {TELL}"));
    let asks = scene.wire.listen("deploy.discover");
    scene.begin("f-2");
    scene.host.told("told");
    let mut log = scene.follow("f-2", LogStart::From(0));
    let (_, before) = log.until("\none\n");
    // More than one, where the host has announced itself in between.
    scene.wire.round_trip();
    assert_ne!(asks.arrived(), []);
    scene.host.open("go");
    assert_eq!(log.piece(), (before.len() as u64, "two\n".to_owned()));
    scene.wire.round_trip();
    assert_eq!(asks.arrived(), []);
    scene.host.open("go");
    log.ends();
}

#[test]
fn the_end_of_a_log_begins_with_a_line_and_goes_on() {
    let scene = Scene::new(&format!("{}; echo held; {TELL}; echo over", lines(9000)));
    scene.begin("f-3");
    scene.host.told("told");
    // What the program has written reaches the log through a pipe.
    let kept = eventually("all of it", || Some(scene.kept("f-3")).filter(|kept| kept.ends_with("\nheld\n")));
    // Where the last so many bytes begin: within the line before, just behind its end, and one byte before that.
    let line = kept.rfind("line 5000 ").unwrap();
    let mut followed = Vec::new();
    for bytes in [kept.len() - line + 5, kept.len() - line, kept.len() - line + 1] {
        let mut log = scene.follow("f-3", LogStart::Last(bytes as u64));
        let (offset, text) = log.until("\nheld\n");
        assert_eq!(offset, line as u64, "{bytes}");
        assert!(text == kept[line..]);
        followed.push(log);
    }
    let asks = scene.wire.listen("deploy.discover");
    let mut nothing = scene.follow("f-3", LogStart::Last(0));
    // It tells no old text, and knows where to begin once it asks from there.
    let begins = |ask: &Heard| ask.body["offset"] == kept.len() - 1;
    eventually("the question from there", || {
        nothing.quiet(Duration::from_millis(20));
        asks.arrived().iter().any(begins).then_some(())
    });
    followed.push(nothing);
    let mut all = scene.follow("f-3", LogStart::Last(u64::MAX));
    assert!(all.until("\nheld\n") == (0, kept.clone()));
    followed.push(all);
    scene.host.open("go");
    for mut log in followed {
        assert_eq!(log.piece(), (kept.len() as u64, "over\n".to_owned()));
        log.ends();
    }
}

#[test]
fn the_end_of_one_long_line_is_told_though_no_line_begins_there() {
    let scene = Scene::new("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); printf 'ü'; done");
    scene.completes("f-4");
    let kept = scene.kept("f-4");
    let mut log = scene.follow("f-4", LogStart::Last(101));
    // A byte of it belongs to a character that has begun before.
    assert_eq!(log.until("ü"), (kept.len() as u64 - 100, "ü".repeat(50)));
    log.ends();
}

#[test]
fn a_log_that_is_not_kept_is_missing() {
    let scene = Scene::new("");
    for start in [LogStart::From(0), LogStart::Last(100)] {
        let mut log = scene.follow("f-99", start);
        assert_eq!(log.news(), LogNews::Missing);
        assert_eq!(log.raw(), None);
    }
}

#[test]
fn what_was_written_while_the_server_was_away_is_told_once_it_is_back() {
    let mut scene = Scene::new(&format!("echo one; {TELL}; {}; {TELL}; echo over", lines(2000)));
    scene.begin("f-5");
    scene.host.told("told");
    let mut log = scene.follow("f-5", LogStart::From(0));
    let (_, before) = log.until("\none\n");
    scene.broker.stop();
    scene.host.open("go");
    scene.host.told("told");
    let mut opened_meanwhile = scene.follow("f-5", LogStart::Last(100_000));
    scene.broker.restart();
    let (next, meanwhile) = log.until("line 2000 aü€😀\n");
    assert_eq!(next, before.len() as u64);
    assert_eq!(opened_meanwhile.until("line 2000 aü€😀\n"), (0, before.clone() + &meanwhile));
    scene.host.open("go");
    let (_, over) = log.until("over\n");
    assert!(before + &meanwhile + &over == scene.kept("f-5"));
    log.ends();
    assert_eq!(opened_meanwhile.until("over\n").1, "over\n");
    opened_meanwhile.ends();
}

#[test]
fn a_wait_that_is_cut_short_loses_nothing() {
    let scene = Scene::new(&format!("{TELL}; {}; echo over", lines(9000)));
    scene.begin("f-6");
    scene.host.told("told");
    let mut log = scene.follow("f-6", LogStart::From(0));
    scene.host.open("go");
    let (mut all, begun) = (String::new(), Instant::now());
    loop {
        assert!(begun.elapsed() < DEADLINE, "no end after {} bytes", all.len());
        match log.within(Duration::from_micros(50)) {
            Err(_) => {}
            Ok(Some(Ok(LogNews::Text { offset, text }))) if offset == all.len() as u64 => all += &text,
            Ok(Some(Ok(LogNews::End))) => break,
            other => panic!("{other:?} after {} bytes", all.len()),
        }
    }
    assert!(all == scene.kept("f-6"));
}
