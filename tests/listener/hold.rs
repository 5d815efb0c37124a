//! A host that is held refuses everything until it is released, whatever becomes of its listener.

use crate::common::{Broker, Ears, HostBuilder, Wire};
use crate::stage::{Stage, changed, phase, text};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const WHY: &str = "kernel bisect";

fn held_at(stage: &Stage) -> Value {
    stage.ask(json!({}))["held"].clone()
}

fn say(stage: &Stage, id: &str, action: &str, fields: Value) -> Value {
    let fields =
        changed(json!({"action": action, "revision": Value::Null, "issuer": "alice@laptop"}), fields);
    stage.deploy(id, fields).verdict()
}

fn hold(stage: &Stage, id: &str, reason: &str) -> Value {
    let report = say(stage, id, "hold", json!({"reason": reason}));
    assert_eq!((&report["status"], &report["error"]), (&json!("completed"), &Value::Null), "{report}");
    report
}

fn release(stage: &Stage, id: &str) -> Value {
    let report = say(stage, id, "release", json!({}));
    assert_eq!(report["status"], "completed", "{report}");
    report
}

fn file(stage: &Stage) -> PathBuf {
    stage.host.file("state/hold.json")
}

/// A switch is refused for the hold, and the message holds these.
fn refuses(stage: &Stage, id: &str, texts: &[&str]) {
    let report = stage.deploy(id, json!({})).verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!("held")), "{report}");
    for told in texts {
        assert!(text(&report["message"]).contains(told), "no {told:?} in {report}");
    }
}

fn calls() -> Stage {
    Stage::new("echo >> $DIR/calls")
}

#[test]
fn a_held_host_refuses_whatever_changes_it_and_says_since_when_by_whom_why_and_what_to_do() {
    let stage = calls();
    let presence = stage.wire.listen("deploy.responses.presence");
    let report = hold(&stage, "o-1", WHY);
    assert_eq!(report["message"], "held until `homelab-deploy release web1`");
    assert_eq!((&report["action"], &report["issuer"]), (&json!("hold"), &json!("alice@laptop")));
    let announced = presence.until(|answer| !answer["held"].is_null());
    let record = stage.record("o-1");
    let since = &text(&record["accepted_at"])[..16];
    let shown = format!("kernel bisect (alice@laptop, since {since}Z)");
    assert_eq!((&announced["held"], held_at(&stage)), (&json!(shown), json!(shown)));
    for (n, action) in ["switch", "boot", "test", "dry-activate", "build"].iter().enumerate() {
        let report = stage.deploy(&format!("o-2{n}"), json!({"action": action})).verdict();
        assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!("held")), "{report}");
        let expected =
            format!("held since {since}Z by alice@laptop: {WHY}; `homelab-deploy release web1` ends that");
        assert_eq!(report["message"], expected);
    }
    assert_eq!(stage.calls(), 0);
    // Whoever asks is answered, and a cancel too.
    assert_eq!(stage.cancel("o-3", "nothing")["error"], "not_found");
    assert!(stage.ask(json!({"want": "history"}))["entries"].is_array());

    let report = release(&stage, "o-4");
    assert_eq!(report["message"], format!("released; it was held since {since}Z by alice@laptop: {WHY}"));
    presence.until(|answer| answer["held"].is_null());
    assert_eq!(held_at(&stage), Value::Null);
    assert!(!file(&stage).exists());
    stage.completes("o-20");
    assert_eq!(release(&stage, "o-5")["message"], "it was not held");
}

#[test]
fn with_the_pipeline_a_host_can_be_held_too() {
    let broker = Broker::start();
    let wire = Wire::connect(&broker, "tester");
    let presence = wire.listen("deploy.responses.presence");
    let _host = HostBuilder::new(&broker, "web1", "test", "web").without("--rebuild-command").start();
    let can = ["build", "cancel", "rollback", "reboot", "hold", "release"];
    assert_eq!(presence.next().body["capabilities"], json!(can));
    let reports: Ears = wire.listen("deploy.responses.*");
    let request = json!({"action": "hold", "reason": WHY, "reply_to": "deploy.responses.p-1"});
    wire.say("deploy.test.web1", &request);
    assert_eq!(reports.verdict()["status"], "completed");
    for action in ["switch", "rollback", "reboot"] {
        let reply_to = format!("deploy.responses.p-{action}");
        wire.say("deploy.test.web1", &json!({"action": action, "revision": "master", "reply_to": reply_to}));
        let report = reports.verdict();
        assert_eq!((&report["action"], &report["error"]), (&json!(action), &json!("held")), "{report}");
    }
}

#[test]
fn a_hold_survives_stops_and_crashes_and_ends_for_good() {
    let mut stage = calls();
    hold(&stage, "o-30", WHY);
    let before = held_at(&stage);
    stage.host.terminate();
    stage.host.ended();
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
fn while_a_job_runs_it_goes_on_and_the_next_is_refused() {
    let stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let running = stage.deploy("o-40", json!({}));
    running.until(|report| report["message"] == "build");
    let told = hold(&stage, "o-41", WHY);
    assert_eq!(told["message"], "held until `homelab-deploy release web1`; job o-40 goes on");
    refuses(&stage, "o-42", &[WHY]);
    stage.host.open("go");
    assert_eq!(running.verdict()["status"], "completed");
    refuses(&stage, "o-43", &[WHY]);
    // What runs is still told of, and a hold is no job.
    assert_eq!(stage.ask(json!({"want": "job"}))["report"]["id"], "o-40");
    assert_eq!(stage.ask(json!({}))["job"]["id"], "o-40");
}

#[test]
fn a_running_job_can_be_cancelled_while_the_host_is_held() {
    let stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let running = stage.deploy("o-50", json!({}));
    running.until(|report| report["message"] == "build");
    hold(&stage, "o-51", WHY);
    assert_eq!(stage.cancel("o-52", "o-50")["status"], "completed");
    assert_eq!(running.verdict()["error"], "cancelled");
}

#[test]
fn a_hold_on_a_held_host_takes_its_place_and_says_so() {
    let stage = calls();
    hold(&stage, "o-60", WHY);
    let told = hold(&stage, "o-61", "  the disk is being replaced ");
    let told = text(&told["message"]);
    assert!(told.starts_with("held until `homelab-deploy release web1`; before that held since "), "{told}");
    assert!(told.ends_with(" by alice@laptop: kernel bisect"), "{told}");
    assert!(text(&held_at(&stage)).starts_with("the disk is being replaced (alice"), "{}", held_at(&stage));
}

#[test]
fn an_id_acts_once_also_across_restarts() {
    let mut stage = calls();
    let first = hold(&stage, "o-70", WHY);
    release(&stage, "o-71");
    assert_eq!(hold(&stage, "o-70", "another"), first, "the same answer");
    assert_eq!(held_at(&stage), Value::Null);
    stage.restart();
    assert_eq!(hold(&stage, "o-70", WHY)["message"], first["message"]);
    assert_eq!(held_at(&stage), Value::Null);
    hold(&stage, "o-72", "for good");
    release(&stage, "o-71");
    refuses(&stage, "o-73", &["for good"]);
    let late = json!({"expires_at": "2020-01-01T00:00:00Z", "reason": "late"});
    for action in ["hold", "release"] {
        assert_eq!(say(&stage, &format!("o-late-{action}"), action, late.clone())["error"], "expired");
    }
    refuses(&stage, "o-74", &["for good"]);
}

#[test]
fn without_a_reason_or_with_a_book_nothing_is_held() {
    let stage = calls();
    let why = "a hold must say why: the reason is empty";
    let long = "a reason has at most 300 characters, and this one has 301";
    let reasons = [
        (Value::Null, why),
        (json!(""), why),
        (json!(" \n\u{200b}"), why),
        (json!("é".repeat(301)), long),
        (json!(7), "invalid type"),
    ];
    for (n, (reason, told)) in reasons.into_iter().enumerate() {
        let report = say(&stage, &format!("o-8{n}"), "hold", json!({"reason": reason}));
        let refused = (&report["status"], &report["error"]);
        assert_eq!(refused, (&json!("rejected"), &json!("invalid_request")), "{report}");
        assert!(text(&report["message"]).contains("`reason`"), "{report}");
        assert!(text(&report["message"]).contains(told), "{report}");
    }
    assert_eq!(held_at(&stage), Value::Null);
    hold(&stage, "o-89", &"é".repeat(300));
}

#[test]
fn what_cannot_be_kept_is_refused_and_changes_nothing() {
    let mut stage = calls();
    // Nobody can write a file where a folder is.
    fs::create_dir(file(&stage)).unwrap();
    for n in [1, 2] {
        let report = say(&stage, &format!("o-9{n}"), "hold", json!({"reason": WHY}));
        let refused = (&report["status"], &report["error"]);
        assert_eq!(refused, (&json!("rejected"), &json!("unhealthy")), "{report}");
        let told = text(&report["message"]);
        assert!(told.starts_with("could not hold: could not write ") && told.contains("hold.json"), "{told}");
        assert!(told.ends_with("; nothing was changed"), "{told}");
    }
    assert_eq!(held_at(&stage), Value::Null);
    stage.completes("o-93");
    fs::remove_dir(file(&stage)).unwrap();
    stage.restart();
    assert_eq!(held_at(&stage), Value::Null, "nothing is left of what was refused");
    // The same id may be used again, for nothing was done.
    hold(&stage, "o-91", WHY);

    let jobs = stage.host.file("state/jobs");
    fs::remove_dir_all(&jobs).unwrap();
    fs::write(&jobs, "not a folder").unwrap();
    let report = say(&stage, "o-94", "release", json!({}));
    assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!("unhealthy")), "{report}");
    assert!(text(&report["message"]).starts_with("could not release: "), "{report}");
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
        assert!(text(&held).ends_with("; nobody can tell who holds this host, and why"), "{held}");
        refuses(&stage, "o-101", &["hold.json is damaged: ", "; `homelab-deploy release web1` ends that"]);
        release(&stage, "o-102");
        stage.completes("o-103");
        stage.restart();
        assert_eq!(held_at(&stage), Value::Null);
    }
}

#[test]
fn a_listener_that_died_in_the_middle_does_it_at_its_next_start_unless_more_came() {
    let mut stage = calls();
    hold(&stage, "o-110", WHY);
    release(&stage, "o-111");
    for id in ["o-110", "o-111"] {
        stage.told(id);
    }
    // As it is between being taken and being done.
    let reopen = |stage: &Stage, id: &str| {
        let mut record = stage.record(id);
        record["report"]["status"] = json!("accepted");
        fs::write(stage.job_file(id, "state.json"), record.to_string()).unwrap();
        fs::remove_file(stage.job_file(id, "sent.json")).unwrap();
    };
    stage.host.kill();
    reopen(&stage, "o-110");
    stage.restart();
    assert_eq!(held_at(&stage), Value::Null, "it was released after that");
    hold(&stage, "o-112", "another");
    stage.told("o-112");
    stage.host.kill();
    fs::remove_file(file(&stage)).unwrap();
    reopen(&stage, "o-112");
    let reports = stage.wire.listen("deploy.responses.o-112");
    stage.restart();
    assert_eq!(reports.verdict()["status"], "completed");
    refuses(&stage, "o-113", &["another", "alice@laptop"]);
    assert_eq!(stage.record("o-112")["report"]["status"], "completed");
}

#[test]
fn a_job_that_was_taken_before_goes_on_after_a_restart() {
    let mut stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let running = stage.deploy("o-120", json!({}));
    running.until(|report| report["message"] == "build");
    hold(&stage, "o-121", WHY);
    stage.restart();
    // It runs still, and what becomes of it is no refusal.
    stage.host.open("go");
    assert_eq!(running.verdict()["status"], "completed");
    refuses(&stage, "o-122", &[WHY]);
}

#[test]
fn who_held_and_released_is_history() {
    let stage = calls();
    stage.completes("o-130");
    hold(&stage, "o-131", WHY);
    refuses(&stage, "o-132", &[]);
    release(&stage, "o-133");
    let entries = stage.ask(json!({"want": "history"}))["entries"].clone();
    let told: Vec<_> = entries
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
    assert_eq!(told, expected);
    assert_eq!(entries[1]["issuer"], "alice@laptop");
}

#[test]
fn an_issuer_of_any_length_fits_into_an_announcement() {
    let stage = calls();
    let issuer = "x".repeat(50_000);
    say(&stage, "o-140", "hold", json!({"reason": WHY, "issuer": issuer}));
    let held = held_at(&stage);
    assert!(text(&held).starts_with("kernel bisect (xxx") && text(&held).len() < 400, "{held}");
}
