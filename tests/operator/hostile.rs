//! Escape sequences in any string of a message never reach the terminal.

use crate::common::{CommandOutput, FakeListener, NatsServer, Terminal, base_presence, operator, run};
use homelab_deploy::text::is_invisible;
use serde_json::{Value, json};

/// Colour, a window title, a C1 control, a bell, right-to-left override, invisible characters and a line break.
const HOSTILE: &str =
    "evil\u{e0041}\u{ad}\u{fe0f}\u{1b}[31m\u{1b}]0;title\u{7}\u{9b}2J\u{7}\u{202e}\r\nroot# \u{7f}";

/// Fails if a control character was printed.
fn assert_harmless(ended: &CommandOutput) {
    for text in [&ended.stdout, &ended.stderr] {
        let bad = |c: char| (c.is_control() && c != '\n') || is_invisible(c);
        assert!(!text.contains(bad), "{text:?}");
    }
    assert!(
        format!("{}{}", ended.stdout, ended.stderr).contains("evil"),
        "the hostile string is missing: {ended}"
    );
    let own_line = |line: &str| line.trim_start().starts_with("root#");
    assert!(!ended.stdout.lines().chain(ended.stderr.lines()).any(own_line), "{ended}");
}

/// A presence with hostile content in every string.
fn hostile_answer() -> Value {
    let mut answer = base_presence("old1", "test", "legacy");
    let more = json!({"version": HOSTILE, "os_version": HOSTILE, "revision": HOSTILE, "commit": HOSTILE, "system": HOSTILE,
        "failed_units": [HOSTILE], "flake_url": HOSTILE, "warnings": [HOSTILE], "held": HOSTILE, "instance": HOSTILE});
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer
}

fn hostile_reports(request: &Value) -> Vec<Value> {
    let id = &request["id"];
    let common = json!({"hostname": "old1", "id": id, "message": HOSTILE, "error": HOSTILE, "revision": HOSTILE,
        "commit": HOSTILE, "system": HOSTILE, "issuer": HOSTILE, "instance": HOSTILE, "action": HOSTILE});
    let with = |more: Value| {
        let mut report = common.clone();
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        report
    };
    let phases = json!([{"name": HOSTILE, "state": "running"}]);
    vec![
        with(json!({"status": HOSTILE, "seq": 1})),
        with(json!({"status": "running", "seq": 2, "phases": phases, "progress": {"activity": HOSTILE}})),
        with(json!({"status": "running", "at": HOSTILE})),
        with(json!({"status": {"evil": HOSTILE}, "seq": HOSTILE})),
        with(
            json!({"status": "failed", "seq": 3, "failed_units": [HOSTILE], "diagnostics": format!("{HOSTILE}\n{HOSTILE}")}),
        ),
    ]
}

#[test]
fn escape_sequences_of_a_report_are_not_printed() {
    let nats = NatsServer::start();
    let _peer = FakeListener::start(&nats, hostile_answer(), hostile_reports);
    for format in ["human", "json"] {
        assert_harmless(&run(operator(&nats, "tester").args(["deploy", "old1", "--output", format]), 1));
    }
    let mut command = operator(&nats, "tester");
    let screen = Terminal::start(command.args(["deploy", "old1"])).wait_for_exit();
    assert!(screen.clean && screen.text.contains("evil"), "{}", screen.text);
    assert!(!screen.raw.contains("\u{1b}]") && !screen.raw.contains(['\u{7}', '\u{9b}', '\u{202e}']));
}

#[test]
fn escape_sequences_of_an_answer_are_not_printed() {
    let nats = NatsServer::start();
    let job = hostile_reports(&json!({"id": "job-1"})).pop().unwrap();
    let mut answer = hostile_answer();
    answer["job"] = job;
    let _peer = FakeListener::start(&nats, answer, |_| Vec::new());
    for format in ["human", "json"] {
        assert_harmless(&run(operator(&nats, "tester").args(["hosts", "--output", format]), 0));
    }
}

#[test]
fn escape_sequences_of_an_answer_that_cannot_be_read_are_not_printed() {
    let nats = NatsServer::start();
    // Each user queries for the first time, and so waits for all answers.
    for (user, field, value) in [
        ("admin", "hostname", json!(HOSTILE)),
        ("tester", "tier", json!([HOSTILE])),
        ("viewer", "booted_at", json!(HOSTILE)),
    ] {
        let mut answer = base_presence("old1", "test", "legacy");
        answer[field] = value;
        let _peer = FakeListener::start(&nats, answer, |_| Vec::new());
        let _good = FakeListener::start(&nats, base_presence("evil", "test", "any"), |_| Vec::new());
        let listed = run(operator(&nats, user).arg("hosts"), 0);
        assert_harmless(&listed);
        assert!(listed.stdout.contains("note: could not read a reply: bad field"), "{listed}");
        assert_harmless(&run(operator(&nats, user).args(["hosts", "--output", "json"]), 0));
    }
}

#[test]
fn escape_sequences_of_past_jobs_changes_and_logs_are_not_printed() {
    let nats = NatsServer::start();
    let mut answer = hostile_answer();
    answer["capabilities"] = json!(["rollback", HOSTILE]);
    let _peer = FakeListener::start(&nats, answer, |asked| {
        let mut report = hostile_reports(asked).pop().unwrap();
        report["phases"] = json!([{"name": HOSTILE, "state": "done"}, {"name": HOSTILE, "state": HOSTILE}]);
        let entry = json!({"id": "h-1", "at": "2026-01-01T00:00:00Z", "action": HOSTILE, "status": HOSTILE,
            "error": HOSTILE, "issuer": HOSTILE, "revision": HOSTILE, "commit": HOSTILE});
        match asked["query"].as_str() {
            Some("history") => vec![json!({"query": "history", "hostname": "old1", "entries": [entry]})],
            Some("job") => {
                report["id"] = json!("h-1");
                vec![json!({"query": "job", "hostname": "old1", "report": report})]
            }
            Some(_) => vec![json!({"query": "log", "id": "h-1", "hostname": "old1", "offset": 0,
                "text": format!("{HOSTILE}\n{HOSTILE}"), "eof": true})],
            None => {
                report["status"] = json!("completed");
                report["changes"] = json!({"units_stopped": [HOSTILE], "units_started": [HOSTILE],
                    "units_restarted": [HOSTILE], "packages": [{"name": HOSTILE, "from": HOSTILE, "to": HOSTILE}]});
                vec![report]
            }
        }
    });
    for command in ["status", "history", "diff", "rollback", "logs"] {
        for format in ["human", "json"] {
            let args = [command, "old1", "--output", format];
            let ended = run(operator(&nats, "tester").args(args), 0);
            // A log may have line breaks.
            let out =
                if command == "logs" { ended.stdout.replace("\nroot#", " root#") } else { ended.stdout };
            assert_harmless(&CommandOutput { stdout: out, ..ended });
        }
        let screen = Terminal::start(operator(&nats, "tester").args([command, "old1"])).wait_for_exit();
        assert_eq!(screen.code, 0, "{}", screen.text);
        assert!(screen.clean && screen.text.contains("evil"), "{}", screen.text);
        assert!(!screen.raw.contains("\u{1b}]") && !screen.raw.contains(['\u{7}', '\u{9b}', '\u{202e}']));
    }
}

#[test]
fn escape_sequences_in_an_error_are_not_printed() {
    let nats = NatsServer::start();
    let peer = |instance: &str, subject: &str, name: &str| {
        let mut answer = base_presence(name, "test", "any");
        answer["instance"] = json!(instance);
        answer["deploy_subjects"] = json!([subject]);
        FakeListener::start(&nats, answer, |_| Vec::new())
    };
    let shared = "deploy.test.evil\u{1b}[31m\u{9b}2J";
    let _two = ["web1", "web2"].map(|name| peer("one", shared, name));
    let refused = run(operator(&nats, "tester").args(["deploy", "web1"]), 2);
    refused.assert_stderr(&["web1 does not listen on deploy.test.web1 but on deploy.test.evil"]);
    assert_harmless(&refused);

    let _twins = [HOSTILE, "other"].map(|instance| peer(instance, "deploy.test.db1", "db1"));
    let refused = run(operator(&nats, "admin").args(["deploy", "db1"]), 2);
    refused.assert_stderr(&["2 listeners claim the name db1"]);
    assert_harmless(&refused);
}

#[test]
fn an_invalid_message_is_reported_and_harmless() {
    let nats = NatsServer::start();
    let _peer = FakeListener::start(&nats, base_presence("old1", "test", "legacy"), |_| {
        let done = json!({"hostname": "old1", "status": "completed", "message": "evil"});
        let big = json!({"hostname": "old1", "status": "failed", "message": "x".repeat(70_000)});
        vec![json!(["list", "accepted"]), json!(HOSTILE), json!({}), big, json!({"status": "failed"}), done]
    });
    let done = run(operator(&nats, "tester").args(["deploy", "old1"]), 0);
    assert_harmless(&done);
    for reason in ["the message is not a JSON object", "bad field `hostname`: it is missing"] {
        assert!(
            done.stdout.contains(&format!("note: ignored an unreadable message: {reason}")),
            "{reason}: {done}"
        );
    }
}
