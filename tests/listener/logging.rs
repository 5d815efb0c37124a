//! The listener's own log.

use crate::common::{Broker, HostBuilder, Repo};
use crate::stage::{Stage, text};
use serde_json::{Value, json};
use std::fs;

/// Everything in the files of this log directory.
fn files(folder: &std::path::Path) -> String {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn json_lines_have_time_level_message_and_fields() {
    let mut stage = Stage::new("exit 1");
    stage.deploy("o-1", json!({"issuer": "alice\n\u{1b}[2J"})).verdict();
    stage.host.terminate();
    assert!(stage.host.ended().success());
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
fn a_log_directory_gets_a_file_of_the_day() {
    let broker = Broker::start();
    let folder = tempfile::TempDir::new().unwrap();
    let logs = folder.path().join("logs");
    let mut host = HostBuilder::new(&broker, "web1", "test", "web")
        .args(&["--log-dir", logs.to_str().unwrap(), "--log-format", "text"])
        .launch();
    crate::common::eventually("a line in the file", || {
        files_if_any(&logs).contains("\"connected\"").then_some(())
    });
    host.terminate();
    host.ended();
    for line in files(&logs).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].is_string() && line["level"].is_string() && line["msg"].is_string(), "{line}");
    }
    // For reading along on standard error, as was asked for.
    let shown = host.rest_of_log();
    assert!(shown.iter().any(|line| text(line).contains("connected")), "{shown:?}");
}

fn files_if_any(folder: &std::path::Path) -> String {
    if folder.exists() { files(folder) } else { String::new() }
}

#[test]
fn a_log_directory_that_cannot_be_written_to_is_refused() {
    let broker = Broker::start();
    let mut host =
        HostBuilder::new(&broker, "web1", "test", "web").args(&["--log-dir", "/dev/null/logs"]).launch();
    assert_eq!(host.ended().code(), Some(2));
    let said = host.rest_of_log().pop().unwrap();
    assert!(
        text(&said).contains("could not log to /dev/null/logs; --log-dir must be a writable folder"),
        "{said}"
    );
}

#[test]
fn no_secret_of_the_flake_is_told_when_the_program_says_it() {
    let repo = Repo::new();
    repo.commit("flake.nix", "{}");
    let url = format!("{}?token=s3cr3t", repo.url());
    let line = |text: &str| format!("echo \"@homelab-deploy {{\\\"message\\\":\\\"{text}\\\"}}\"\n");
    let script = format!("echo \"$3\" > $DIR/called\necho \"fetching $3\"\n{}exit 1", line("at $3"));
    let stage = Stage::with(&script, |host| host.flake(&url));
    let heard = stage.wire.listen("deploy.responses.>");
    stage.send("o-4", json!({}));
    let mut said = String::new();
    while !said.contains("failed") {
        said.push_str(&heard.next().body.to_string());
    }
    assert!(fs::read_to_string(stage.host.file("called")).unwrap().contains("token=s3cr3t"));
    assert!(said.contains("fetching git+file:") && said.contains(": at git+file:"), "{said}");
    assert!(!said.contains("s3cr3t"), "{said}");
    assert!(!stage.ask(json!({"want": "job"})).to_string().contains("s3cr3t"));
}

#[test]
fn no_secret_of_the_flake_is_told_where_a_long_line_is_cut() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "{}");
    let url = format!("{}?token=s3cr3t", repo.url());
    // A line is cut every 4096 bytes: within each secret at another place.
    let line = format!("token=s3cr3t{}", "x".repeat(4095 - 12)).repeat(14);
    let stage = Stage::with("cat $DIR/line; exit 1", |host| host.flake(&url));
    fs::write(stage.host.file("line"), &line).unwrap();
    let lines = stage.wire.listen("deploy.responses.*.log.web1");
    let reports = stage.deploy("o-5", json!({"revision": commit, "commit": commit}));
    let mut told = String::new();
    while told.matches('*').count() < 14 * 12 {
        told.push_str(text(&lines.next().body["text"]));
    }
    reports.verdict();
    let log = fs::read_to_string(stage.job_file("o-5", "log")).unwrap();
    for said in [told, log] {
        for half in ["s3cr3t", "tokenx", "cr3tx"] {
            assert!(!said.contains(half), "{half}");
        }
        assert!(said.contains(&line.replace("token=s3cr3t", "************")[..4096 * 13]), "{said}");
    }
}

#[test]
fn no_secret_is_logged() {
    let broker = Broker::without_keys();
    let seed = fs::read_to_string(broker.key("web1")).unwrap().trim().to_owned();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let flake = format!("git+http://alice:hunter22@{}/nixos?token=s3cr3t", silent.local_addr().unwrap());
    drop(silent);
    let url = broker.url().replace("//", "//bob:opensesame@");
    let mut host = HostBuilder::new(&broker, "web1", "test", "web")
        .flake(&flake)
        .flag("--nats-url", &url)
        .args(&["--debug"])
        .start();
    let wire = crate::common::Wire::connect(&broker, "tester");
    let heard = wire.listen("deploy.responses.>");
    let request = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.o-2"});
    wire.say("deploy.test.web1", &request);
    let report = heard.verdict();
    assert_eq!(report["error"], "source_unreachable");
    wire.say("deploy.discover", &json!({"reply_to": "deploy.responses.o-3"}));
    let answer = heard.until(|body| body["deploy_subjects"].is_array());
    host.terminate();
    host.ended();
    let all = format!("{report}{answer}{:?}", host.rest_of_log());
    for secret in [seed.as_str(), "hunter22", "s3cr3t", "opensesame"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}
