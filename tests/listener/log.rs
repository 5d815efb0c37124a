//! The log of a job: published live on its subject, and complete on disk.

use crate::common::{RawMessage, operator, run};
use crate::stage::{Stage, phase, quoted_log, text};
use serde_json::json;
use std::fs;

/// Runs a job, and returns the live pieces published before its result and the log on disk. Each piece must start where
/// the previous one ends.
fn live_and_stored(stage: &Stage, id: &str) -> (Vec<String>, Vec<u8>) {
    let messages = stage.wire.subscribe("deploy.responses.>");
    stage.send(id, json!({}));
    let mut texts = Vec::new();
    let mut end = 0;
    loop {
        let RawMessage { subject, body, .. } = messages.next();
        if subject == format!("deploy.responses.{id}.log.web1") {
            assert_eq!((&body["id"], &body["hostname"]), (&json!(id), &json!("web1")));
            assert_eq!(body["offset"], end, "a gap before {body}");
            end += text(&body["text"]).len();
            texts.push(text(&body["text"]).to_owned());
        } else if ["completed", "failed"].contains(&text(&body["status"])) {
            let stored = fs::read(stage.job_file(id, "log")).unwrap();
            assert_eq!(end, stored.len());
            return (texts, stored);
        }
    }
}

#[test]
fn live_lines_are_the_log_from_its_first_line_without_a_gap() {
    let script = format!("echo one\n{}echo zwei grün\necho >&2 three\nprintf 'no end'", phase("build"));
    let stage = Stage::new(&script);
    let (live, stored) = live_and_stored(&stage, "l-1");
    assert_eq!(live.concat().as_bytes(), stored);
    let program = stage.host.file("rebuild");
    assert!(live[0].contains("has no revisions"), "{}", live[0]);
    assert!(live[1].starts_with(&format!("$ {} switch --flake path:", program.display())), "{}", live[1]);
    assert_eq!(
        live[2..],
        ["one\n", "@homelab-deploy {\"phase\":\"build\"}\n", "zwei grün\n", "three\n", "no end"]
    );
}

#[test]
fn a_flood_of_an_external_command_is_stored_in_part_and_its_phases_are_followed() {
    let flood = "head -c 20000000 /dev/zero | tr '\\0' x | fold -w 200; echo\n";
    let script = format!(
        "{}{flood}{}echo '@homelab-deploy {{\"done\":1}}'\nread _ < $DIR/go\n{flood}echo the last line",
        phase("build"),
        phase("activate")
    );
    let stage = Stage::with(&script, |host| host.gate("go"));
    let reports = stage.deploy("l-6", json!({}));
    // The phase comes after more output than the log may hold.
    reports.until(|report| report["message"] == "activate");
    stage.host.open("go");
    assert_eq!(reports.final_report()["status"], "completed");
    let log = fs::read_to_string(stage.job_file("l-6", "log")).unwrap();
    assert!((24 << 20..25 << 20).contains(&log.len()), "{}", log.len());
    assert!(
        log.contains("{\"phase\":\"activate\"}") && !log.contains("\"done\""),
        "wrong markers in the log"
    );
    assert!(log.contains("KiB of output omitted here]\n"), "the log lacks the note");
    assert_eq!(log.lines().last(), Some("the last line"));
}

#[test]
fn a_program_whose_output_is_dropped_is_not_considered_silent() {
    let script = format!(
        "{}head -c 17000000 /dev/zero | tr '\\0' x | fold -w 200; echo\nwhile ! [ -e $DIR/enough ]; do echo busy; sleep 1; done",
        phase("activate")
    );
    let stage = Stage::with(&script, |host| {
        host.args(&["--rebuild-silence", "4", "--timeout", "1", "--heartbeat-interval", "1"])
    });
    let reports = stage.deploy("l-7", json!({}));
    reports.until(|report| report["status"] == "running" && report["elapsed_ms"].as_u64().unwrap() > 9000);
    std::fs::write(stage.host.file("enough"), "").unwrap();
    assert_eq!(reports.final_report()["status"], "completed");
}

#[test]
fn a_cancel_and_its_job_agree_on_a_phase_that_follows_a_flood() {
    // More output than the listener reads before it stops the job, and more markers than the log holds.
    let line = json!({"phase": "build", "message": "x".repeat(900)});
    let script = format!(
        "{}head -c 17000000 /dev/zero | tr '\\0' x | fold -w 200; echo\nyes '@homelab-deploy {line}' | head -n 2000\n{}echo > $DIR/activates; read _ < $DIR/go",
        phase("build"),
        phase("activate")
    );
    let stage = Stage::with(&script, |host| host.gate("activates").gate("go"));
    let reports = stage.deploy("l-8", json!({}));
    stage.host.wait_for_line("activates");
    let (status, error) = {
        let reply = stage.cancel("l-9", "l-8");
        (reply["status"].clone(), reply["error"].clone())
    };
    stage.host.open("go");
    assert_eq!(reports.final_report()["status"], "completed", "{status} {error}");
}

#[test]
fn a_line_is_published_while_the_program_runs() {
    let stage = Stage::with("echo hello\nread _ < $DIR/go\necho bye", |host| host.gate("go"));
    let lines = stage.wire.subscribe("deploy.responses.*.log.web1");
    let reports = stage.deploy("l-2", json!({}));
    lines.until(|line| line["text"] == "hello\n");
    stage.host.open("go");
    lines.until(|line| line["text"] == "bye\n");
    reports.final_report();
}

#[test]
fn ten_megabytes_in_one_line_arrive_in_pieces() {
    let stage = Stage::new("head -c 10485760 /dev/zero | tr '\\0' x; echo; exit 1");
    let lines = stage.wire.subscribe("deploy.responses.l-3.log.web1");
    let seconds = stage.deploy("l-3", json!({})).final_report()["elapsed_ms"].as_u64().unwrap() / 1000;
    let stored = fs::read(stage.job_file("l-3", "log")).unwrap();
    assert!(stored.len() > 10_485_760);
    stage.wire.round_trip();
    let live = lines.received();
    // One host's output must not overload the server, so some pieces are only in the log.
    assert!(live.len() as u64 <= 500 + 100 * (seconds + 2), "{} in {seconds} s", live.len());
    for RawMessage { body, .. } in &live {
        let (offset, text) = (body["offset"].as_u64().unwrap(), text(&body["text"]));
        assert!(
            text.len() <= 4096 && stored[usize::try_from(offset).unwrap()..].starts_with(text.as_bytes())
        );
    }
    let last = &live[live.len() - 1].body;
    assert_eq!(last["offset"].as_u64().unwrap() + text(&last["text"]).len() as u64, stored.len() as u64);
    let shown = run(operator(&stage.nats, "tester").args(["logs", "web1", "--output", "json"]), 0);
    let printed: String = shown.json().iter().map(|line| text(&line["value"]["text"]).to_owned()).collect();
    let stored: Vec<_> = stored.into_iter().filter(|byte| *byte != b'\n').collect();
    assert!(printed.as_bytes() == stored, "{} {}", printed.len(), stored.len());
    let report = stage.query(json!({"query": "job", "id": "l-3"}));
    assert_eq!(report["report"]["error"], "activation_failed");
    assert!(text(&report["report"]["message"]).len() < 4096);
    stage.deploy("l-4", json!({})).final_report();
}

#[test]
fn an_incomplete_character_at_the_end_of_a_piece_is_sent_with_the_next_piece() {
    let script = "{ echo hello; head -c 4095 /dev/zero | tr '\\0' x; printf '\\303'; } > $DIR/half\n\
                  cat $DIR/half; read _ < $DIR/go; printf '\\244\\n'";
    let stage = Stage::with(script, |host| host.gate("go"));
    let lines = stage.wire.subscribe("deploy.responses.*.log.web1");
    stage.send("l-7", json!({}));
    // This line is read together with the 4096 bytes that follow it.
    lines.until(|line| line["text"] == "hello\n");
    stage.host.open("go");
    let mut line = String::new();
    while !line.ends_with('\n') {
        line += text(&lines.next().body["text"]);
    }
    assert!(line == "x".repeat(4095) + "ä\n", "{}", &line[4090..]);
}

#[test]
fn bytes_that_are_not_utf8_keep_their_offsets() {
    let stage = Stage::new("printf 'a\\377\\376b\\n\\303\\n'; printf '\\360\\237\\230\\200 ok\\n'; exit 1");
    let (live, stored) = live_and_stored(&stage, "l-5");
    assert_eq!(live[2..], ["a??b\n", "?\n", "😀 ok\n"]);
    assert!(stored.ends_with(b"a\xff\xfeb\n\xc3\n\xf0\x9f\x98\x80 ok\n"));
    let report = stage.query(json!({"query": "job"}));
    assert!(quoted_log(&report["report"]).ends_with("b\n\u{fffd}\n😀 ok"), "{report}");
}

#[test]
fn escape_sequences_reach_no_terminal() {
    let evil = r"\033]0;owned\007\033[2J\033[31mred\033[0m\rhidden\302\233H";
    let message = r"\u001b[2J\u001b]0;owned\u0007bad\u009b5H news";
    let stage = Stage::new(&format!(
        "{}printf '{evil}\\n'\ncat <<'END'\n@homelab-deploy {{\"message\":\"{message}\"}}\nEND\nexit 1",
        phase("build")
    ));
    let report = stage.deploy("l-6", json!({})).final_report();
    let shown = text(&report["diagnostics"]);
    assert!(shown.contains("red hiddenH") || shown.contains("red hidden"), "{shown:?}");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");

    let output = operator(&stage.nats, "tester").args(["deploy", "deploy.test.web1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for stream in [output.stdout, output.stderr] {
        let shown = String::from_utf8(stream).unwrap();
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }
}
