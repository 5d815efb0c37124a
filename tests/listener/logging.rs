//! The listener's own log.

use crate::common::{HostBuilder, NatsServer, RawClient, Repo};
use crate::stage::{Stage, phase, text};
use serde_json::{Value, json};
use std::fs;

/// The content of all files in a directory.
fn files(dir: &std::path::Path) -> String {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn json_lines_have_time_level_message_and_fields() {
    let mut stage = Stage::new("exit 1");
    stage.deploy("o-1", json!({"issuer": "alice\n\u{1b}[2J"})).final_report();
    stage.host.terminate();
    assert!(stage.host.wait_for_exit().success());
    let lines = stage.host.rest_of_log();
    for line in &lines {
        let time = text(&line["time"]);
        assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
        assert!(["INFO", "WARN", "ERROR"].contains(&text(&line["level"])), "{line}");
        assert!(!text(&line["msg"]).is_empty(), "{line}");
    }
    let line = |message: &str| lines.iter().find(|line| line["msg"] == message).unwrap();
    let accepted = line("accepted a job");
    for (field, value) in
        [("id", "o-1"), ("action", "switch"), ("revision", "master"), ("issuer", "alice\n\u{1b}[2J")]
    {
        assert_eq!(accepted[field], value);
    }
    let failed = line("job failed");
    assert_eq!((&failed["id"], &failed["error"]), (&json!("o-1"), &json!("activation_failed")));
    assert!(text(&failed["reason"]).contains("exit status: 1"), "{failed}");
    assert_eq!(line("stopped")["restarting"], false);
}

#[test]
fn every_line_of_a_job_names_its_id_host_and_action() {
    let mut stage = Stage::new("");
    // Lines of blocking tasks too.
    fs::create_dir(stage.host.file("state/history.jsonl")).unwrap();
    stage.completes("o-6");
    stage.host.terminate();
    assert!(stage.host.wait_for_exit().success());
    let lines = stage.host.rest_of_log();
    for message in ["accepted a job", "failed to add jobs to the history", "job completed"] {
        let line = lines.iter().find(|line| line["msg"] == message).unwrap_or_else(|| panic!("{lines:#?}"));
        assert_eq!(
            (&line["id"], &line["host"], &line["action"]),
            (&json!("o-6"), &json!("web1"), &json!("switch"))
        );
    }
}

#[test]
fn a_job_that_a_killed_listener_left_is_named_by_the_next_one() {
    let mut stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let reports = stage.deploy("o-7", json!({"action": "test"}));
    reports.until(|report| report["message"] == "build");
    stage.pretend_reboot("o-7");
    stage.restart();
    let line = stage.host.last_log("ended an interrupted job");
    assert_eq!(
        (&line["id"], &line["host"], &line["action"]),
        (&json!("o-7"), &json!("web1"), &json!("test"))
    );
    stage.host.open("go");
}

#[test]
fn text_lines_name_the_job_too() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "tester");
    let presence = wire.subscribe("deploy.responses.presence");
    let host = HostBuilder::new(&nats, "web1", "test", "web").script("");
    let host = host.args(&["--log-format", "text"]).launch();
    presence.next();
    let mut stage = Stage { wire, host, nats };
    stage.completes("o-8");
    stage.host.terminate();
    stage.host.wait_for_exit();
    let lines = stage.host.rest_of_log();
    let accepted = lines.iter().map(text).find(|line| line.contains("accepted a job")).unwrap();
    for field in ["revision=\"master\"", "id=o-8", "host=web1", "action=switch"] {
        assert!(accepted.contains(field), "{accepted}");
    }
}

/// The messages at the level `DEBUG`, with the field that is named.
fn debug_lines(args: &[&str]) -> Vec<String> {
    let script = phase("build");
    let mut stage = Stage::with(&script, |host| host.args(args));
    stage.query(json!({}));
    stage.completes("o-9");
    stage.host.terminate();
    stage.host.wait_for_exit();
    let mut lines = stage.host.rest_of_log();
    lines.retain(|line| line["level"] == "DEBUG");
    let field = |line: &Value| {
        let fields =
            ["query", "subject", "phase"].map(|name| line[name].as_str().unwrap_or_default().to_owned());
        format!("{} {}{}", text(&line["msg"]), text(&line["id"]), fields.concat())
    };
    lines.iter().map(field).collect()
}

#[test]
fn debug_logs_each_request_query_and_phase() {
    let lines = debug_lines(&["--debug"]);
    for expected in
        ["received a query host", "received a request o-9deploy.test.web1", "entered a phase o-9build"]
    {
        assert!(lines.iter().any(|line| line == expected), "no {expected:?} in {lines:?}");
    }
    assert!(debug_lines(&[]).is_empty());
}

#[test]
fn a_log_directory_keeps_two_weeks() {
    let nats = NatsServer::start();
    let dir = tempfile::TempDir::new().unwrap();
    for day in 1..=20 {
        fs::write(dir.path().join(format!("homelab-deploy.2020-01-{day:02}.log")), "").unwrap();
    }
    fs::write(dir.path().join("notes.txt"), "").unwrap();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web")
        .args(&["--log-dir", dir.path().to_str().unwrap()])
        .start();
    host.terminate();
    host.wait_for_exit();
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let (logs, others): (Vec<_>, Vec<_>) =
        names.partition(|name| name.to_str().unwrap().starts_with("homelab-deploy."));
    assert_eq!((logs.len(), others.len()), (14, 1), "{logs:?}");
}

#[test]
fn a_log_directory_gets_a_file_of_the_day() {
    let nats = NatsServer::start();
    let dir = tempfile::TempDir::new().unwrap();
    let logs = dir.path().join("logs");
    let mut host = HostBuilder::new(&nats, "web1", "test", "web")
        .args(&["--log-dir", logs.to_str().unwrap(), "--log-format", "text"])
        .launch();
    crate::common::eventually("a line in the file", || {
        files_if_any(&logs).contains("\"connected\"").then_some(())
    });
    host.terminate();
    host.wait_for_exit();
    for line in files(&logs).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].is_string() && line["level"].is_string() && line["msg"].is_string(), "{line}");
    }
    // Standard error has the log in the requested format.
    let shown = host.rest_of_log();
    assert!(shown.iter().any(|line| text(line).contains("connected")), "{shown:?}");
}

fn files_if_any(dir: &std::path::Path) -> String {
    if dir.exists() { files(dir) } else { String::new() }
}

#[test]
fn a_log_directory_that_cannot_be_written_to_is_refused() {
    let nats = NatsServer::start();
    let mut host =
        HostBuilder::new(&nats, "web1", "test", "web").args(&["--log-dir", "/dev/null/logs"]).launch();
    assert_eq!(host.wait_for_exit().code(), Some(2));
    let output = host.rest_of_log().pop().unwrap();
    assert!(
        text(&output).contains("could not log to /dev/null/logs: --log-dir must be a writable directory"),
        "{output}"
    );
}

#[test]
fn no_secret_of_the_flake_is_published_if_the_program_prints_it() {
    let repo = Repo::new();
    repo.commit("flake.nix", "{}");
    let url = format!("{}?token=s3cr3t", repo.url());
    let line = |text: &str| format!("echo \"@homelab-deploy {{\\\"message\\\":\\\"{text}\\\"}}\"\n");
    let script = format!("echo \"$3\" > $DIR/called\necho \"fetching $3\"\n{}exit 1", line("at $3"));
    let stage = Stage::with(&script, |host| host.flake(&url));
    let messages = stage.wire.subscribe("deploy.responses.>");
    stage.send("o-4", json!({}));
    let mut output = String::new();
    while !output.contains("failed") {
        output.push_str(&messages.next().body.to_string());
    }
    assert!(fs::read_to_string(stage.host.file("called")).unwrap().contains("token=s3cr3t"));
    assert!(output.contains("fetching git+file:") && output.contains(": at git+file:"), "{output}");
    assert!(!output.contains("s3cr3t"), "{output}");
    assert!(!stage.query(json!({"query": "job"})).to_string().contains("s3cr3t"));
}

#[test]
fn no_secret_of_the_flake_is_published_if_a_long_line_is_split_within_it() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "{}");
    let url = format!("{}?token=s3cr3t", repo.url());
    // A line is split every 4096 bytes: each time at a different position within the secret.
    let line = format!("token=s3cr3t{}", "x".repeat(4095 - 12)).repeat(14);
    let stage = Stage::with("cat $DIR/line; exit 1", |host| host.flake(&url));
    fs::write(stage.host.file("line"), &line).unwrap();
    let lines = stage.wire.subscribe("deploy.responses.*.log.web1");
    let reports = stage.deploy("o-5", json!({"revision": commit, "commit": commit}));
    let mut published = String::new();
    while published.matches('*').count() < 14 * 12 {
        published.push_str(text(&lines.next().body["text"]));
    }
    reports.final_report();
    let log = fs::read_to_string(stage.job_file("o-5", "log")).unwrap();
    for output in [published, log] {
        for half in ["s3cr3t", "tokenx", "cr3tx"] {
            assert!(!output.contains(half), "{half}");
        }
        assert!(output.contains(&line.replace("token=s3cr3t", "************")[..4096 * 13]), "{output}");
    }
}

#[test]
fn no_secret_is_logged() {
    let nats = NatsServer::without_keys();
    let seed = fs::read_to_string(nats.key("web1")).unwrap().trim().to_owned();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let flake = format!("git+http://alice:hunter22@{}/nixos?token=s3cr3t", silent.local_addr().unwrap());
    drop(silent);
    let url = nats.url().replace("//", "//bob:opensesame@");
    let mut host = HostBuilder::new(&nats, "web1", "test", "web")
        .flake(&flake)
        .flag("--nats-url", &url)
        .args(&["--debug"])
        .start();
    let wire = RawClient::connect(&nats, "tester");
    let messages = wire.subscribe("deploy.responses.>");
    let request = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.o-2"});
    wire.publish("deploy.test.web1", &request);
    let report = messages.final_report();
    assert_eq!(report["error"], "source_unreachable");
    wire.publish("deploy.discover", &json!({"reply_to": "deploy.responses.o-3"}));
    let reply = messages.until(|body| body["deploy_subjects"].is_array());
    host.terminate();
    host.wait_for_exit();
    let all = format!("{report}{reply}{:?}", host.rest_of_log());
    for secret in [seed.as_str(), "hunter22", "s3cr3t", "opensesame"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}
