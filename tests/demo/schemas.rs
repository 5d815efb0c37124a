//! The schemas of docs/schemas are true: each command that prints JSON has one, and what it prints is what that says.

use crate::common::{Ended, Running, run};
use crate::show::Show;
use homelab_deploy::cli;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas")
}

fn read(name: &str) -> String {
    let file = folder().join(format!("{name}.json"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The schema of a command, in one piece. What readers are told may come in later versions is not allowed here.
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

/// Every line of what a command printed is as its schema says; gives the lines.
fn valid(command: &str, ended: &Ended) -> Vec<Value> {
    let validator = jsonschema::validator_for(&schema(command)).unwrap();
    let lines = ended.json();
    assert!(!lines.is_empty(), "{command} printed nothing: {ended}");
    for line in &lines {
        let errors: Vec<_> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{command}: {errors:#?}\n{line:#}");
    }
    lines
}

fn json(show: &Show, args: &[&str], code: i32) -> Ended {
    run(show.command().args(args).args(["--output", "json"]), code)
}

/// The kinds of events among these lines.
fn events<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    lines.into_iter().map(|line| line["event"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Every subcommand that takes `--output`.
fn commands(above: &clap::Command, path: &str, into: &mut BTreeSet<String>) {
    for command in above.get_subcommands() {
        let path = format!("{path}{}", command.get_name());
        if command.get_arguments().any(|arg| arg.get_long() == Some("output")) {
            into.insert(path.clone());
        }
        commands(command, &format!("{path}-"), into);
    }
}

#[test]
fn each_command_that_prints_json_has_a_schema_and_no_other() {
    let mut expected = BTreeSet::from(["common".to_owned()]);
    commands(&cli::command(), "", &mut expected);
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let there: BTreeSet<_> =
        files.filter_map(|file| Some(file.to_str()?.strip_suffix(".json")?.to_owned())).collect();
    assert_eq!(there, expected);
    for name in &there {
        assert!(jsonschema::meta::is_valid(&serde_json::from_str(&read(name)).unwrap()), "{name}");
    }
}

#[test]
fn a_line_that_is_not_as_the_schema_says_is_found() {
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
    let wave = json!({"event": "wave", "value": {"wave": 1, "of": 2, "kind": "canary", "hosts": ["web1"]}});
    assert!(validator("deploy").is_valid(&wave) && !validator("rollback").is_valid(&wave));
}

#[test]
fn what_commands_print_is_as_their_schemas_say() {
    let show = Show::open();
    let mut seen = BTreeSet::new();
    let mut deploy = |args: &[&str], code| {
        let lines = valid("deploy", &json(&show, &[&["deploy", "--yes"], args].concat(), code));
        seen.extend(events(&lines));
        lines
    };
    // One fails its health check and goes back.
    deploy(&["cache1", "cache2"], 1);
    // Nobody can build it, so the canary stops the rest.
    let stopped = deploy(&["--role", "ci", "--tier", "test", "--branch", "broken", "--canary", "1"], 1);
    assert_eq!(stopped.last().unwrap()["value"]["stopped"]["why"], "canary");
    let stopped = deploy(&["--role", "ci", "--tier", "test", "--branch", "broken", "--batch", "1"], 1);
    assert_eq!(stopped.last().unwrap()["value"]["untouched"], json!(["ci2", "ci3"]));
    deploy(&["web1", "--action", "build"], 0);
    assert_eq!(seen, ["report", "rest", "result", "wave"].map(str::to_owned).into());

    let changes = valid("diff", &json(&show, &["diff", "ci1"], 0));
    assert!(changes.iter().any(|line| line["value"]["changes"].is_object()), "{changes:#?}");
    valid("rollback", &json(&show, &["rollback", "cache1", "--yes"], 0));
    let rebooted = valid("reboot", &json(&show, &["reboot", "--needed", "--tier", "prod", "--yes"], 0));
    assert!(rebooted.iter().any(|line| line["value"]["action"] == "reboot"), "{rebooted:#?}");
    let none = valid("reboot", &json(&show, &["reboot", "--needed", "--tier", "prod", "--yes"], 0));
    assert_eq!(events(&none), ["note", "result"].map(str::to_owned).into());

    valid("hold", &json(&show, &["hold", "dns3", "--reason", "the disk is being replaced"], 0));
    valid("deploy", &json(&show, &["deploy", "dns3", "--yes"], 1));
    let held = valid("status", &json(&show, &["status", "dns3"], 0));
    assert!(held[0]["held"].as_str().unwrap().starts_with("the disk is being replaced ("), "{held:#?}");
    let held = valid("hosts", &json(&show, &["hosts"], 0));
    assert!(held.iter().any(|line| line["host"]["answer"]["held"].is_string()), "{held:#?}");
    let past = valid("history", &json(&show, &["history", "dns3"], 0));
    assert_eq!(past[0]["answer"]["reason"], "the disk is being replaced");
    valid("release", &json(&show, &["release", "dns3"], 0));
    let status = valid("status", &json(&show, &["status"], 0));
    assert!(status.iter().any(|line| line["answer"]["diagnostics"].is_string()), "{status:#?}");
    assert_eq!(valid("history", &json(&show, &["history", "--limit", "3"], 0)).len(), 36);
    let log = valid("logs", &json(&show, &["logs", "cache2"], 0));
    assert_eq!(events(&log), ["line", "result"].map(str::to_owned).into());
    let hosts = valid("hosts", &json(&show, &["hosts"], 0));
    assert_eq!(hosts.len(), 12);
    assert!(hosts.iter().any(|line| line["host"]["answer"]["reboot_needed"] == true), "{hosts:#?}");
    let behind = valid("hosts", &json(&show, &["hosts", "--outdated"], 0));
    assert!(behind.iter().any(|line| line["outdated"]["state"] == "behind"), "{behind:#?}");
    let shown = valid("config-show", &json(&show, &["config", "show", "--branch", "main"], 0));
    let kinds: BTreeSet<_> = shown.iter().map(|line| line["kind"].as_str()).collect();
    assert!(
        kinds.is_superset(&[Some("flag"), Some("environment"), Some("default"), None].into()),
        "{kinds:?}"
    );
}

#[test]
fn what_a_cancel_prints_is_as_its_schema_says() {
    let show = Show::open();
    let mut deploy = Running::start(show.command().args(["deploy", "cache1", "--output", "json"]));
    deploy.tells(|line| line["value"]["status"] == "running");
    valid("cancel", &json(&show, &["cancel", "cache1"], 0));
    valid("deploy", &deploy.ended(1));
}

#[test]
fn what_builds_print_is_as_their_schemas_say() {
    let show = Show::open();
    let failed = valid("build", &json(&show, &["build", "--all", "--branch", "broken"], 1));
    let hosts = &failed[failed.len() - 1]["value"]["builds"][0]["report"]["hosts"];
    assert_eq!(hosts.as_array().unwrap().len(), 12, "{hosts:#}");
    valid("build", &json(&show, &["build", "cache1", "nosuch"], 1));
    let lines = valid("deploy", &json(&show, &["deploy", "cache1", "--build-first"], 0));
    assert!(events(&lines).is_superset(&["build", "builds"].map(str::to_owned).into()), "{lines:#?}");
    let lines =
        valid("deploy", &json(&show, &["deploy", "cache1", "ci1", "--build-first", "--branch", "broken"], 1));
    assert!(!events(&lines).contains("report"), "{lines:#?}");
}
