//! How a listener handles the state on disk when it starts.

use crate::common::{HostBuilder, NatsServer, RawClient, SmallDisk, TestDir};
use crate::stage::{Stage, phase, phases, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A program that waits in its build phase.
fn waiting_stage() -> Stage {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    Stage::with(&script, |host| host.gate("go"))
}

/// Runs a job up to its build phase, kills the listener, and simulates a reboot.
fn killed_in_build(id: &str) -> (Stage, crate::common::RawSubscription) {
    let mut stage = waiting_stage();
    let reports = stage.deploy(id, json!({}));
    reports.until(|report| report["message"] == "build");
    stage.pretend_reboot(id);
    (stage, reports)
}

#[test]
fn a_job_lost_in_a_reboot_is_reported_as_interrupted_and_the_listener_serves() {
    let (mut stage, reports) = killed_in_build("r-1");
    stage.restart();
    let report = reports.final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("interrupted")));
    assert!(
        text(&report["message"]).starts_with("the host restarted while the job was in build; "),
        "{report}"
    );
    assert_eq!(phases(&report), ["prepare: done", "build: failed"]);
    assert!(report["seq"].as_u64() > Some(2_000_000), "{report}");
    assert_eq!(stage.record("r-1")["report"], report);
    // The program from before ends, and the next job runs a new one.
    stage.host.open("go");
    stage.host.open("go");
    stage.completes("r-2");
}

#[test]
fn the_record_exists_before_started_is_reported_and_only_its_owner_can_read_it() {
    let stage = waiting_stage();
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
    let report = reports.final_report();
    assert_eq!(stage.record("r-3")["report"], report);
    stage.wait_delivered("r-3");
    let mut files: Vec<_> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "delivered.json")
        .collect();
    files.sort();
    assert_eq!(files, ["command.json", "log", "state.json"]);
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
    assert_eq!(reports.final_report()["error"], "interrupted");
    let rewritten = stage.record("r-4");
    assert_eq!(rewritten["report"]["error"], "interrupted");
    assert_eq!(rewritten["from_the_future"], record["from_the_future"]);
    assert_eq!(rewritten["request"], record["request"]);
    assert_eq!(rewritten["report"]["mood"], record["report"]["mood"]);
    stage.host.open("go");
}

#[test]
fn a_damaged_record_is_quarantined_and_the_others_stay() {
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
    fs::write(stage.host.file("state/jobs/stray"), "not a directory").unwrap();
    stage.host.relaunch();
    for _ in damaged {
        let line = stage.host.wait_for_log("quarantined a damaged job record");
        assert_eq!(line["level"], "ERROR");
        assert!(text(&line["file"]).ends_with("state.json") && line["error"].is_string(), "{line}");
    }
    stage.host.wait_for_log("connected");
    let warnings = stage.query(json!({}))["warnings"].to_string();
    for (id, content) in damaged {
        assert!(warnings.contains(&format!("{id}/state.json is damaged")), "{warnings}");
        assert_eq!(fs::read(stage.job_file(id, "state.quarantined")).unwrap(), content);
        assert!(stage.query(json!({"query": "job", "id": id}))["report"].is_null());
    }
    assert_eq!(stage.query(json!({"query": "job"}))["report"]["id"], "r-8");
    // The id of a job whose record is lost can be used again.
    stage.completes("r-5");
}

#[test]
fn a_job_that_cannot_be_recorded_is_not_started() {
    let stage = Stage::new("echo >> $DIR/calls");
    let jobs = stage.host.file("state/jobs");
    fs::remove_dir(&jobs).unwrap();
    fs::write(&jobs, "not a directory").unwrap();
    let report = stage.deploy("r-10", json!({})).final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("unhealthy")));
    assert!(text(&report["message"]).contains("must be writable"), "{report}");
    assert_eq!(stage.calls(), 0);
    fs::remove_file(&jobs).unwrap();
    stage.completes("r-11");
}

#[test]
fn a_damaged_identity_is_replaced() {
    let mut stage = Stage::new("");
    let file = stage.host.file("state/identity.json");
    for (content, damage) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{", "EOF while parsing an object at line 1 column 1"),
        (r#"{"instance":"a","starts":18446744073709551615}"#, "`starts` is 18446744073709551615"),
    ] {
        let before = stage.query(json!({}))["instance"].clone();
        fs::write(&file, content).unwrap();
        stage.restart();
        let after = stage.query(json!({}));
        assert!(after["instance"].is_string() && after["instance"] != before, "{after}");
        let (file, moved) = (file.display(), file.with_extension("quarantined"));
        let warning = format!(
            "the identity {file} is damaged ({damage}) and was replaced; moved to {}; operators see a new instance of this service",
            moved.display()
        );
        assert_eq!(after["warnings"], json!([warning]));
        assert_eq!(fs::read_to_string(moved).unwrap(), content);
        stage.restart();
        assert!(stage.query(json!({}))["warnings"].is_null());
    }
}

/// A pipe would block the start, and a huge file would take all memory.
#[test]
fn files_that_no_listener_writes_do_not_prevent_the_start() {
    let mut stage =
        Stage::with("", |host| host.args(&["--metrics-enabled", "--metrics-addr", "127.0.0.1:0"]));
    stage.completes("r-12");
    stage.wait_delivered("r-12");
    for name in ["identity.json", "metrics.json", "hold.json", "jobs/r-12/state.json"] {
        let file = stage.host.file("state").join(name);
        stage.host.kill();
        let _ = fs::remove_file(&file);
        fs::File::create(&file).unwrap().set_len(17 << 20).unwrap();
        stage.restart();
        let size = "its size is 17825792 bytes, expected at most 16777216";
        let host = stage.query(json!({}));
        assert!(
            host["warnings"].to_string().contains(size) || host["held"].to_string().contains(size),
            "{host}"
        );

        stage.host.kill();
        let _ = fs::remove_file(&file);
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
        stage.restart();
        let host = stage.query(json!({}));
        let kind = "not a regular file";
        assert!(
            host["warnings"].to_string().contains(kind) || host["held"].to_string().contains(kind),
            "{host}"
        );
        let _ = fs::remove_file(&file);
        let _ = fs::remove_file(file.with_extension("quarantined"));
    }
    stage.host.kill();
    let history = stage.host.file("state/history.jsonl");
    fs::remove_file(&history).unwrap();
    assert!(Command::new("mkfifo").arg(&history).status().unwrap().success());
    stage.restart();

    // Without its lock, no listener may use the directory.
    stage.host.kill();
    let lock = stage.host.file("state/listener.lock");
    fs::remove_file(&lock).unwrap();
    assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
    stage.host.relaunch();
    assert_eq!(stage.host.wait_for_exit().code(), Some(1));
    let error = stage.host.rest_of_log().pop().unwrap();
    assert!(text(&error).contains("not a regular file; it must be writable"), "{error}");
}

#[test]
fn a_damaged_identity_on_a_full_disk_does_not_prevent_the_start() {
    let nats = NatsServer::start();
    let dir = TestDir::new();
    let Some((state_dir, disk)) = SmallDisk::for_state(dir.path()) else { return };
    let state = state_dir.to_str().unwrap();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").flag("--state-dir", state).start();
    host.kill();
    fs::write(state_dir.join("identity.json"), "{").unwrap();
    disk.fill();
    for _ in 0..2 {
        host.restart();
        host.last_log(&format!(
            "the identity {state}/identity.json is damaged (EOF while parsing an object at line 1 column 1); operators see a new instance of this service"
        ));
    }
}

#[test]
fn a_state_directory_has_one_listener() {
    let stage = Stage::new("");
    let state_dir = stage.host.file("state");
    let mut second = HostBuilder::new(&stage.nats, "web1", "test", "web")
        .flag("--state-dir", state_dir.to_str().unwrap())
        .launch();
    assert_eq!(second.wait_for_exit().code(), Some(1));
    let log = second.rest_of_log();
    let expected = format!(
        "error: another service uses the state directory {}; stop it, or choose another with --state-dir",
        state_dir.display()
    );
    assert_eq!(log.last(), Some(&Value::String(expected)));
    stage.completes("r-9");
}

#[test]
fn a_state_directory_that_cannot_be_written_to_is_refused() {
    let nats = NatsServer::start();
    let mut host =
        HostBuilder::new(&nats, "web1", "test", "web").flag("--state-dir", "/dev/null/state").launch();
    assert_eq!(host.wait_for_exit().code(), Some(1));
    let log = host.rest_of_log().pop().unwrap();
    let expected = "error: could not use the state directory /dev/null/state: Not a directory (os error 20); \
                    it must be writable, or choose another with --state-dir";
    assert!(text(&log).starts_with(expected), "{log}");
}

#[test]
fn an_unreadable_record_is_a_warning() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web");
    let record = host.dir().join("state/jobs/r-10/state.json");
    fs::create_dir_all(&record).unwrap();
    let wire = RawClient::connect(&nats, "tester");
    let presence = wire.subscribe("deploy.responses.presence");
    let mut host = host.start();
    let warning = format!("could not read the job record {}: Is a directory (os error 21)", record.display());
    assert_eq!(host.last_log(&warning)["level"], "ERROR");
    assert_eq!(presence.next().body["warnings"], json!([warning]));
}

/// Operators ignore presence with a lower number than before.
#[test]
fn numbers_increase_over_starts_that_cannot_be_counted() {
    let nats = NatsServer::start();
    let dir = TestDir::new();
    let Some((state_dir, disk)) = SmallDisk::for_state(dir.path()) else { return };
    let wire = RawClient::connect(&nats, "tester");
    let presence = wire.subscribe("deploy.responses.presence");
    let next_seq = || presence.next().body["seq"].as_u64().unwrap();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web")
        .flag("--state-dir", state_dir.to_str().unwrap())
        .flag("--presence-interval", "1")
        .start();
    next_seq();
    host.kill();
    disk.fill();
    host.restart();
    let first = std::iter::repeat_with(next_seq).take(10).find(|seq| *seq > 1_500_000).unwrap();
    host.kill();
    let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
    fs::File::open(state_dir.join("identity.json")).unwrap().set_modified(an_hour_ago).unwrap();
    host.restart();
    let second = std::iter::repeat_with(next_seq).take(10).find(|seq| *seq > first + 1000).unwrap();
    assert!(second < 2_000_000, "{second}");
    host.kill();
    disk.relieve();
    host.restart();
    assert!(std::iter::repeat_with(next_seq).take(10).any(|seq| seq > 2_000_000));
}
