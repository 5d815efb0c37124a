//! The schemas in docs/schemas: each command with JSON output has one, and its output conforms to it.

use crate::common::{CommandOutput, RunningCommand, run};
use crate::fast_demo::FastDemo;
use homelab_deploy::cli;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas")
}

fn read(name: &str) -> String {
    let file = directory().join(format!("{name}.json"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The schema of a command, in one piece. Unlike the published schema, it does not allow unknown fields.
fn schema(command: &str) -> Value {
    let inner = |name| serde_json::from_str(&read(name).replace("common.json#", "#")).unwrap();
    let (mut schema, common): (Value, Value) = (inner(command), inner("common"));
    schema["$defs"] = common["$defs"].clone();
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Checks each line of the output against the schema of the command; returns the lines.
fn valid(command: &str, ended: &CommandOutput) -> Vec<Value> {
    let validator = jsonschema::validator_for(&schema(command)).unwrap();
    let lines = ended.json();
    assert!(!lines.is_empty(), "{command} printed nothing: {ended}");
    for line in &lines {
        let errors: Vec<_> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{command}: {errors:#?}\n{line:#}");
    }
    lines
}

fn json(demo: &FastDemo, args: &[&str], code: i32) -> CommandOutput {
    run(demo.command().args(args).args(["--output", "json"]), code)
}

/// The kinds of events in these lines.
fn events<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    lines.into_iter().map(|line| line["event"].as_str().unwrap_or_default().to_owned()).collect()
}

/// All subcommands with `--output`.
fn commands(above: &clap::Command, path: &str, into: &mut BTreeSet<String>) {
    for command in above.get_subcommands() {
        let path = format!("{path}{}", command.get_name());
        if command.get_arguments().any(|arg| arg.get_long() == Some("output")) {
            into.insert(path.clone());
        }
        commands(command, &format!("{path}-"), into);
    }
}

/// Notifications are tested in tests/notify.
#[test]
fn each_command_that_prints_json_has_a_schema_and_no_other() {
    let mut expected = BTreeSet::from(["common".to_owned(), "notification".to_owned()]);
    commands(&cli::command(), "", &mut expected);
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name());
    let there: BTreeSet<_> =
        files.filter_map(|file| Some(file.to_str()?.strip_suffix(".json")?.to_owned())).collect();
    assert_eq!(there, expected);
    for name in &there {
        assert!(jsonschema::meta::is_valid(&serde_json::from_str(&read(name)).unwrap()), "{name}");
    }
}

#[test]
fn a_line_that_violates_its_schema_is_found() {
    let validator = |command: &str| jsonschema::validator_for(&schema(command)).unwrap();
    let report = json!({"hostname": "web1", "status": "completed", "error": null, "message": "done"});
    let line = json!({"event": "report", "value": report});
    assert!(validator("deploy").is_valid(&line));
    let changed = |change: fn(&mut Map<String, Value>)| {
        let mut line = line.clone();
        change(line["value"].as_object_mut().unwrap());
        line
    };
    let wrong = [
        changed(|report| drop(report.remove("status"))),
        changed(|report| drop(report.insert("hostname".to_owned(), json!("a.b")))),
        changed(|report| drop(report.insert("seq".to_owned(), json!(-1)))),
        changed(|report| drop(report.insert("novelty".to_owned(), json!(1)))),
        json!({"event": "reports", "value": report}),
    ];
    for line in wrong {
        assert!(!validator("deploy").is_valid(&line), "{line}");
    }
    let batch =
        json!({"event": "batch", "value": {"batch": 1, "of": 2, "kind": "canary", "hosts": ["web1"]}});
    assert!(validator("deploy").is_valid(&batch) && !validator("rollback").is_valid(&batch));
}

#[test]
fn command_output_matches_its_schema() {
    let demo = FastDemo::open();
    let mut seen = BTreeSet::new();
    let mut deploy = |args: &[&str], code| {
        let lines = valid("deploy", &json(&demo, &[&["deploy", "--yes"], args].concat(), code));
        seen.extend(events(&lines));
        lines
    };
    // One host fails its health check and is rolled back.
    deploy(&["cache1", "cache2"], 1);
    // No host can build this branch, so the canary stops the rollout.
    let stopped = deploy(&["--role", "ci", "--tier", "test", "--branch", "broken", "--canary", "1"], 1);
    assert_eq!(stopped.last().unwrap()["value"]["stopped"]["reason"], "canary");
    let stopped = deploy(&["--role", "ci", "--tier", "test", "--branch", "broken", "--batch", "1"], 1);
    assert_eq!(stopped.last().unwrap()["value"]["not_started"], json!(["ci2", "ci3"]));
    deploy(&["web1", "--action", "build"], 0);
    assert_eq!(seen, ["batch", "report", "resume_command", "result"].map(str::to_owned).into());

    let changes = valid("diff", &json(&demo, &["diff", "ci1"], 0));
    assert!(changes.iter().any(|line| line["value"]["changes"].is_object()), "{changes:#?}");
    valid("rollback", &json(&demo, &["rollback", "cache1", "--yes"], 0));
    let rebooted = valid("reboot", &json(&demo, &["reboot", "--needed", "--tier", "prod", "--yes"], 0));
    assert!(rebooted.iter().any(|line| line["value"]["action"] == "reboot"), "{rebooted:#?}");
    let none = valid("reboot", &json(&demo, &["reboot", "--needed", "--tier", "prod", "--yes"], 0));
    assert_eq!(events(&none), ["note", "result"].map(str::to_owned).into());

    valid("hold", &json(&demo, &["hold", "dns3", "--reason", "the disk is being replaced"], 0));
    valid("deploy", &json(&demo, &["deploy", "dns3", "--yes"], 1));
    let held = valid("status", &json(&demo, &["status", "dns3"], 0));
    assert!(held[0]["held"].as_str().unwrap().starts_with("the disk is being replaced ("), "{held:#?}");
    let held = valid("hosts", &json(&demo, &["hosts"], 0));
    assert!(held.iter().any(|line| line["host"]["answer"]["held"].is_string()), "{held:#?}");
    let past = valid("history", &json(&demo, &["history", "dns3"], 0));
    assert_eq!(past[0]["answer"]["reason"], "the disk is being replaced");
    valid("release", &json(&demo, &["release", "dns3"], 0));
    let status = valid("status", &json(&demo, &["status"], 0));
    assert!(status.iter().any(|line| line["answer"]["diagnostics"].is_string()), "{status:#?}");
    assert_eq!(valid("history", &json(&demo, &["history", "--limit", "3"], 0)).len(), 36);
    let log = valid("logs", &json(&demo, &["logs", "cache2"], 0));
    assert_eq!(events(&log), ["line", "result"].map(str::to_owned).into());
    let hosts = valid("hosts", &json(&demo, &["hosts"], 0));
    assert_eq!(hosts.len(), 12);
    assert!(hosts.iter().any(|line| line["host"]["answer"]["reboot_needed"] == true), "{hosts:#?}");
    let outdated = valid("hosts", &json(&demo, &["hosts", "--outdated"], 0));
    assert!(outdated.iter().any(|line| line["outdated"]["state"] == "outdated"), "{outdated:#?}");
    let shown = valid("config-show", &json(&demo, &["config", "show", "--branch", "main"], 0));
    let kinds: BTreeSet<_> = shown.iter().map(|line| line["kind"].as_str()).collect();
    assert!(
        kinds.is_superset(&[Some("flag"), Some("environment"), Some("default"), None].into()),
        "{kinds:?}"
    );
}

#[test]
fn cancel_output_matches_its_schema() {
    let demo = FastDemo::open();
    let mut deploy = RunningCommand::start(demo.command().args(["deploy", "cache1", "--output", "json"]));
    deploy.wait_for_json(|line| line["value"]["status"] == "running");
    valid("cancel", &json(&demo, &["cancel", "cache1"], 0));
    valid("deploy", &deploy.wait_for_exit(1));
}

#[test]
fn build_output_matches_its_schema() {
    let demo = FastDemo::open();
    let failed = valid("build", &json(&demo, &["build", "--all", "--branch", "broken"], 1));
    let hosts = &failed[failed.len() - 1]["value"]["builds"][0]["report"]["hosts"];
    assert_eq!(hosts.as_array().unwrap().len(), 12, "{hosts:#}");
    valid("build", &json(&demo, &["build", "cache1", "nosuch"], 1));
    let lines = valid("deploy", &json(&demo, &["deploy", "cache1", "--build-first"], 0));
    assert!(events(&lines).is_superset(&["build", "builds"].map(str::to_owned).into()), "{lines:#?}");
    let lines =
        valid("deploy", &json(&demo, &["deploy", "cache1", "ci1", "--build-first", "--branch", "broken"], 1));
    assert!(!events(&lines).contains("report"), "{lines:#?}");
}

#[test]
fn rollout_output_matches_its_schema() {
    let demo = FastDemo::open();
    let rollout =
        ["deploy", "--all", "--tier", "test", "--batch", "1", "--pause", "3600", "--detach", "--yes"];
    let lines = valid("deploy", &json(&demo, &rollout, 0));
    assert!(events(&lines).contains("detached"), "{lines:#?}");
    let listed = valid("rollouts", &json(&demo, &["rollouts"], 0));
    assert!(listed[0]["value"]["hosts"].as_array().is_some_and(|hosts| hosts.len() >= 5), "{listed:#?}");
    let aborted = valid("rollouts", &json(&demo, &["rollouts", "abort"], 0));
    assert_eq!(aborted[0]["value"]["state"], "ended");
}
