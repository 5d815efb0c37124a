//! The jobs of the past, asked for page by page.

use crate::stage::{Stage, changed, phase, text};
use serde_json::{Value, json};
use std::fs;

/// Asks for a part of the history and gives its entries and what to ask for next.
fn page(stage: &Stage, fields: Value) -> (Vec<Value>, Value) {
    let answer = stage.ask(changed(json!({"want": "history"}), fields));
    assert_eq!((&answer["want"], &answer["hostname"]), (&json!("history"), &json!("web1")), "{answer}");
    (answer["entries"].as_array().unwrap().clone(), answer["next"].clone())
}

fn ids(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| text(&entry["id"])).collect()
}

/// The lines of the file.
fn lines(stage: &Stage) -> Vec<Value> {
    let file = fs::read_to_string(stage.host.file("state/history.jsonl")).unwrap();
    file.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_job_is_there_with_all_that_is_known_of_it_when_its_verdict_is_heard() {
    let told =
        r#"echo '@homelab-deploy {"phase":"activate","generation":42,"commit":"abc"}'; [ ! -e $DIR/bad ]"#;
    let stage = Stage::new(told);
    assert_eq!(page(&stage, json!({})), (Vec::new(), Value::Null));
    let done = stage.deploy("h-1", json!({"issuer": "alice", "action": "boot", "revision": "v2"})).verdict();
    fs::write(stage.host.file("bad"), "").unwrap();
    let failed = stage.deploy("h-2", json!({})).verdict();
    let (entries, next) = page(&stage, json!({}));
    let [second, first] = &entries[..] else { panic!("{entries:?}") };
    let expected = json!({"id": "h-1", "at": stage.record("h-1")["accepted_at"], "action": "boot",
        "status": "completed", "issuer": "alice", "revision": "v2", "commit": "abc", "generation": 42,
        "elapsed_ms": done["elapsed_ms"]});
    assert_eq!(*first, expected);
    assert_eq!(second["id"], "h-2");
    assert_eq!((&second["status"], &second["error"]), (&json!("failed"), &json!("activation_failed")));
    assert_eq!(second["elapsed_ms"], failed["elapsed_ms"]);
    assert_eq!(next, Value::Null);
    assert_eq!(lines(&stage), [first.clone(), second.clone()]);
}

#[test]
fn what_runs_and_what_was_refused_is_not_history() {
    let stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let reports = stage.deploy("h-3", json!({}));
    reports.until(|report| report["message"] == "build");
    assert_eq!(stage.deploy("h-4", json!({})).verdict()["error"], "already_running");
    stage.cancel("h-5", "h-99");
    assert_eq!(page(&stage, json!({})).0, [] as [Value; 0]);
    stage.host.open("go");
    reports.verdict();
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-3"]);
}

#[test]
fn twenty_are_told_or_as_many_as_are_asked_for_and_then_those_before() {
    let stage = Stage::new("");
    let all: Vec<_> = (0..23).rev().map(|n| format!("h-{n}")).collect();
    for id in all.iter().rev() {
        stage.completes(id);
    }
    let (first, next) = page(&stage, json!({}));
    assert_eq!(ids(&first), all[..20]);
    assert_eq!(next, json!(all[19]));
    let (rest, end) = page(&stage, json!({"before": next}));
    assert_eq!((ids(&rest), end), (all[20..].iter().map(String::as_str).collect(), Value::Null));

    for (limit, before, expected, next) in [
        (json!(2), Value::Null, &all[..2], json!("h-21")),
        (json!(2), json!("h-21"), &all[2..4], json!("h-19")),
        (json!(23), Value::Null, &all[..], Value::Null),
        (json!(u64::MAX), Value::Null, &all[..], Value::Null),
        (json!(3), json!("h-3"), &all[20..], Value::Null),
        (json!(1), json!("h-0"), &all[23..], Value::Null),
        (json!(1), json!("h-none"), &all[23..], Value::Null),
    ] {
        let (entries, told) = page(&stage, json!({"limit": limit, "before": before}));
        assert_eq!((ids(&entries), told), (expected.iter().map(String::as_str).collect(), next));
    }
}

#[test]
fn a_page_fits_into_a_message_whatever_texts_jobs_carry() {
    let mut stage = Stage::new("");
    // Each of these needs six bytes in a message, and one far more than an entry is given.
    let issuer = "\u{1b}".repeat(9000);
    stage.deploy("h-0", json!({"issuer": issuer})).verdict();
    let line = lines(&stage).remove(0);
    assert_eq!(text(&line["issuer"]), "\u{1b}".repeat(512 / 6));
    stage.host.kill();
    let copies = (1..300).map(|n| format!("{}\n", changed(line.clone(), json!({"id": format!("h-{n}")}))));
    fs::write(stage.host.file("state/history.jsonl"), format!("{line}\n{}", copies.collect::<String>()))
        .unwrap();
    stage.restart();
    let (mut before, mut seen, mut pages) = (Value::Null, Vec::new(), 0);
    loop {
        let (entries, next) = page(&stage, json!({"limit": 1000, "before": before}));
        assert!(!entries.is_empty());
        seen.extend(ids(&entries).into_iter().map(str::to_owned));
        pages += 1;
        if next.is_null() {
            break;
        }
        assert_eq!(next.as_str(), seen.last().map(String::as_str));
        before = next;
    }
    assert_eq!(seen, (0..300).rev().map(|n| format!("h-{n}")).collect::<Vec<_>>());
    assert!((2..6).contains(&pages), "{pages}");
}

#[test]
fn a_restart_forgets_nothing_and_writes_nothing_twice() {
    let mut stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    for id in ["h-6", "h-7"] {
        stage.host.open("go");
        stage.completes(id);
    }
    let before = page(&stage, json!({}));
    stage.restart();
    assert_eq!(page(&stage, json!({})), before);

    let reports = stage.deploy("h-8", json!({}));
    reports.until(|report| report["message"] == "build");
    stage.began_before_the_boot("h-8");
    stage.restart();
    assert_eq!(reports.verdict()["error"], "interrupted");
    let entries = page(&stage, json!({})).0;
    assert_eq!(ids(&entries), ["h-8", "h-7", "h-6"]);
    assert_eq!(entries[0]["error"], "interrupted");
    stage.restart();
    assert_eq!(lines(&stage).len(), 3);
    stage.host.open("go");
}

#[test]
fn a_job_whose_line_was_lost_has_one_after_the_next_start() {
    let mut stage = Stage::new("");
    for id in ["h-9", "h-10", "h-11"] {
        stage.completes(id);
    }
    stage.host.kill();
    let file = stage.host.file("state/history.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    // The power went: the last line is torn, and nothing of the job before was on the disk.
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    fs::write(&file, format!("{}{}", lines[0], &lines[2][..lines[2].len() / 2])).unwrap();
    stage.restart();
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-11", "h-10", "h-9"]);
    stage.completes("h-12");
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-12", "h-11", "h-10", "h-9"]);
    // It is not torn any more than it was.
    let healed = fs::read_to_string(&file).unwrap();
    assert_eq!(healed.lines().count(), 5, "{healed}");
}

#[test]
fn a_history_that_cannot_be_written_or_read_stops_no_job() {
    let mut stage = Stage::new("");
    stage.completes("h-13");
    stage.host.kill();
    let file = stage.host.file("state/history.jsonl");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    stage.restart();
    stage.completes("h-14");
    stage.host.logged("the history lacks a job");
    fs::remove_dir(&file).unwrap();
    assert_eq!(page(&stage, json!({})).0, [] as [Value; 0]);
    stage.completes("h-15");
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-15", "h-14"]);
    stage.restart();
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-13", "h-15", "h-14"]);
}
