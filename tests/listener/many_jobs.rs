//! Of many jobs the listener has the newest at hand; the others it knows by their folders.

use crate::stage::Stage;
use homelab_deploy::jobs::{AtHand, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// More than are kept at hand.
const MANY: usize = 55;

#[test]
fn an_old_job_is_told_as_it_ended_and_its_id_starts_nothing() {
    let mut stage = Stage::new("echo >> $DIR/calls");
    let verdicts: Vec<_> = (0..MANY)
        .map(|n| {
            let verdict = stage.completes(&format!("m-{n}"));
            stage.told(&format!("m-{n}"));
            verdict
        })
        .collect();
    for restarted in [false, true] {
        if restarted {
            stage.restart();
        }
        assert_eq!(stage.ask(json!({"want": "job", "id": "m-0"}))["report"], verdicts[0]);
        assert_eq!(stage.ask(json!({"want": "job"}))["report"], verdicts[MANY - 1]);
        assert_eq!(stage.deploy("m-1", json!({})).next().body, verdicts[1]);
    }
    assert_eq!(stage.calls(), MANY);
}

#[test]
fn an_old_job_whose_record_is_damaged_is_still_not_done_again() {
    let stage = worked();
    fs::write(stage.job_file("m-2", "state.json"), "damaged").unwrap();
    let told = stage.deploy("m-2", json!({})).next().body;
    assert_eq!(
        (&told["id"], &told["status"], &told["error"]),
        (&json!("m-2"), &json!("failed"), &json!("interrupted"))
    );
    assert_eq!(told["message"], "this job has ended, and its record can no longer be read");
    assert_eq!(stage.calls(), MANY);
}

#[test]
fn the_folders_of_old_jobs_are_removed_after_a_day() {
    let mut stage = worked();
    let two_days_ago = SystemTime::now() - Duration::from_hours(48);
    for id in ["m-0", "m-1", "m-53"] {
        File::open(stage.job_file(id, "sent.json")).unwrap().set_modified(two_days_ago).unwrap();
        let path = stage.job_file(id, "state.json");
        let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        record["accepted_at"] = json!((Timestamp::now() - SignedDuration::from_hours(48)).to_string());
        fs::write(&path, record.to_string()).unwrap();
    }
    stage.restart();
    stage.ask(json!({}));
    let there = |id| stage.job_file(id, "state.json").exists();
    // Of the fifty newest nothing is removed, whatever the clock said when they were accepted, and of the last day neither.
    assert_eq!([there("m-0"), there("m-1")], [false, false]);
    assert!(there("m-2") && there("m-53"));
}

/// Gives a job that has ended the time `accepted_at`.
fn accepted(stage: &Stage, id: &str, hours_ahead: i64, forgets: &str) {
    let mut record = stage.record(id);
    record["accepted_at"] = json!((Timestamp::now() + SignedDuration::from_hours(hours_ahead)).to_string());
    record.as_object_mut().unwrap().remove(forgets);
    fs::write(stage.job_file(id, "state.json"), record.to_string()).unwrap();
}

fn last_job(stage: &Stage) -> Value {
    stage.ask(json!({"want": "job"}))["report"]["id"].clone()
}

#[test]
fn the_last_job_is_the_one_that_was_accepted_last_whatever_the_clock_said() {
    let mut stage = Stage::new("");
    stage.completes("c-1");
    stage.completes("c-2");
    accepted(&stage, "c-1", 48, "");
    stage.restart();
    assert_eq!(last_job(&stage), "c-2");
    accepted(&stage, "c-2", 48, "");
    stage.restart();
    stage.completes("c-3");
    assert_eq!(last_job(&stage), "c-3");
    // The job before it keeps no roots, wherever its time lies.
    let there = |id| fs::symlink_metadata(stage.job_file(id, "result")).is_ok();
    for id in ["c-2", "c-4"] {
        fs::create_dir_all(stage.job_file(id, "")).unwrap();
        std::os::unix::fs::symlink("/nowhere", stage.job_file(id, "result")).unwrap();
    }
    stage.completes("c-4");
    assert_eq!([there("c-2"), there("c-4")], [false, true]);
}

#[test]
fn jobs_that_an_older_version_accepted_are_in_the_order_of_their_times() {
    let mut stage = Stage::new("");
    stage.completes("o-1");
    stage.completes("o-2");
    accepted(&stage, "o-1", 0, "accepted_seq");
    accepted(&stage, "o-2", -1, "accepted_seq");
    stage.restart();
    assert_eq!(last_job(&stage), "o-1");
    stage.completes("o-3");
    assert_eq!(last_job(&stage), "o-3");
}

#[test]
fn a_lost_identity_makes_no_job_that_lies_there_the_last_one() {
    let mut stage = Stage::new("");
    for _ in 0..3 {
        stage.restart();
    }
    let before = stage.completes("i-1")["seq"].as_u64();
    fs::remove_file(stage.host.file("state/identity.json")).unwrap();
    stage.restart();
    assert!(stage.completes("i-2")["seq"].as_u64() > before);
    assert_eq!(last_job(&stage), "i-2");
    stage.restart();
    assert_eq!(last_job(&stage), "i-2");
}

#[test]
fn also_those_that_are_not_at_hand_are_removed_while_the_listener_runs() {
    let mut stage = worked();
    stage.host.terminate();
    stage.host.ended();
    let folder = stage.job_file("m-0", "");
    let (store, records) = Store::open(folder.ancestors().nth(2).unwrap()).unwrap();
    let mut jobs = AtHand::new(Arc::new(store), "h1".parse().unwrap());
    for record in &records {
        jobs.insert(record);
    }
    let there = || (0..MANY).filter(|n| stage.job_file(&format!("m-{n}"), "state.json").exists()).count();
    jobs.tidy(Timestamp::now());
    assert_eq!(there(), MANY);
    jobs.tidy(Timestamp::now() + SignedDuration::from_hours(23));
    assert_eq!(there(), MANY);
    jobs.tidy(Timestamp::now() + SignedDuration::from_hours(25));
    assert_eq!(there(), 50);
}

/// A stage where many jobs have ended and were told.
fn worked() -> Stage {
    let stage = Stage::new("echo >> $DIR/calls");
    for n in 0..MANY {
        stage.completes(&format!("m-{n}"));
        stage.told(&format!("m-{n}"));
    }
    stage
}
