//! A held host rejects all jobs until it is released, even if its listener restarts or crashes.

use crate::common::{HostBuilder, NatsServer, RawClient, RawSubscription, eventually};
use crate::stage::{Stage, changed, phase, text};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const WHY: &str = "kernel bisect";

fn held_at(stage: &Stage) -> Value {
    stage.query(json!({}))["held"].clone()
}

fn send(stage: &Stage, id: &str, action: &str, fields: Value) -> Value {
    let fields =
        changed(json!({"action": action, "revision": Value::Null, "issuer": "alice@laptop"}), fields);
    stage.deploy(id, fields).final_report()
}

fn hold(stage: &Stage, id: &str, reason: &str) -> Value {
    let report = send(stage, id, "hold", json!({"reason": reason}));
    assert_eq!((&report["status"], &report["error"]), (&json!("completed"), &Value::Null), "{report}");
    report
}

fn release(stage: &Stage, id: &str) -> Value {
    let report = send(stage, id, "release", json!({}));
    assert_eq!(report["status"], "completed", "{report}");
    report
}

fn file(stage: &Stage) -> PathBuf {
    stage.host.file("state/hold.json")
}

/// A switch is rejected because of the hold, with these parts in its message.
fn refuses(stage: &Stage, id: &str, parts: &[&str]) {
    let report = stage.deploy(id, json!({})).final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!("held")), "{report}");
    for part in parts {
        assert!(text(&report["message"]).contains(part), "no {part:?} in {report}");
    }
}

fn calls() -> Stage {
    Stage::new("echo >> $DIR/calls")
}

#[test]
fn a_held_host_rejects_changes_and_reports_when_by_whom_why_and_what_to_do() {
    let stage = calls();
    let presence = stage.wire.subscribe("deploy.responses.presence");
    let report = hold(&stage, "o-1", WHY);
    assert_eq!(report["message"], "held until `homelab-deploy release web1`");
    assert_eq!((&report["action"], &report["issuer"]), (&json!("hold"), &json!("alice@laptop")));
    let announced = presence.until(|presence| !presence["held"].is_null());
    let record = stage.record("o-1");
    let since = &text(&record["accepted_at"])[..16];
    let shown = format!("kernel bisect (alice@laptop, since {since}Z)");
    assert_eq!((&announced["held"], held_at(&stage)), (&json!(shown), json!(shown)));
    for (n, action) in ["switch", "boot", "test", "dry-activate", "build"].iter().enumerate() {
        let report = stage.deploy(&format!("o-2{n}"), json!({"action": action})).final_report();
        assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!("held")), "{report}");
        let expected = format!(
            "held since {since}Z by alice@laptop: {WHY}; release it with `homelab-deploy release web1`"
        );
        assert_eq!(report["message"], expected);
    }
    assert_eq!(stage.calls(), 0);
    // Queries and cancels still get replies.
    assert_eq!(stage.cancel("o-3", "nothing")["error"], "not_found");
    assert!(stage.query(json!({"query": "history"}))["entries"].is_array());

    let report = release(&stage, "o-4");
    assert_eq!(report["message"], format!("released; was held since {since}Z by alice@laptop: {WHY}"));
    presence.until(|presence| presence["held"].is_null());
    assert_eq!(held_at(&stage), Value::Null);
    assert!(!file(&stage).exists());
    stage.completes("o-20");
    assert_eq!(release(&stage, "o-5")["message"], "the host was not held");
}

#[test]
fn a_host_with_the_pipeline_can_be_held_too() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "tester");
    let presence = wire.subscribe("deploy.responses.presence");
    let _host = HostBuilder::new(&nats, "web1", "test", "web").without("--rebuild-command").start();
    let can = ["build", "cancel", "rollback", "reboot", "hold", "release"];
    assert_eq!(presence.next().body["capabilities"], json!(can));
    let reports: RawSubscription = wire.subscribe("deploy.responses.*");
    let request = json!({"action": "hold", "reason": WHY, "reply_to": "deploy.responses.p-1"});
    wire.publish("deploy.test.web1", &request);
    assert_eq!(reports.final_report()["status"], "completed");
    for action in ["switch", "rollback", "reboot"] {
        let reply_to = format!("deploy.responses.p-{action}");
        wire.publish(
            "deploy.test.web1",
            &json!({"action": action, "revision": "master", "reply_to": reply_to}),
        );
        let report = reports.final_report();
        assert_eq!((&report["action"], &report["error"]), (&json!(action), &json!("held")), "{report}");
    }
}

#[test]
fn a_hold_survives_stops_and_crashes_and_ends_for_good() {
    let mut stage = calls();
    hold(&stage, "o-30", WHY);
    let before = held_at(&stage);
    stage.host.terminate();
    stage.host.wait_for_exit();
    stage.restart();
    assert_eq!(held_at(&stage), before);
    stage.restart();
    refuses(&stage, "o-31", &[WHY, "alice@laptop"]);
    release(&stage, "o-32");
    stage.restart();
    assert_eq!(held_at(&stage), Value::Null);
    stage.completes("o-33");
}

#[test]
fn a_running_job_continues_and_the_next_is_rejected() {
    let stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let running = stage.deploy("o-40", json!({}));
    running.until(|report| report["message"] == "build");
    let report = hold(&stage, "o-41", WHY);
    assert_eq!(report["message"], "held until `homelab-deploy release web1`; job o-40 continues");
    refuses(&stage, "o-42", &[WHY]);
    stage.host.open("go");
    assert_eq!(running.final_report()["status"], "completed");
    refuses(&stage, "o-43", &[WHY]);
    // Queries still report the running job, and a hold is not a job.
    assert_eq!(stage.query(json!({"query": "job"}))["report"]["id"], "o-40");
    assert_eq!(stage.query(json!({}))["job"]["id"], "o-40");
}

#[test]
fn a_running_job_can_be_cancelled_while_the_host_is_held() {
    let stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let running = stage.deploy("o-50", json!({}));
    running.until(|report| report["message"] == "build");
    hold(&stage, "o-51", WHY);
    assert_eq!(stage.cancel("o-52", "o-50")["status"], "completed");
    assert_eq!(running.final_report()["error"], "cancelled");
}

#[test]
fn a_second_hold_replaces_the_first_and_reports_it() {
    let stage = calls();
    hold(&stage, "o-60", WHY);
    let report = hold(&stage, "o-61", "  the disk is being replaced ");
    let message = text(&report["message"]);
    assert!(
        message.starts_with("held until `homelab-deploy release web1`; previously held since "),
        "{message}"
    );
    assert!(message.ends_with(" by alice@laptop: kernel bisect"), "{message}");
    assert!(text(&held_at(&stage)).starts_with("the disk is being replaced (alice"), "{}", held_at(&stage));
}

#[test]
fn an_id_acts_once_also_across_restarts() {
    let mut stage = calls();
    let first = hold(&stage, "o-70", WHY);
    release(&stage, "o-71");
    assert_eq!(hold(&stage, "o-70", "another"), first, "the repeated request got another report");
    assert_eq!(held_at(&stage), Value::Null);
    stage.restart();
    assert_eq!(hold(&stage, "o-70", WHY)["message"], first["message"]);
    assert_eq!(held_at(&stage), Value::Null);
    hold(&stage, "o-72", "for good");
    release(&stage, "o-71");
    refuses(&stage, "o-73", &["for good"]);
    let late = json!({"expires_at": "2020-01-01T00:00:00Z", "reason": "late"});
    for action in ["hold", "release"] {
        assert_eq!(send(&stage, &format!("o-late-{action}"), action, late.clone())["error"], "expired");
    }
    refuses(&stage, "o-74", &["for good"]);
}

#[test]
fn without_a_reason_or_with_an_oversized_one_nothing_is_held() {
    let stage = calls();
    let why = "the hold reason is empty: give a reason of at most 300 characters";
    let long = "the hold reason has 301 characters: give a reason of at most 300 characters";
    let reasons = [
        (Value::Null, why),
        (json!(""), why),
        (json!(" \n\u{200b}"), why),
        (json!("é".repeat(301)), long),
        (json!(7), "invalid type"),
    ];
    for (n, (reason, expected)) in reasons.into_iter().enumerate() {
        let report = send(&stage, &format!("o-8{n}"), "hold", json!({"reason": reason}));
        let refused = (&report["status"], &report["error"]);
        assert_eq!(refused, (&json!("rejected"), &json!("invalid_request")), "{report}");
        assert!(text(&report["message"]).contains("`reason`"), "{report}");
        assert!(text(&report["message"]).contains(expected), "{report}");
    }
    assert_eq!(held_at(&stage), Value::Null);
    hold(&stage, "o-89", &"é".repeat(300));
}

#[test]
fn a_hold_that_cannot_be_saved_is_rejected_and_changes_nothing() {
    let mut stage = calls();
    // A directory at the path of the file makes it unwritable.
    fs::create_dir(file(&stage)).unwrap();
    for n in [1, 2] {
        let report = send(&stage, &format!("o-9{n}"), "hold", json!({"reason": WHY}));
        let refused = (&report["status"], &report["error"]);
        assert_eq!(refused, (&json!("rejected"), &json!("unhealthy")), "{report}");
        let message = text(&report["message"]);
        assert!(
            message.starts_with("failed to hold the host: could not write ") && message.contains("hold.json"),
            "{message}"
        );
        assert!(message.ends_with("; nothing was changed"), "{message}");
    }
    assert_eq!(held_at(&stage), Value::Null);
    stage.completes("o-93");
    fs::remove_dir(file(&stage)).unwrap();
    stage.restart();
    assert_eq!(held_at(&stage), Value::Null, "a rejected hold took effect after a restart");
    // The same id may be used again, because nothing was done.
    hold(&stage, "o-91", WHY);

    let jobs = stage.host.file("state/jobs");
    // The listener may be writing there at this moment.
    eventually("an empty directory", || fs::remove_dir_all(&jobs).ok());
    fs::write(&jobs, "not a directory").unwrap();
    let report = send(&stage, "o-94", "release", json!({}));
    assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!("unhealthy")), "{report}");
    assert!(text(&report["message"]).starts_with("failed to release the host: "), "{report}");
    refuses(&stage, "o-95", &[WHY]);
}

#[test]
fn a_damaged_file_holds_the_host_until_it_is_released() {
    for content in [&b""[..], b"{\"reason\":", b"{}", b"\xff\x00", b"[]"] {
        let mut stage = calls();
        hold(&stage, "o-100", WHY);
        stage.host.kill();
        fs::write(file(&stage), content).unwrap();
        stage.restart();
        let held = held_at(&stage);
        assert!(text(&held).contains("hold.json is damaged: "), "{held}");
        assert!(text(&held).ends_with("; the reason and issuer of the hold are unknown"), "{held}");
        refuses(
            &stage,
            "o-101",
            &["hold.json is damaged: ", "; release it with `homelab-deploy release web1`"],
        );
        release(&stage, "o-102");
        stage.completes("o-103");
        stage.restart();
        assert_eq!(held_at(&stage), Value::Null);
    }
}

#[test]
fn an_interrupted_hold_is_applied_at_the_next_start_unless_a_newer_one_exists() {
    let mut stage = calls();
    hold(&stage, "o-110", WHY);
    release(&stage, "o-111");
    for id in ["o-110", "o-111"] {
        stage.wait_delivered(id);
    }
    // The state of the record after the request was accepted and before the hold was applied.
    let reopen = |stage: &Stage, id: &str| {
        let mut record = stage.record(id);
        record["report"]["status"] = json!("accepted");
        fs::write(stage.job_file(id, "state.json"), record.to_string()).unwrap();
        fs::remove_file(stage.job_file(id, "delivered.json")).unwrap();
    };
    stage.host.kill();
    reopen(&stage, "o-110");
    stage.restart();
    assert_eq!(held_at(&stage), Value::Null, "the older hold took effect after the release");
    hold(&stage, "o-112", "another");
    stage.wait_delivered("o-112");
    stage.host.kill();
    fs::remove_file(file(&stage)).unwrap();
    reopen(&stage, "o-112");
    let reports = stage.wire.subscribe("deploy.responses.o-112");
    stage.restart();
    assert_eq!(reports.final_report()["status"], "completed");
    refuses(&stage, "o-113", &["another", "alice@laptop"]);
    assert_eq!(stage.record("o-112")["report"]["status"], "completed");
}

#[test]
fn a_job_accepted_before_the_hold_continues_after_a_restart() {
    let mut stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let running = stage.deploy("o-120", json!({}));
    running.until(|report| report["message"] == "build");
    hold(&stage, "o-121", WHY);
    stage.restart();
    // The running job is resumed, not rejected.
    stage.host.open("go");
    assert_eq!(running.final_report()["status"], "completed");
    refuses(&stage, "o-122", &[WHY]);
}

#[test]
fn holds_and_releases_are_in_the_history() {
    let stage = calls();
    stage.completes("o-130");
    hold(&stage, "o-131", WHY);
    refuses(&stage, "o-132", &[]);
    release(&stage, "o-133");
    let entries = stage.query(json!({"query": "history"}))["entries"].clone();
    let fields: Vec<_> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| [&entry["id"], &entry["action"], &entry["status"], &entry["reason"]].map(text))
        .collect();
    let expected = [
        ["o-133", "release", "completed", ""],
        ["o-131", "hold", "completed", WHY],
        ["o-130", "switch", "completed", ""],
    ];
    assert_eq!(fields, expected);
    assert_eq!(entries[1]["issuer"], "alice@laptop");
}

#[test]
fn an_issuer_of_any_length_fits_into_a_presence_message() {
    let stage = calls();
    let issuer = "x".repeat(50_000);
    send(&stage, "o-140", "hold", json!({"reason": WHY, "issuer": issuer}));
    let held = held_at(&stage);
    assert!(text(&held).starts_with("kernel bisect (xxx") && text(&held).len() < 400, "{held}");
}
