//! Hosts that send arbitrary data: invalid messages are counted, control characters are removed, and the layout stays
//! intact.

use crate::common::{FakeListener, NatsServer, RawClient, base_presence, base_report, lines};
use crate::harness::Console;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PRESENCE: &str = "deploy.responses.presence";

/// Colours, a window title, the clipboard, a one-byte clear, terminal queries, a device string, a bell, reversed text,
/// a tab, line breaks, and wide, combining and invisible characters.
const EVIL: &str = "evil\u{1b}[31m\u{1b}]0;title\u{7}\u{1b}]52;c;ZXZpbA==\u{1b}\\\u{9b}2J\u{1b}[6n\u{1b}[?1003h\u{1b}Pq\u{1b}\\\
    \u{1b}c\u{1b}(0\u{8}\u{7}\u{202e}\t\r\nroot# \u{7f}\u{85}語語e\u{301}\u{301}\u{200b}\u{feff}👩\u{200d}🚒\u{0}end";

fn evil_answer(name: &str) -> Value {
    let mut answer = base_presence(name, "test", "legacy");
    let more = json!({"version": EVIL, "os_version": EVIL, "revision": EVIL, "commit": EVIL, "system": EVIL,
        "failed_units": [EVIL], "flake_url": EVIL, "warnings": [EVIL], "held": EVIL, "instance": EVIL});
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer
}

/// A report with hostile text in every field.
fn evil(id: &Value, status: &str, seq: u64) -> Value {
    let phases = json!([{"name": EVIL, "state": "running"}, {"name": "build", "state": EVIL}]);
    json!({"hostname": "old1", "id": id, "message": EVIL, "error": EVIL, "revision": EVIL, "commit": EVIL,
        "system": EVIL, "issuer": EVIL, "instance": EVIL, "action": EVIL, "status": status, "seq": seq,
        "phases": phases, "progress": {"activity": EVIL, "done": u64::MAX, "expected": u64::MAX - 1,
        "running": u64::MAX, "downloaded_bytes": u64::MAX, "expected_bytes": u64::MAX},
        "failed_units": [EVIL], "diagnostics": EVIL, "elapsed_ms": u64::MAX})
}

/// Waits until the frames of all boxes end in the right column.
fn keeps_its_layout(console: &mut Console) {
    console.until("boxes that end in the right column", |screen| {
        let (rows, columns) = screen.size();
        let lines = lines(screen);
        let ends = |row: u16| screen.cell(row, columns.get() - 1).map(|cell| cell.contents().to_owned());
        (0..rows.get()).zip(&lines).all(|(row, line)| {
            !line.starts_with(['┌', '│', '└']) || matches!(ends(row).as_deref(), Some("┐" | "│" | "┃" | "┘"))
        })
    });
}

#[test]
fn escape_sequences_of_hosts_do_not_reach_the_terminal() {
    let nats = NatsServer::start();
    let _peer = FakeListener::start(&nats, evil_answer("old1"), |request| {
        let id = &request["id"];
        vec![evil(id, EVIL, 1), evil(id, "running", 2)]
    });
    let wire = RawClient::connect(&nats, "everything");
    let mut console = Console::open(&nats, "tester");
    console.row("old1", &["! unit failed", "evil"]);
    console.shows("held: evil   root# ");
    keeps_its_layout(&mut console);
    console.deploy();
    // The host runs a job with hostile reports, which then fails.
    console.row("old1", &["▶ evil"]);
    console.shows("─ old1 ▸ evil   root# ");
    keeps_its_layout(&mut console);
    let id = json!("job-1");
    wire.publish("deploy.responses.job-1", &evil(&id, "failed", 3));
    console.row("old1", &["✗", "evil"]);
    console.shows("evil   root# 語語");
    keeps_its_layout(&mut console);
    wire.publish("deploy.responses.job-2", &evil(&id, "rejected", 4));
    console.line(&["was rejected"]);
    console.resize(200, 60);
    keeps_its_layout(&mut console);
    console.types("/state:evil");
    console.shows("no host matches");
    console.wrote_only_its_own();
}

#[test]
fn unreadable_messages_are_counted_and_shown() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let mut console = Console::open(&nats, "tester");
    console.wait_until_subscribed();
    // A host without a presence message reports a job.
    wire.publish("deploy.responses.a", &base_report("ghost", "running", None, "from nowhere"));
    console.row("ghost", &["▶ running", "from nowhere"]);
    let bad = [
        json!(["list"]),
        json!(EVIL),
        json!({"hostname": EVIL, "status": "running"}),
        json!({"hostname": "a b", "status": 7, "error": [], "message": {}}),
        json!({"hostname": "web1", "status": {}, "message": "x"}),
    ];
    for message in &bad {
        wire.publish("deploy.responses.b", message);
    }
    // The message exceeds the size limit of the fleet and is dropped unread.
    wire.publish(
        "deploy.responses.b",
        &json!({"hostname": "web1", "status": "failed", "message": "x".repeat(70_000)}),
    );
    wire.publish_bytes("deploy.responses.b", None, b"\xff\xfe{}\x1b[31m".to_vec());
    wire.publish(PRESENCE, &json!({"hostname": "web1", "tier": [EVIL]}));
    console.line(&[" 1 host ", "! 7 unreadable"]);
    console.shows("ignored an unreadable message: ");
    console.row("ghost", &["from nowhere"]);
    console.wrote_only_its_own();
}

#[test]
fn the_order_and_number_of_reports_do_not_matter() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let mut console = Console::open(&nats, "tester");
    console.wait_until_subscribed();
    wire.publish(PRESENCE, &base_presence("web1", "test", "web"));
    console.row("web1", &["● idle"]);
    let report = |seq: u64, status: &str, message: &str| {
        json!({"hostname": "web1", "id": "job", "instance": "one", "seq": seq, "status": status, "error": null,
            "message": message, "action": "switch", "revision": "main"})
    };
    let say = |report: &Value| wire.publish("deploy.responses.job", report);
    for _ in 0..3 {
        say(&report(5, "running", "the fifth"));
        say(&report(2, "running", "the second"));
    }
    console.row("web1", &["▶ running", "the fifth"]);
    say(&report(9, "completed", "the last"));
    for seq in [3, 9, 10, 1] {
        say(&report(seq, "running", "too late"));
    }
    console.row("web1", &["● idle", "main"]);
    // The message of another host arrives after all of them.
    wire.publish(PRESENCE, &base_presence("web2", "test", "web"));
    console.lists(&["web1", "web2"]);
    console.row("web1", &["● idle", "main"]);
    console.shows("the last");
}

#[test]
fn the_age_of_a_host_with_a_wrong_clock_uses_our_clock() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let mut console = Console::open(&nats, "tester");
    console.wait_until_subscribed();
    for (name, hours) in [("ahead", 5), ("behind", -5)] {
        let at = Timestamp::now() + SignedDuration::from_hours(hours);
        let mut answer = base_presence(name, "test", "web");
        answer["instance"] = json!(name);
        answer["booted_at"] = json!(at);
        wire.publish(PRESENCE, &answer);
        let report = json!({"hostname": name, "id": "job", "instance": name, "seq": 1, "status": "running",
            "error": null, "message": "at work", "at": at, "elapsed_ms": 1000, "heartbeat_s": 1});
        wire.publish("deploy.responses.job", &report);
    }
    for name in ["ahead", "behind"] {
        let row = console.row(name, &["▶ running", "at work"]);
        assert!(row.contains(" 0:0"), "seen seconds ago: {row}");
    }
    console.line(&["● 2 online", "▶ 2 deploying"]);
}

#[test]
fn names_of_any_length_and_any_number_of_roles_fit() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let mut console = Console::open(&nats, "tester");
    console.wait_until_subscribed();
    let longest = "x".repeat(63);
    let mut answer = base_presence(&longest, &"t".repeat(63), &"r".repeat(63));
    answer["instance"] = json!("one");
    wire.publish(PRESENCE, &answer);
    for n in 0..500 {
        wire.publish(PRESENCE, &base_presence(&format!("host{n}"), "test", &format!("role{n}")));
    }
    console.line(&[" 501 hosts ", "● 501 online"]);
    keeps_its_layout(&mut console);
    console.types("G");
    console.shows("─ xxxxxxxxxx");
    console.types("d");
    console.shows("[ Deploy to 1 host ]");
    keeps_its_layout(&mut console);
    // The choice before the first one is the last one.
    console.types("\u{1b}[D");
    console.shows("[ Deploy to 501 hosts ]");
    console.shows(" of 501, pgdn pgup ");
    console.types("\u{1b}");
    console.hides("[ Deploy to 501 hosts ]");
    console.types("/role:role499");
    console.lists(&["host499"]);
    console.types("\u{15}!role:web \rsss");
    console.line(&["sort: role"]);
    console.types("G");
    console.line(&["▸", " xxxxxxxx"]);
    keeps_its_layout(&mut console);
}
