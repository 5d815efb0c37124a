//! The listener keeps only the newest jobs in memory; it reads the others from disk.

use crate::stage::Stage;
use homelab_deploy::jobs::{JobCache, JobStore};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// More jobs than the cache keeps.
const MANY: usize = 55;

#[test]
fn an_old_job_is_reported_as_it_ended_and_its_id_starts_nothing() {
    let mut stage = Stage::new("echo >> $DIR/calls");
    let results: Vec<_> = (0..MANY)
        .map(|n| {
            let result = stage.completes(&format!("m-{n}"));
            stage.wait_delivered(&format!("m-{n}"));
            result
        })
        .collect();
    for restarted in [false, true] {
        if restarted {
            stage.restart();
        }
        assert_eq!(stage.query(json!({"query": "job", "id": "m-0"}))["report"], results[0]);
        assert_eq!(stage.query(json!({"query": "job"}))["report"], results[MANY - 1]);
        assert_eq!(stage.deploy("m-1", json!({})).next().body, results[1]);
    }
    assert_eq!(stage.calls(), MANY);
}

#[test]
fn an_old_job_with_a_damaged_record_is_not_restarted() {
    let stage = full_stage();
    fs::write(stage.job_file("m-2", "state.json"), "damaged").unwrap();
    let report = stage.deploy("m-2", json!({})).next().body;
    assert_eq!(
        (&report["id"], &report["status"], &report["error"]),
        (&json!("m-2"), &json!("failed"), &json!("interrupted"))
    );
    assert_eq!(report["message"], "this job has ended, but its record can no longer be read");
    assert_eq!(stage.calls(), MANY);
}

#[test]
fn the_directories_of_old_jobs_are_removed_after_a_day() {
    let mut stage = full_stage();
    for id in ["m-0", "m-1", "m-53"] {
        backdate(&stage, id);
    }
    stage.restart();
    stage.query(json!({}));
    let exists = |id| stage.job_file(id, "state.json").exists();
    // The fifty newest jobs stay regardless of their time, and so do the jobs of the last day.
    assert_eq!([exists("m-0"), exists("m-1")], [false, false]);
    assert!(exists("m-2") && exists("m-53"));
}

/// Makes a delivered job two days old.
pub(crate) fn backdate(stage: &Stage, id: &str) {
    let two_days_ago = SystemTime::now() - Duration::from_hours(48);
    File::open(stage.job_file(id, "delivered.json")).unwrap().set_modified(two_days_ago).unwrap();
    let mut record = stage.record(id);
    record["accepted_at"] = json!((Timestamp::now() - SignedDuration::from_hours(48)).to_string());
    fs::write(stage.job_file(id, "state.json"), record.to_string()).unwrap();
}

/// Sets the time at which a job was accepted, and removes the field `removed_field` from its record.
fn accepted(stage: &Stage, id: &str, hours_ahead: i64, removed_field: &str) {
    let mut record = stage.record(id);
    record["accepted_at"] = json!((Timestamp::now() + SignedDuration::from_hours(hours_ahead)).to_string());
    record.as_object_mut().unwrap().remove(removed_field);
    fs::write(stage.job_file(id, "state.json"), record.to_string()).unwrap();
}

fn last_job(stage: &Stage) -> Value {
    stage.query(json!({"query": "job"}))["report"]["id"].clone()
}

#[test]
fn the_last_job_is_the_one_accepted_last_even_if_the_clock_was_set() {
    let mut stage = Stage::new("");
    stage.completes("c-1");
    stage.completes("c-2");
    accepted(&stage, "c-1", 48, "");
    stage.restart();
    assert_eq!(last_job(&stage), "c-2");
    accepted(&stage, "c-2", 48, "");
    stage.restart();
    // The previous job keeps no roots, even if its time is later.
    let exists = |id| fs::symlink_metadata(stage.job_file(id, "result")).is_ok();
    for id in ["c-2", "c-3"] {
        fs::create_dir_all(stage.job_file(id, "")).unwrap();
        std::os::unix::fs::symlink("/nowhere", stage.job_file(id, "result")).unwrap();
    }
    stage.completes("c-3");
    assert_eq!(last_job(&stage), "c-3");
    assert_eq!([exists("c-2"), exists("c-3")], [false, true]);
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
fn a_lost_identity_does_not_make_a_stored_job_the_last_one() {
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
fn jobs_outside_the_cache_are_removed_while_the_listener_runs() {
    let mut stage = full_stage();
    stage.host.terminate();
    stage.host.wait_for_exit();
    let job_dir = stage.job_file("m-0", "");
    let (store, records) = JobStore::open(job_dir.ancestors().nth(2).unwrap()).unwrap();
    let mut jobs = JobCache::new(Arc::new(store), "h1".parse().unwrap());
    for record in &records {
        jobs.insert(record);
    }
    let exists = || (0..MANY).filter(|n| stage.job_file(&format!("m-{n}"), "state.json").exists()).count();
    jobs.prune(Timestamp::now());
    assert_eq!(exists(), MANY);
    jobs.prune(Timestamp::now() + SignedDuration::from_hours(23));
    assert_eq!(exists(), MANY);
    jobs.prune(Timestamp::now() + SignedDuration::from_hours(25));
    assert_eq!(exists(), 50);
}

/// A stage with many jobs that have ended and are delivered.
fn full_stage() -> Stage {
    let stage = Stage::new("echo >> $DIR/calls");
    for n in 0..MANY {
        stage.completes(&format!("m-{n}"));
        stage.wait_delivered(&format!("m-{n}"));
    }
    stage
}
