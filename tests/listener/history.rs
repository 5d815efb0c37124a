//! The history of jobs, queried page by page.

use crate::stage::{Stage, changed, phase, text};
use serde_json::{Value, json};
use std::fs;

/// Queries a page of the history, and returns its entries and the id for the next page.
fn page(stage: &Stage, fields: Value) -> (Vec<Value>, Value) {
    let reply = stage.query(changed(json!({"query": "history"}), fields));
    assert_eq!((&reply["query"], &reply["hostname"]), (&json!("history"), &json!("web1")), "{reply}");
    (reply["entries"].as_array().unwrap().clone(), reply["next"].clone())
}

fn ids(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| text(&entry["id"])).collect()
}

/// The lines of the history file.
fn lines(stage: &Stage) -> Vec<Value> {
    let file = fs::read_to_string(stage.host.file("state/history.jsonl")).unwrap();
    file.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_job_is_in_the_history_with_every_field_when_its_final_report_arrives() {
    let script =
        r#"echo '@homelab-deploy {"phase":"activate","generation":42,"commit":"abc"}'; [ ! -e $DIR/bad ]"#;
    let stage = Stage::new(script);
    assert_eq!(page(&stage, json!({})), (Vec::new(), Value::Null));
    let done =
        stage.deploy("h-1", json!({"issuer": "alice", "action": "boot", "revision": "v2"})).final_report();
    fs::write(stage.host.file("bad"), "").unwrap();
    let failed = stage.deploy("h-2", json!({})).final_report();
    let (entries, next) = page(&stage, json!({}));
    let [second, first] = &entries[..] else { panic!("{entries:?}") };
    let expected = json!({"id": "h-1", "at": stage.record("h-1")["accepted_at"], "action": "boot",
        "status": "completed", "issuer": "alice", "revision": "v2", "commit": "abc", "generation": 42,
        "elapsed_ms": done["elapsed_ms"], "phases": done["phases"]});
    assert_eq!(*first, expected);
    assert_eq!(
        done["phases"][3],
        json!({"name": "activate", "state": "done", "elapsed_ms": done["phases"][3]["elapsed_ms"]})
    );
    assert_eq!(second["id"], "h-2");
    assert_eq!((&second["status"], &second["error"]), (&json!("failed"), &json!("activation_failed")));
    assert_eq!(second["elapsed_ms"], failed["elapsed_ms"]);
    assert_eq!(next, Value::Null);
    assert_eq!(lines(&stage), [first.clone(), second.clone()]);
}

#[test]
fn running_and_rejected_jobs_are_not_in_the_history() {
    let stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let reports = stage.deploy("h-3", json!({}));
    reports.until(|report| report["message"] == "build");
    assert_eq!(stage.deploy("h-4", json!({})).final_report()["error"], "already_running");
    stage.cancel("h-5", "h-99");
    assert_eq!(page(&stage, json!({})).0, [] as [Value; 0]);
    stage.host.open("go");
    reports.final_report();
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-3"]);
}

#[test]
fn a_page_has_twenty_jobs_or_the_requested_number_and_the_next_page_older_ones() {
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
        let (entries, found_next) = page(&stage, json!({"limit": limit, "before": before}));
        assert_eq!((ids(&entries), found_next), (expected.iter().map(String::as_str).collect(), next));
    }
}

#[test]
fn a_page_fits_into_a_message_for_strings_of_any_length() {
    let mut stage = Stage::new("");
    // Each of these characters takes six bytes in a message, and the issuer is longer than an entry allows.
    let issuer = "\u{1b}".repeat(9000);
    stage.deploy("h-0", json!({"issuer": issuer})).final_report();
    let line = lines(&stage).remove(0);
    assert_eq!(text(&line["issuer"]), "\u{1b}".repeat(512 / 6));
    stage.host.kill();
    let copies = (1..300).map(|n| format!("{}\n", changed(line.clone(), json!({"id": format!("h-{n}")}))));
    fs::write(stage.host.file("state/history.jsonl"), format!("{line}\n{}", copies.collect::<String>()))
        .unwrap();
    stage.restart();
    let (mut before, mut all_ids, mut pages) = (Value::Null, Vec::new(), 0);
    loop {
        let (entries, next) = page(&stage, json!({"limit": 1000, "before": before}));
        assert!(!entries.is_empty());
        all_ids.extend(ids(&entries).into_iter().map(str::to_owned));
        pages += 1;
        if next.is_null() {
            break;
        }
        assert_eq!(next.as_str(), all_ids.last().map(String::as_str));
        before = next;
    }
    assert_eq!(all_ids, (0..300).rev().map(|n| format!("h-{n}")).collect::<Vec<_>>());
    assert!((2..6).contains(&pages), "{pages}");
}

#[test]
fn a_restart_loses_no_entry_and_repeats_none() {
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
    stage.pretend_reboot("h-8");
    stage.restart();
    assert_eq!(reports.final_report()["error"], "interrupted");
    let entries = page(&stage, json!({})).0;
    assert_eq!(ids(&entries), ["h-8", "h-7", "h-6"]);
    assert_eq!(entries[0]["error"], "interrupted");
    stage.restart();
    assert_eq!(lines(&stage).len(), 3);
    stage.host.open("go");
}

#[test]
fn a_lost_entry_is_added_at_the_next_start() {
    let mut stage = Stage::new("");
    for id in ["h-9", "h-10", "h-11"] {
        stage.completes(id);
    }
    stage.host.kill();
    let file = stage.host.file("state/history.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    // After a power failure the last line is truncated and the line before it was not written to disk.
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    fs::write(&file, format!("{}{}", lines[0], &lines[2][..lines[2].len() / 2])).unwrap();
    stage.restart();
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-11", "h-10", "h-9"]);
    stage.completes("h-12");
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-12", "h-11", "h-10", "h-9"]);
    // The truncated line is still there.
    let content = fs::read_to_string(&file).unwrap();
    assert_eq!(content.lines().count(), 5, "{content}");
}

#[test]
fn an_unusable_history_file_does_not_stop_jobs() {
    let mut stage = Stage::new("");
    stage.completes("h-13");
    stage.host.kill();
    let file = stage.host.file("state/history.jsonl");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    stage.restart();
    stage.completes("h-14");
    stage.host.wait_for_log("failed to add jobs to the history");
    fs::remove_dir(&file).unwrap();
    assert_eq!(page(&stage, json!({})).0, [] as [Value; 0]);
    stage.completes("h-15");
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-15", "h-14"]);
    stage.restart();
    assert_eq!(ids(&page(&stage, json!({})).0), ["h-13", "h-15", "h-14"]);
}
