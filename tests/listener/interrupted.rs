//! What lies on disk, and what a listener makes of it when it starts.

use crate::common::HostBuilder;
use crate::stage::{Stage, phase, phases, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A program that holds in build.
fn held() -> Stage {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    Stage::with(&script, |host| host.gate("go"))
}

/// Runs a job up to its build, kills the listener there, and boots the host.
fn killed_in_build(id: &str) -> (Stage, crate::common::Ears) {
    let mut stage = held();
    let reports = stage.deploy(id, json!({}));
    reports.until(|report| report["message"] == "build");
    stage.began_before_the_boot(id);
    (stage, reports)
}

#[test]
fn a_job_that_ended_with_its_boot_is_told_as_interrupted_and_the_listener_serves() {
    let (mut stage, reports) = killed_in_build("r-1");
    stage.restart();
    let report = reports.verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("interrupted")));
    assert!(
        text(&report["message"]).starts_with("the host restarted while the job was in build; "),
        "{report}"
    );
    assert_eq!(phases(&report), ["prepare: done", "build: failed"]);
    assert!(report["seq"].as_u64() > Some(2_000_000), "{report}");
    assert_eq!(stage.record("r-1")["report"], report);
    // The program that was left there ends; the next job is another.
    stage.host.open("go");
    stage.host.open("go");
    stage.completes("r-2");
}

#[test]
fn the_record_is_there_before_started_is_said_and_only_its_owner_can_read_it() {
    let stage = held();
    let reports = stage.deploy("r-3", json!({"issuer": "alice"}));
    reports.until(|report| report["status"] == "started");
    let record = stage.record("r-3");
    assert_eq!((&record["request"]["id"], &record["request"]["issuer"]), (&json!("r-3"), &json!("alice")));
    for field in [
        "accepted_at",
        "deadline",
        "starts",
        "report",
        "old",
        "external_command",
        "profile_moved",
        "unit",
        "nonce",
        "counted",
    ] {
        assert!(record.as_object().unwrap().contains_key(field), "{field}");
    }
    let file = stage.job_file("r-3", "state.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    stage.host.open("go");
    let report = reports.verdict();
    assert_eq!(stage.record("r-3")["report"], report);
    stage.told("r-3");
    let mut left: Vec<_> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "sent.json")
        .collect();
    left.sort();
    assert_eq!(left, ["command.json", "log", "state.json"]);
}

#[test]
fn fields_of_a_newer_version_survive_a_rewrite() {
    let (mut stage, reports) = killed_in_build("r-4");
    let mut record = stage.record("r-4");
    record["from_the_future"] = json!({"a": [1, {"b": null}]});
    record["request"]["wish"] = json!("later");
    record["report"]["mood"] = json!({"is": "good"});
    fs::write(stage.job_file("r-4", "state.json"), record.to_string()).unwrap();
    stage.restart();
    assert_eq!(reports.verdict()["error"], "interrupted");
    let rewritten = stage.record("r-4");
    assert_eq!(rewritten["report"]["error"], "interrupted");
    assert_eq!(rewritten["from_the_future"], record["from_the_future"]);
    assert_eq!(rewritten["request"], record["request"]);
    assert_eq!(rewritten["report"]["mood"], record["report"]["mood"]);
    stage.host.open("go");
}

#[test]
fn a_damaged_record_is_put_aside_and_the_others_stay() {
    let mut stage = Stage::new("");
    for id in ["r-5", "r-6", "r-7", "r-8"] {
        stage.completes(id);
    }
    stage.host.kill();
    let damaged = [("r-5", &b""[..]), ("r-6", b"{\"request\":"), ("r-7", b"\xff\x00")];
    for (id, content) in damaged {
        fs::write(stage.job_file(id, "state.json"), content).unwrap();
    }
    fs::create_dir(stage.host.file("state/jobs/empty")).unwrap();
    fs::write(stage.host.file("state/jobs/stray"), "no folder").unwrap();
    stage.host.relaunch();
    for _ in damaged {
        let line = stage.host.logged("put a damaged job record aside");
        assert_eq!(line["level"], "ERROR");
        assert!(text(&line["file"]).ends_with("state.json") && line["error"].is_string(), "{line}");
    }
    stage.host.logged("connected");
    let warnings = stage.ask(json!({}))["warnings"].to_string();
    for (id, content) in damaged {
        assert!(warnings.contains(&format!("{id}/state.json is damaged")), "{warnings}");
        assert_eq!(fs::read(stage.job_file(id, "state.damaged")).unwrap(), content);
        assert!(stage.ask(json!({"want": "job", "id": id}))["report"].is_null());
    }
    assert_eq!(stage.ask(json!({"want": "job"}))["report"]["id"], "r-8");
    // What is not known any more may run again.
    stage.completes("r-5");
}

#[test]
fn a_job_that_cannot_be_recorded_is_not_begun() {
    let stage = Stage::new("echo >> $DIR/calls");
    let jobs = stage.host.file("state/jobs");
    fs::remove_dir(&jobs).unwrap();
    fs::write(&jobs, "not a folder").unwrap();
    let report = stage.deploy("r-10", json!({})).verdict();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("unhealthy")));
    assert!(text(&report["message"]).contains("must be writable"), "{report}");
    assert_eq!(stage.calls(), 0);
    fs::remove_file(&jobs).unwrap();
    stage.completes("r-11");
}

#[test]
fn a_damaged_identity_is_replaced() {
    let mut stage = Stage::new("");
    let before = stage.ask(json!({}))["instance"].clone();
    fs::write(stage.host.file("state/identity.json"), "{").unwrap();
    stage.restart();
    let after = stage.ask(json!({}))["instance"].clone();
    assert!(after.is_string() && after != before, "{after}");
}

#[test]
fn a_state_directory_has_one_listener() {
    let stage = Stage::new("");
    let folder = stage.host.file("state");
    let mut second = HostBuilder::new(&stage.broker, "web1", "test", "web")
        .flag("--state-dir", folder.to_str().unwrap())
        .launch();
    assert_eq!(second.ended().code(), Some(1));
    let said = second.rest_of_log();
    let expected = format!(
        "error: another listener or builder uses the state directory {}; stop it, or choose another with --state-dir",
        folder.display()
    );
    assert_eq!(said.last(), Some(&Value::String(expected)));
    stage.completes("r-9");
}

#[test]
fn a_state_directory_that_cannot_be_written_to_is_refused() {
    let broker = crate::common::Broker::start();
    let mut host =
        HostBuilder::new(&broker, "web1", "test", "web").flag("--state-dir", "/dev/null/state").launch();
    assert_eq!(host.ended().code(), Some(1));
    let said = host.rest_of_log().pop().unwrap();
    let expected = "error: could not use the state directory /dev/null/state: Not a directory (os error 20); \
                    it must be writable, or choose another with --state-dir";
    assert!(text(&said).starts_with(expected), "{said}");
}
