//! How a builder handles the content of its state directory at start.

use crate::common::{HostBuilder, NatsServer, ServiceManager, SmallDisk, TestDir, eventually};
use crate::stage::{Stage, says, text};
use serde_json::{Value, json};
use std::fs;

/// A repository that is never looked up.
const OTHER: &str = "[repos.other]\nurl = \"git+https://git.example.org/other\"\n";
const ONE: &str = "web1 = sh \"web1\" \"echo one > $out\";";

/// Kills a builder during a job, edits the job's record with `change`, and restarts the builder. Returns the final
/// report of the job.
fn started_with(config: &str, change: impl Fn(&mut Value)) -> (Stage, Value) {
    let mut stage = Stage::new("");
    let _gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let replies = stage.build("b-1", "web1");
    replies.until(|report| report["hosts"][0]["state"] == "running");
    stage.builder.kill();
    let file = stage.builder.file("state/builds/b-1.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut record);
    fs::write(&file, record.to_string()).unwrap();
    if !config.is_empty() {
        fs::write(stage.builder.file("builder.toml"), config).unwrap();
    }
    stage.builder.restart();
    let report = replies.final_report();
    (stage, report)
}

#[test]
fn a_request_older_than_a_day_is_interrupted() {
    let (_, report) = started_with("", |record| record["accepted_at"] = json!("2020-01-01T00:00:00Z"));
    says(
        &report,
        "failed",
        "interrupted",
        &["the builder was offline for more than a day; send the request again"],
    );
}

#[test]
fn a_removed_repository_is_not_built() {
    let (_, report) = started_with(OTHER, |_| ());
    says(&report, "failed", "unknown_repo", &["this builder no longer has a repository \"infra\""]);
}

#[test]
fn a_damaged_record_is_quarantined_and_reported() {
    let mut stage = Stage::new(ONE);
    says(&stage.build("b-1", "web1").final_report(), "completed", "", &[]);
    let file = stage.builder.file("state/builds/b-1.json");
    fs::write(&file, "{").unwrap();
    stage.builder.restart();
    let line = stage.builder.last_log("quarantined a damaged build record");
    assert_eq!(line["level"], "ERROR");
    assert!(text(&line["file"]).ends_with("builds/b-1.json") && line["error"].is_string(), "{line}");
    assert!(file.with_extension("quarantined").exists() && !file.exists());
    says(&stage.build("b-2", "web1").final_report(), "completed", "", &[]);
}

#[test]
fn records_are_removed_after_a_day() {
    let mut stage = Stage::new(ONE);
    says(&stage.build("b-1", "web1").final_report(), "completed", "", &[]);
    stage.builder.kill();
    let file = stage.builder.file("state/builds/b-1.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    record["ended_at"] = json!("2020-01-01T00:00:00Z");
    fs::write(&file, record.to_string()).unwrap();
    stage.builder.restart();
    eventually("the record being removed", || (!file.exists()).then_some(()));
}

#[test]
fn a_state_directory_is_used_by_one_service() {
    let stage = Stage::new(ONE);
    let state_dir = stage.builder.file("state");
    let builder = HostBuilder::builder(&stage.nats, OTHER).flag("--state-dir", state_dir.to_str().unwrap());
    let listener =
        HostBuilder::new(&stage.nats, "web1", "test", "web").flag("--state-dir", state_dir.to_str().unwrap());
    for service in [builder, listener] {
        let mut service = service.launch();
        assert_eq!(service.wait_for_exit().code(), Some(1));
        let log = format!("{:?}", service.rest_of_log());
        assert!(log.contains("another service uses the state directory"), "{log}");
    }
}

#[test]
fn an_unreadable_record_is_a_warning() {
    let nats = NatsServer::start();
    let manager = ServiceManager::new();
    let builder = manager.manages(HostBuilder::builder(&nats, OTHER));
    let record = builder.dir().join("state/builds/b-1.json");
    fs::create_dir_all(&record).unwrap();
    let mut builder = builder.start();
    let warning =
        format!("could not read the build record {}: Is a directory (os error 21)", record.display());
    assert_eq!(builder.last_log(&warning)["level"], "ERROR");
    manager.status(&[&warning]);
}

/// Operators keep the report with the highest number.
#[test]
fn reports_are_newer_than_those_before_the_identity_was_lost() {
    let mut stage = Stage::new("");
    let _gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let replies = stage.build("b-1", "web1");
    let before = replies.until(|report| report["hosts"][0]["state"] == "running");
    stage.builder.kill();
    let identity = stage.builder.file("state/identity.json");
    fs::write(&identity, "{").unwrap();
    stage.builder.restart();
    stage.builder.last_log(&format!(
        "the identity {} is damaged (EOF while parsing an object at line 1 column 1) and was replaced; moved to {}; operators see a new instance of this service",
        identity.display(),
        identity.with_extension("quarantined").display()
    ));
    // Before the restart, the host was running; after it, the build starts again.
    let after = replies.until(|report| report["hosts"].is_null());
    let seq = |report: &Value| report["seq"].as_u64().unwrap();
    assert!(seq(&after) > seq(&before), "{after:#} is older than {before:#}");
}

#[test]
fn a_full_disk_at_the_start_is_logged() {
    let nats = NatsServer::start();
    let dir = TestDir::new();
    let Some((state_dir, disk)) = SmallDisk::for_state(dir.path()) else { return };
    let state = state_dir.to_str().unwrap();
    let mut builder = HostBuilder::builder(&nats, OTHER).flag("--state-dir", state).start();
    builder.kill();
    disk.fill();
    builder.relaunch();
    builder.wait_for_log(&format!(
        "could not write {state}/identity.json: No space left on device (os error 28); nothing can be built until this is fixed"
    ));
}

/// A build may fill the disk itself.
#[test]
fn a_result_that_could_not_be_saved_is_replied_and_saved_later() {
    let dir = TestDir::new();
    let Some((state_dir, disk)) = SmallDisk::for_state(dir.path()) else { return };
    let mut stage = Stage::with("", "", |builder| builder.flag("--state-dir", state_dir.to_str().unwrap()));
    let gate = stage.gate("gate");
    let wait = format!("read _ < {}; echo failed; exit 1", stage.at("gate").display());
    stage.hosts(&format!("web1 = sh \"web1\" \"{wait}\";"));
    let replies = stage.build("b-3", "web1");
    replies.until(|report| report["hosts"][0]["state"] == "running");
    disk.fill();
    gate.pass();
    let result = replies.final_report();
    says(&result, "failed", "build_failed", &[]);
    stage.builder.last_log("failed to save result");
    stage.wire.round_trip();
    assert_eq!(stage.build("b-3", "web1").next().body, result);
    disk.relieve();
    let record = state_dir.join("builds/b-3.json");
    eventually("the saved result", || {
        let record: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
        (record["report"] == result && record["delivered"] == true).then_some(())
    });
}
