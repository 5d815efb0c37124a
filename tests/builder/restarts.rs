//! What a start finds in the state directory.

use crate::common::{HostBuilder, eventually};
use crate::stage::{Stage, says};
use serde_json::{Value, json};
use std::fs;

const ONE: &str = "web1 = sh \"web1\" \"echo one > $out\";";

/// A builder that was killed with an order in it that had not ended, which `change` has written anew; and what it tells of that
/// when it starts again.
fn started_with(config: &str, change: impl Fn(&mut Value)) -> (Stage, Value) {
    let mut stage = Stage::new("");
    let _gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let ears = stage.build("b-1", "web1");
    ears.until(|report| report["hosts"][0]["state"] == "running");
    stage.builder.kill();
    let file = stage.builder.file("state/builds/b-1.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut record);
    fs::write(&file, record.to_string()).unwrap();
    if !config.is_empty() {
        fs::write(stage.builder.file("builder.toml"), config).unwrap();
    }
    stage.builder.restart();
    let report = ears.verdict();
    (stage, report)
}

#[test]
fn what_lay_for_more_than_a_day_is_interrupted() {
    let (_, report) = started_with("", |record| record["accepted_at"] = json!("2020-01-01T00:00:00Z"));
    says(&report, "failed", "interrupted", &["the builder was away for more than a day; ask again"]);
}

#[test]
fn a_repository_that_is_not_listed_any_more_is_not_built() {
    let config = "[repos.other]\nurl = \"git+https://git.example.org/other\"\n";
    let (_, report) = started_with(config, |_| ());
    says(&report, "failed", "unknown_repo", &["this builder has no repository \"infra\" any more"]);
}

#[test]
fn a_damaged_record_is_put_aside_and_told_and_the_rest_goes_on() {
    let mut stage = Stage::new(ONE);
    says(&stage.build("b-1", "web1").verdict(), "completed", "", &[]);
    let file = stage.builder.file("state/builds/b-1.json");
    fs::write(&file, "{").unwrap();
    stage.builder.restart();
    let line = stage.builder.has_logged("something is wrong with the state directory");
    let warning = line["warning"].as_str().unwrap();
    assert!(warning.contains("builds/b-1.json of a build is damaged"), "{warning}");
    assert!(file.with_extension("damaged").exists() && !file.exists());
    says(&stage.build("b-2", "web1").verdict(), "completed", "", &[]);
}

#[test]
fn records_are_removed_after_a_day() {
    let mut stage = Stage::new(ONE);
    says(&stage.build("b-1", "web1").verdict(), "completed", "", &[]);
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
    let taken = stage.builder.file("state");
    let config = "[repos.other]\nurl = \"git+https://git.example.org/other\"\n";
    let builder = HostBuilder::builder(&stage.broker, config).flag("--state-dir", taken.to_str().unwrap());
    let listener =
        HostBuilder::new(&stage.broker, "web1", "test", "web").flag("--state-dir", taken.to_str().unwrap());
    for service in [builder, listener] {
        let mut service = service.launch();
        assert_eq!(service.ended().code(), Some(1));
        let said = format!("{:?}", service.rest_of_log());
        assert!(said.contains("another listener or builder uses the state directory"), "{said}");
    }
}
