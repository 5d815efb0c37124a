//! Logs: the last lines, and pages from any offset to the end.

use crate::common::{FakeListener, HostBuilder, NatsServer, base_presence};
use crate::harness::Session;
use serde_json::{Value, json};

/// Reads the log from the start in pages of `lines` lines. Returns the text and the number of calls.
fn whole(session: &mut Session, lines: u64) -> (String, usize) {
    let (mut text, mut offset, mut calls) = (String::new(), json!(0), 0);
    loop {
        let arguments = json!({"hostname": "web1", "lines": lines, "offset": offset});
        let piece = session.call("host_logs", &arguments);
        let piece = piece.done();
        assert_eq!(piece["offset"], offset);
        text.push_str(piece["text"].as_str().unwrap());
        offset = piece["next_offset"].clone();
        calls += 1;
        if piece["more"] == false {
            return (text, calls);
        }
    }
}

#[test]
fn the_last_lines_and_all_of_them() {
    let nats = NatsServer::start();
    let script = "for n in $(seq 30); do echo \"line $n: grün\"; done";
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script(script).start();
    let mut session = Session::open(&nats);
    session.call("deploy", &json!({"hostname": "web1"})).done();
    let tail = session.call("host_logs", &json!({"hostname": "web1", "lines": 2}));
    assert_eq!(tail.text(), "line 29: grün\nline 30: grün\n");
    let [(text, calls), (at_once, one)] = [7, 1000].map(|lines| whole(&mut session, lines));
    assert_eq!((&text, one), (&at_once, 1));
    assert!(calls > 4 && text.ends_with(tail.text()) && text.contains("\nline 1: grün\n"), "{calls}: {text}");
    let next = tail.done()["next_offset"].as_u64().unwrap();
    assert_eq!(next, text.len() as u64);
    let behind = session.call("host_logs", &json!({"hostname": "web1", "offset": next}));
    assert_eq!((&behind.done()["text"], &behind.done()["more"]), (&json!(""), &json!(false)));
    let nowhere = session.call("host_logs", &json!({"hostname": "web1", "offset": 1_000_000}));
    assert_eq!((&nowhere.done()["text"], &nowhere.done()["next_offset"]), (&json!(""), &json!(1_000_000)));
}

#[test]
fn a_log_of_mebibytes_is_read_in_pages() {
    let nats = NatsServer::start();
    let script =
        "head -c 200000 /dev/zero | tr '\\0' x; echo; seq 100000; head -c 70000 /dev/zero | tr '\\0' y";
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script(script).start();
    let mut session = Session::open(&nats);
    session.call("deploy", &json!({"hostname": "web1"})).done();
    let tail = session.call("host_logs", &json!({"hostname": "web1"}));
    assert_eq!(tail.text(), "y".repeat(tail.text().len()));
    assert!((60_000..=65_536).contains(&tail.text().len()), "{}", tail.text().len());
    let (text, _) = whole(&mut session, 1000);
    let numbers: Vec<_> = (1..=100_000).map(|n| n.to_string()).collect();
    let numbers = numbers.join("\n");
    let expected = format!("{}\n{numbers}\n{}", "x".repeat(200_000), "y".repeat(70_000));
    assert!(text.ends_with(&expected), "{} bytes", text.len());
}

#[test]
fn the_log_of_a_running_job_ends_at_its_current_content() {
    let nats = NatsServer::start();
    let script = "echo first; read go < $DIR/gate";
    let host = HostBuilder::new(&nats, "web1", "test", "web").gate("gate").script(script).start();
    let mut session = Session::open(&nats);
    let id = session.begin("deploy", &json!({"hostname": "web1"}));
    let running: Value = crate::common::eventually("the first line", || {
        let log = session.call("host_logs", &json!({"hostname": "web1"}));
        (log.0["isError"] == false && log.text().ends_with("first\n")).then_some(log.0)
    });
    assert!(running["structuredContent"]["deployment"].is_string());
    host.open("gate");
    session.called(id).done();
}

#[test]
fn an_endless_log_is_read_up_to_a_limit() {
    let nats = NatsServer::start();
    let mut host = base_presence("web1", "test", "web");
    host["capabilities"] = json!(["build"]);
    // The host always announces more and never reaches the end.
    let _peer = FakeListener::start(&nats, host, |ask| {
        let offset = ask["offset"].as_u64().unwrap_or(0);
        let offset = if offset > 1 << 40 { 0 } else { offset };
        let line = "x".repeat(999) + "\n";
        vec![json!({
            "query": "log", "id": ask["id"], "hostname": "web1", "offset": offset, "text": line.repeat(50), "eof": false,
            "running": false,
        })]
    });
    let mut session = Session::open(&nats);
    for offset in [json!(null), json!(0)] {
        let arguments = json!({"hostname": "web1", "deployment": "j-1", "lines": 1000, "offset": offset});
        let piece = session.call("host_logs", &arguments);
        assert_eq!(piece.done()["more"], true);
        assert!((30_000..=65_536).contains(&piece.text().len()), "{}", piece.text().len());
    }
}
