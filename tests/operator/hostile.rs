//! Peers that put escape sequences wherever text fits: none of it reaches the terminal.

use crate::common::{Broker, Ended, Peer, Terminal, base_answer, operator, run};
use homelab_deploy::protocol::is_invisible;
use serde_json::{Value, json};

/// Red, a new title, a cleared screen in one byte, a bell, right-to-left, invisible ones, and a line of its own.
const EVIL: &str =
    "evil\u{e0041}\u{ad}\u{fe0f}\u{1b}[31m\u{1b}]0;title\u{7}\u{9b}2J\u{7}\u{202e}\r\nroot# \u{7f}";

/// Fails where a control character was printed.
fn harmless(ended: &Ended) {
    for text in [&ended.out, &ended.err] {
        let bad = |c: char| (c.is_control() && c != '\n') || is_invisible(c);
        assert!(!text.contains(bad), "{text:?}");
    }
    assert!(format!("{}{}", ended.out, ended.err).contains("evil"), "it says nothing of it: {ended}");
    let own_line = |line: &str| line.trim_start().starts_with("root#");
    assert!(!ended.out.lines().chain(ended.err.lines()).any(own_line), "{ended}");
}

/// Says everything that can be said in an evil way.
fn evil_answer() -> Value {
    let mut answer = base_answer("old1", "test", "legacy");
    let more = json!({"version": EVIL, "os_version": EVIL, "revision": EVIL, "commit": EVIL, "system": EVIL,
        "failed_units": [EVIL], "flake_url": EVIL, "warnings": [EVIL], "held": EVIL, "instance": EVIL});
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer
}

fn evil_reports(request: &Value) -> Vec<Value> {
    let id = &request["id"];
    let common = json!({"hostname": "old1", "id": id, "message": EVIL, "error": EVIL, "revision": EVIL,
        "commit": EVIL, "system": EVIL, "issuer": EVIL, "instance": EVIL, "action": EVIL});
    let with = |more: Value| {
        let mut report = common.clone();
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        report
    };
    let phases = json!([{"name": EVIL, "state": "running"}]);
    vec![
        with(json!({"status": EVIL, "seq": 1})),
        with(json!({"status": "running", "seq": 2, "phases": phases, "progress": {"activity": EVIL}})),
        with(json!({"status": "running", "at": EVIL})),
        with(json!({"status": {"evil": EVIL}, "seq": EVIL})),
        with(
            json!({"status": "failed", "seq": 3, "failed_units": [EVIL], "diagnostics": format!("{EVIL}\n{EVIL}")}),
        ),
    ]
}

#[test]
fn escape_sequences_of_a_report_are_not_printed() {
    let broker = Broker::start();
    let _peer = Peer::start(&broker, evil_answer(), evil_reports);
    for format in ["human", "json"] {
        harmless(&run(operator(&broker, "tester").args(["deploy", "old1", "--output", format]), 1));
    }
    let mut command = operator(&broker, "tester");
    let screen = Terminal::start(command.args(["deploy", "old1"])).ended();
    assert!(screen.clean && screen.text.contains("evil"), "{}", screen.text);
    assert!(!screen.raw.contains("\u{1b}]") && !screen.raw.contains(['\u{7}', '\u{9b}', '\u{202e}']));
}

#[test]
fn escape_sequences_of_an_answer_are_not_printed() {
    let broker = Broker::start();
    let job = evil_reports(&json!({"id": "job-1"})).pop().unwrap();
    let mut answer = evil_answer();
    answer["job"] = job;
    let _peer = Peer::start(&broker, answer, |_| Vec::new());
    for format in ["human", "json"] {
        harmless(&run(operator(&broker, "tester").args(["hosts", "--output", format]), 0));
    }
}

#[test]
fn escape_sequences_of_an_answer_that_cannot_be_read_are_not_printed() {
    let broker = Broker::start();
    // Each asks for the first time, and so waits for all answers.
    for (user, field, value) in [
        ("admin", "hostname", json!(EVIL)),
        ("tester", "tier", json!([EVIL])),
        ("viewer", "boot_at", json!(EVIL)),
    ] {
        let mut answer = base_answer("old1", "test", "legacy");
        answer[field] = value;
        let _peer = Peer::start(&broker, answer, |_| Vec::new());
        let _good = Peer::start(&broker, base_answer("evil", "test", "any"), |_| Vec::new());
        let listed = run(operator(&broker, user).arg("hosts"), 0);
        harmless(&listed);
        assert!(listed.out.contains("note: an answer could not be read: bad field"), "{listed}");
        harmless(&run(operator(&broker, user).args(["hosts", "--output", "json"]), 0));
    }
}

#[test]
fn escape_sequences_of_past_jobs_changes_and_logs_are_not_printed() {
    let broker = Broker::start();
    let mut answer = evil_answer();
    answer["capabilities"] = json!(["rollback", EVIL]);
    let _peer = Peer::start(&broker, answer, |asked| {
        let mut report = evil_reports(asked).pop().unwrap();
        report["phases"] = json!([{"name": EVIL, "state": "done"}, {"name": EVIL, "state": EVIL}]);
        let entry = json!({"id": "h-1", "at": "2026-01-01T00:00:00Z", "action": EVIL, "status": EVIL,
            "error": EVIL, "issuer": EVIL, "revision": EVIL, "commit": EVIL});
        match asked["want"].as_str() {
            Some("history") => vec![json!({"want": "history", "hostname": "old1", "entries": [entry]})],
            Some("job") => {
                report["id"] = json!("h-1");
                vec![json!({"want": "job", "hostname": "old1", "report": report})]
            }
            Some(_) => vec![json!({"want": "log", "id": "h-1", "hostname": "old1", "offset": 0,
                "text": format!("{EVIL}\n{EVIL}"), "eof": true})],
            None => {
                report["status"] = json!("completed");
                report["changes"] = json!({"units_stopped": [EVIL], "units_started": [EVIL],
                    "units_restarted": [EVIL], "packages": [{"name": EVIL, "from": EVIL, "to": EVIL}]});
                vec![report]
            }
        }
    });
    for command in ["status", "history", "diff", "rollback", "logs"] {
        for format in ["human", "json"] {
            let args = [command, "old1", "--output", format];
            let ended = run(operator(&broker, "tester").args(args), 0);
            // A log has its own lines.
            let out = if command == "logs" { ended.out.replace("\nroot#", " root#") } else { ended.out };
            harmless(&Ended { out, ..ended });
        }
        let screen = Terminal::start(operator(&broker, "tester").args([command, "old1"])).ended();
        assert_eq!(screen.code, 0, "{}", screen.text);
        assert!(screen.clean && screen.text.contains("evil"), "{}", screen.text);
        assert!(!screen.raw.contains("\u{1b}]") && !screen.raw.contains(['\u{7}', '\u{9b}', '\u{202e}']));
    }
}

#[test]
fn escape_sequences_in_an_error_are_not_printed() {
    let broker = Broker::start();
    let peer = |instance: &str, subject: &str, name: &str| {
        let mut answer = base_answer(name, "test", "any");
        answer["instance"] = json!(instance);
        answer["deploy_subjects"] = json!([subject]);
        Peer::start(&broker, answer, |_| Vec::new())
    };
    let shared = "deploy.test.evil\u{1b}[31m\u{9b}2J";
    let _two = ["web1", "web2"].map(|name| peer("one", shared, name));
    let refused = run(operator(&broker, "tester").args(["deploy", "web1"]), 2);
    refused.complains(&["web1 does not take requests on deploy.test.web1 but on deploy.test.evil"]);
    harmless(&refused);

    let _twins = [EVIL, "other"].map(|instance| peer(instance, "deploy.test.db1", "db1"));
    let refused = run(operator(&broker, "admin").args(["deploy", "db1"]), 2);
    refused.complains(&["2 listeners claim the name db1"]);
    harmless(&refused);
}

#[test]
fn what_is_no_message_at_all_is_told_and_does_no_harm() {
    let broker = Broker::start();
    let _peer = Peer::start(&broker, base_answer("old1", "test", "legacy"), |_| {
        let done = json!({"hostname": "old1", "status": "completed", "message": "evil"});
        let big = json!({"hostname": "old1", "status": "failed", "message": "x".repeat(70_000)});
        vec![json!(["list", "accepted"]), json!(EVIL), json!({}), big, json!({"status": "failed"}), done]
    });
    let done = run(operator(&broker, "tester").args(["deploy", "old1"]), 0);
    harmless(&done);
    for said in ["the message is not a JSON object", "bad field `hostname`: it is missing"] {
        assert!(done.out.contains(&format!("note: a message could not be read: {said}")), "{said}: {done}");
    }
}
