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
    for id in ["m-0", "m-1", "m-54"] {
        File::open(stage.job_file(id, "sent.json")).unwrap().set_modified(two_days_ago).unwrap();
        let path = stage.job_file(id, "state.json");
        let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        record["accepted_at"] = json!((Timestamp::now() - SignedDuration::from_hours(48)).to_string());
        fs::write(&path, record.to_string()).unwrap();
    }
    stage.restart();
    stage.ask(json!({}));
    let there = |id| stage.job_file(id, "state.json").exists();
    // Of the fifty newest nothing is removed, and of the last day neither; the one that was made old is no longer the newest.
    assert_eq!([there("m-0"), there("m-1"), there("m-54")], [false, false, false]);
    assert!(there("m-2") && there("m-53"));
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
